"""ClickHouse as the engine: spans stay where they are, and the same SQL runs there.

A session's temporary tables hold what the window asks for: `otel_traces` as our columns, the spans
related to one another, then `spans`. The user needs SELECT and CREATE TEMPORARY TABLE, nothing else.
"""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from penstock.analysis import _otel_traces
from penstock.analysis._address import Address, address_of, quoted
from penstock.analysis._columns import COLUMNS
from penstock.analysis._engine import first_line, too_slow
from penstock.analysis._resolve import RELATED, derive, related
from penstock.analysis._verdicts import judge
from penstock.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

MARGIN_NS: Final = 3_600_000_000_000
"""Spans this much outside of the window are related too, so that calls at its edges stay whole."""
SESSION_SECONDS: Final = 600
_SETTINGS: Final = {
    **_otel_traces.SETTINGS,
    "session_timeout": SESSION_SECONDS,
    # where ClickHouse differs from standard SQL by default, and DuckDB does not
    "aggregate_functions_null_for_empty": 1,
    "data_type_default_nullable": 1,
    "join_use_nulls": 1,
}
_READ_ONLY: Final = 2
_FLAGS: Final = (
    "duplicate", "orphan", "skewed", "is_operation", "is_attempt", "is_tool", "owns_tokens", "only_attempt",
)  # fmt: skip
_SPAN: Final = {
    **{name: f"r.{name}" for name in COLUMNS},
    **RELATED,
    **{name: f"CAST({RELATED[name]} AS Bool)" for name in _FLAGS},
    "task": "coalesce(r.task_id, k.task, r.trace_id)",
}
_TIMED_OUT: Final = 159
_UNNAMED: Final = """
SELECT row_id, role, name, status_message, unnamed_attributes, unnamed_events FROM normal WHERE unnamed
"""
_VERDICTS: Final = """
CREATE TEMPORARY TABLE judged (
  row_id Int64, error_class String, error_reason Nullable(String), retryable Nullable(Bool),
  limit_dimension Nullable(String), retry_after_seconds Nullable(Float64))
"""
_JUDGED: Final = {
    "failed": "if(n.unnamed, j.error_class != 'cancelled', n.failed)",
    "error_class": "if(n.unnamed, j.error_class, n.error_class)",
    "error_reason": "if(n.unnamed, j.error_reason, n.error_reason)",
    "retryable": "if(n.unnamed, j.retryable, n.retryable)",
    "limit_dimension": "coalesce(n.limit_dimension, j.limit_dimension)",
    "retry_after_seconds": "coalesce(n.retry_after_seconds, j.retry_after_seconds)",
}


def schema(database: str, table: str, name: str) -> str:
    """Give what a ClickHouse administrator runs: a view with our columns, and what a reader needs."""
    return (
        f"-- Spans of the Collector's {table}, column by column, for SQL of your own.\n"
        f"{_otel_traces.view(quoted(database, table), quoted(database, name))};\n\n"
        "-- What a user needs for: penstock traces VERB clickhouse://USER@HOST:8123/"
        f"{database}?table={table}\n"
        f"-- GRANT SELECT ON {quoted(database, table)} TO USER;\n"
        "-- GRANT CREATE TEMPORARY TABLE ON *.* TO USER;\n"
    )


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """A ClickHouse session as an engine."""

    client: "Client"

    def run(self, sql: str) -> Sequence[Sequence[Any]]:
        """Run a statement and return its rows, if it has any."""
        if sql.lstrip().startswith("SELECT"):
            return self.client.query(sql).result_rows
        self.client.command(sql)
        return ()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Run one of our queries and return rows as dicts."""
        found = self.client.query(_placed(sql, values), parameters=_named(values))
        return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]

    def batches(self, sql: str, size: int) -> "pa.RecordBatchReader":
        """Run one of our queries and stream its rows."""
        import pyarrow as pa

        settings = {"max_block_size": size, "output_format_arrow_string_as_string": 1}
        return pa.ipc.open_stream(self.client.raw_stream(sql, settings=settings, fmt="ArrowStream"))

    def hold(self, table: str, select: str) -> None:
        """Hold what a query of ours gives, on the server's disk: it may be larger than its memory."""
        self.run(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ENGINE = MergeTree ORDER BY tuple() AS {select}"
        )

    def select(
        self, sql: str, timeout_seconds: float, most: int
    ) -> tuple[list[str], Sequence[Sequence[object]]]:
        """Run one SELECT of the user's, as the user who is logged in, in read-only mode."""
        from clickhouse_connect.driver.exceptions import ClickHouseError

        settings = {
            "readonly": _READ_ONLY,
            "max_execution_time": timeout_seconds,
            "max_result_rows": most,
            "result_overflow_mode": "break",
        }
        statement = sql.strip().rstrip(";")
        try:
            tree = self.client.command(f"EXPLAIN AST {statement}")
            if not str(tree).startswith("SelectWithUnionQuery"):
                raise UsageError("only a single SELECT is allowed")
            found = self.client.query(statement, settings=settings)
        except ClickHouseError as error:
            if _code(error) == _TIMED_OUT:
                raise too_slow(timeout_seconds) from error
            raise UsageError(_said(error)) from error
        return list(found.column_names), found.result_rows[:most]


@contextmanager
def open_table(name: str, since_ns: int | None, until_ns: int | None) -> Iterator[ClickHouse]:
    """Open a session in which `every_span` holds the spans of a window and a margin around it.

    Raises:
        UsageError: the server, the table or its columns cannot be used.
    """
    address = address_of(name)
    client = _connect(address)
    engine = ClickHouse(client)
    try:
        _check(engine, address)
        _normalise(engine, address, _window(since_ns, until_ns))
        derive(engine.run)
        engine.hold("every_span", related(_SPAN))
        for table in ("raw", "derived", "blamed", "dialled", "tasks"):
            engine.run(f"DROP TABLE {table}")
        yield engine
    except Exception as error:
        if not type(error).__module__.startswith("clickhouse_connect"):
            raise
        raise UsageError(f"{address}: {_said(error)}") from error
    finally:
        client.close()


def _connect(address: Address) -> "Client":
    try:
        import clickhouse_connect
        from clickhouse_connect.driver.exceptions import ClickHouseError
    except ImportError as error:
        raise UsageError(
            f"{address}: ClickHouse's client is not installed; run: pip install 'penstock[clickhouse]'"
        ) from error
    logging.getLogger("clickhouse_connect").addHandler(
        logging.NullHandler()
    )  # its errors reach us as exceptions
    try:
        return clickhouse_connect.get_client(
            host=address.host,
            port=address.port,
            username=address.user,
            password=address.password,
            secure=address.secure,
            database=address.database,
            interface="https" if address.secure else "http",
            settings=_SETTINGS,
            connect_timeout=10,
        )
    except ClickHouseError as error:
        raise UsageError(f"{address}: {_explained(error, address)}") from error


def _check(engine: ClickHouse, address: Address) -> None:
    from clickhouse_connect.driver.exceptions import ClickHouseError

    try:
        types = {row["name"]: row["type"] for row in engine.rows(f"DESCRIBE TABLE {address.quoted}")}
    except ClickHouseError as error:
        raise UsageError(f"{address}: {_explained(error, address)}") from error
    missing = sorted(_otel_traces.NEEDED - types.keys())
    if missing:
        raise UsageError(
            f"{address}: not the Collector's otel_traces, or of a version that cannot be read: "
            f"it has no {', '.join(missing)}"
        )
    if not types["SpanAttributes"].startswith("Map("):
        raise UsageError(
            f"{address}: SpanAttributes is {types['SpanAttributes']}; only the exporter's Map schema is read "
            "(set `json: false` in its configuration)"
        )


def _normalise(engine: ClickHouse, address: Address, window: str) -> None:
    """Read the window as our columns into `raw`, every failure named."""
    told = _otel_traces.normalised(address.quoted, window)
    # the limit keeps numbering on the server that was asked, where the table is spread over several
    numbered = f"SELECT *, toInt64(rowNumberInAllBlocks()) AS row_id FROM ({told}\nLIMIT {1 << 62})"  # noqa: S608
    engine.hold("normal", numbered)
    engine.run(_VERDICTS)
    verdicts = [json.dumps(_verdict(row)) for row in engine.rows(_UNNAMED)]
    if verdicts:
        engine.client.raw_insert("judged", insert_block="\n".join(verdicts), fmt="JSONEachRow")
    columns = ", ".join(f"{_JUDGED.get(name, f'n.{name}')} AS {name}" for name in (*COLUMNS, "row_id"))
    engine.hold("raw", f"SELECT {columns} FROM normal n LEFT JOIN judged j ON j.row_id = n.row_id")  # noqa: S608
    for table in ("normal", "judged"):
        engine.run(f"DROP TABLE {table}")


def _verdict(row: dict[str, Any]) -> dict[str, object]:
    """Classify a failure by the rules that are used live and for files."""
    attributes = {key: held for key, held in json.loads(row["unnamed_attributes"]).items() if held}
    events = [(name, None, held) for name, held in json.loads(row["unnamed_events"])]
    verdict = judge(row["role"], attributes, row["status_message"], events, row["name"])
    return {
        "row_id": row["row_id"],
        "error_class": verdict.error_class.value,
        "error_reason": verdict.reason,
        "retryable": verdict.retryable,
        "limit_dimension": verdict.limit_dimension,
        "retry_after_seconds": verdict.retry_after,
    }


def select_spans(engine: ClickHouse, condition: str) -> None:
    """Make `spans` of the related ones that a question is about."""
    engine.hold("spans", f"SELECT * FROM every_span WHERE NOT duplicate AND {condition}")  # noqa: S608


def _window(since_ns: int | None, until_ns: int | None) -> str:
    bounds = []
    if since_ns is not None:
        bounds.append(f"Timestamp >= fromUnixTimestamp64Nano(toInt64({since_ns - MARGIN_NS:d}))")
    if until_ns is not None:
        bounds.append(f"Timestamp < fromUnixTimestamp64Nano(toInt64({until_ns + MARGIN_NS:d}))")
    return " AND ".join(bounds) or "1"


def _placed(sql: str, values: Sequence[object]) -> str:
    """Put the server's placeholders where `?` stands."""
    pieces = sql.split("?")
    kinds = ["Int64" if isinstance(value, int) else "String" for value in values]
    named = [f"{{value_{i}:{kind}}}" for i, kind in enumerate(kinds)]
    return "".join(text for pair in zip(pieces, [*named, ""], strict=True) for text in pair)


def _named(values: Sequence[object]) -> dict[str, object]:
    return {f"value_{i}": value for i, value in enumerate(values)}


def _code(error: BaseException) -> int | None:
    found = re.search(r"Code: (\d+)|error code (\d+)", str(error))
    return int(found[1] or found[2]) if found else None


def _said(error: BaseException) -> str:
    """Give the server's words in one line, without its version and our address."""
    return first_line(
        Exception(re.sub(r"\s*\(version [^)]*\).*|\s*\(for url [^)]*\)", "", str(error), flags=re.DOTALL))
    )


_WRONG: Final = {
    516: "the server refused the user or the password; set CLICKHOUSE_PASSWORD",
    194: "the server wants a password; set CLICKHOUSE_PASSWORD",
    81: "no such database",
    60: "no such table; does the Collector write here? choose one with ?table=NAME",
    497: "this user may not do that; it needs SELECT on the table and CREATE TEMPORARY TABLE",
}


def _explained(error: BaseException, address: Address) -> str:
    code = _code(error)
    if code in _WRONG:
        return _WRONG[code]
    if code is None:
        return (
            f"no ClickHouse answers at {address.host}:{address.port} (its HTTP port is 8123, with TLS 8443)"
        )
    return _said(error)
