"""Read-only SQL over the view `spans`."""

import threading
from typing import Final

import duckdb

from penstock.analysis import _engine
from penstock.analysis.answer import Answer, Table
from penstock.analysis.spans import Spans
from penstock.errors import UsageError

TIMEOUT_SECONDS: Final = 30.0
MOST_ROWS: Final = 100_000


def sql(spans: Spans, query: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Answer:
    """Run one SELECT of the user's; the engine is locked, so it can only read `spans`.

    Raises:
        UsageError: it is no single SELECT, fails, or takes too long.
    """
    statement = _engine.only_select(spans.con, query)
    timer = threading.Timer(timeout_seconds, spans.con.interrupt)
    timer.start()
    try:
        cursor = spans.con.execute(statement)
        rows = cursor.fetchmany(MOST_ROWS + 1)
    except duckdb.InterruptException as error:
        raise UsageError(
            f"the query took longer than {timeout_seconds:g} s; narrow it or raise --timeout"
        ) from error
    except duckdb.Error as error:
        raise UsageError(_engine.first_line(error)) from error
    finally:
        timer.cancel()
    if len(rows) > MOST_ROWS:
        raise UsageError(
            f"the answer has more than {MOST_ROWS:,} rows; add LIMIT, or use: penstock traces export"
        )
    columns = [column[0] for column in cursor.description or ()]
    plain = [[_plain(held) for held in row] for row in rows]
    data = {"columns": columns, "rows": plain}
    return Answer("sql", data, (), [Table("", columns, plain)])


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
