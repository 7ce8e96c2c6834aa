"""Read-only SQL over the view `spans`."""

from typing import Final

from penstock.analysis.answer import Answer, Table
from penstock.analysis.spans import Spans
from penstock.errors import UsageError

TIMEOUT_SECONDS: Final = 30.0
MOST_ROWS: Final = 100_000


def sql(spans: Spans, query: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Answer:
    """Run one SELECT of the user's.

    Raises:
        UsageError: it is no single SELECT, fails, or takes too long.
    """
    columns, rows = spans.engine.select(query, timeout_seconds, MOST_ROWS + 1)
    if len(rows) > MOST_ROWS:
        raise UsageError(
            f"the answer has more than {MOST_ROWS:,} rows; add LIMIT, or use: penstock traces export"
        )
    plain = [[_plain(held) for held in row] for row in rows]
    data = {"columns": columns, "rows": plain}
    return Answer("sql", data, (), [Table("", columns, plain)])


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
