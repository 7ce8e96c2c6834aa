"""A real ClickHouse engine (chdb) behind a real HTTP port, so that the real client is what asks it."""

import base64
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pyarrow.parquet as pq
import pytest
from chdb import connect

# As the Collector's exporter makes it, without its secondary indexes.
# Source: opentelemetry-collector-contrib, exporter/clickhouseexporter/internal/sqltemplates/traces_table.sql
OTEL_TRACES = """
CREATE TABLE {name} (
    Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(T64, ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested (
        Timestamp DateTime64(9),
        Name LowCardinality(String),
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links Nested (
        TraceId String,
        SpanId String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp), Timestamp)
"""
PASSWORD = "s3cret-word"
NO_SETTINGS = {
    "client_protocol_version", "compress", "database", "default_format", "enable_http_compression",
    "http_headers_progress_interval_ms", "query", "query_id", "send_progress_in_http_headers",
    "session_check", "session_id", "session_timeout", "wait_end_of_query",
    "readonly",  # chdb has one user and could not take it back
}  # fmt: skip


class Engine:
    """chdb, with one session: temporary tables of the last client are dropped when the next one comes."""

    def __init__(self) -> None:
        self.lock, self.asked = threading.Lock(), [""]
        self._chdb, self._session, self._set = connect(":memory:"), "", dict[str, str]()

    def run(self, sql: str, form: str = "Null", values: dict[str, str] | None = None) -> bytes:
        return bytes(self._chdb.query(sql, form, params=values or {}).bytes())

    def enter(self, session: str) -> None:
        if session and session != self._session:
            listed = self.run("SELECT name FROM system.tables WHERE is_temporary", "TabSeparated")
            for name in listed.decode().split():
                self.run(f"DROP TEMPORARY TABLE {name}")
            self._session = session

    def set(self, settings: dict[str, str]) -> None:
        """Apply a request's settings to it alone: those of the one before are taken back."""
        for key in self._set.keys() - settings.keys():
            self.run(f"SET {key} = DEFAULT")
        for key, held in settings.items():
            if self._set.get(key) != held:
                self.run(f"SET {key} = '{held}'")
        self._set = settings

    def close(self) -> None:
        self._chdb.close()


class Door(BaseHTTPRequestHandler):
    """ClickHouse's HTTP interface, as much of it as the client uses: one statement a request."""

    protocol_version = "HTTP/1.1"
    engine: ClassVar[Engine]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        asked = {key: held[-1] for key, held in parse_qs(urlsplit(self.path).query).items()}
        statement = "\n".join(part for part in (asked.get("query"), body) if part)
        word = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if word.partition(":")[2] != PASSWORD:
            self._send(
                403, b"Code: 516. DB::Exception: default: Authentication failed (AUTHENTICATION_FAILED)"
            )
            return
        values = {key[6:]: held for key, held in asked.items() if key.startswith("param_")}
        settings = {
            key: held for key, held in asked.items()
            if key not in NO_SETTINGS and not key.startswith("param_")
        }  # fmt: skip
        with self.engine.lock:
            self.engine.asked.append(statement)
            try:
                self.engine.enter(asked.get("session_id", ""))
                self.engine.set(settings)
                self._send(
                    200, self.engine.run(statement, asked.get("default_format", "TabSeparated"), values)
                )
            except RuntimeError as error:
                self._send(500, str(error).encode())

    do_GET = do_POST  # noqa: N815 - the base class's name

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        if found := re.match(rb"Code: (\d+)", data) if status != 200 else None:
            self.send_header("X-ClickHouse-Exception-Code", found[1].decode())
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Start the one engine there is in a process."""
    held = Engine()
    yield held
    held.close()


@pytest.fixture(scope="session")
def server(engine: Engine) -> Iterator[str]:
    """Put the engine behind HTTP; give its host and port."""
    Door.engine = engine
    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


@pytest.fixture(scope="session")
def table(
    engine: Engine, server: str, formats: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Write spans as the Collector does; give the table's address, which holds the password."""
    numbers = count()

    def write(spans: list[Any]) -> str:
        name = f"otel_traces_{next(numbers)}"
        file = tmp_path_factory.mktemp("table") / "spans.parquet"
        file.write_bytes(formats.clickhouse(spans))
        columns = ", ".join(f"`{column}`" for column in pq.read_schema(file).names)
        with engine.lock:
            engine.set({})
            engine.run(OTEL_TRACES.format(name=name))
            engine.run(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM file('{file}')")
        return f"clickhouse://default:{PASSWORD}@{server}/default?table={name}"

    return write
