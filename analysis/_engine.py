"""What answers SQL, and DuckDB as we use it: no downloads, bounded memory, and only SELECT from outside."""

import os
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from penstock.errors import UsageError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY_LIMIT: Final = "500MB"
RELATING: Final[Mapping[str, str | int]] = {"memory_limit": "300MB", "threads": min(4, os.cpu_count() or 1)}
"""Relating spills what does not fit, and stays small whatever the file; each thread takes some of its own."""
_MACROS: Final = """
CREATE MACRO intDiv(a, b) AS a // b;
CREATE MACRO cityHash64(a) AS hash(a), (a, b) AS hash(a, b);
CREATE MACRO groupArray(a) AS list(a);
CREATE MACRO arraySort(a) AS list_sort(a);
"""
"""What our SQL calls by ClickHouse's names, so that one text runs on both. Any 64-bit hash will do."""


class Engine(Protocol):
    """A database that holds the view `spans`. `?` stands for a value in our queries."""

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Run one of our queries and return rows as dicts."""

    def batches(self, sql: str, size: int) -> "pa.RecordBatchReader":
        """Run one of our queries and stream its rows."""

    def hold(self, table: str, select: str) -> None:
        """Hold what a query of ours gives as a table, for the questions that follow; held, it stays."""

    def select(
        self, sql: str, timeout_seconds: float, most: int
    ) -> tuple[list[str], Sequence[Sequence[object]]]:
        """Run one SELECT of the user's; return its columns and at most so many rows.

        Raises:
            UsageError: it is no single SELECT, fails, or takes too long.
        """


@dataclass(frozen=True, slots=True)
class DuckDB:
    """DuckDB as an engine."""

    con: "duckdb.DuckDBPyConnection"

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Run one of our queries and return rows as dicts."""
        cursor = self.con.execute(sql, list(values))
        assert cursor.description is not None
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def batches(self, sql: str, size: int) -> "pa.RecordBatchReader":
        """Run one of our queries and stream its rows."""
        return self.con.sql(sql).to_arrow_reader(size)

    def hold(self, table: str, select: str) -> None:
        """Hold what a query of ours gives as a table, for the questions that follow; held, it stays."""
        self.con.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} AS {select}")

    def select(
        self, sql: str, timeout_seconds: float, most: int
    ) -> tuple[list[str], Sequence[Sequence[object]]]:
        """Run one SELECT of the user's; the connection is locked, so that it can only read `spans`."""
        import duckdb

        statement = only_select(self.con, sql)
        timer = threading.Timer(timeout_seconds, self.con.interrupt)
        timer.start()
        try:
            cursor = self.con.execute(statement)
            return [column[0] for column in cursor.description or ()], cursor.fetchmany(most)
        except duckdb.InterruptException as error:
            raise too_slow(timeout_seconds) from error
        except duckdb.Error as error:
            raise UsageError(first_line(error)) from error
        finally:
            timer.cancel()


def too_slow(timeout_seconds: float) -> UsageError:
    """Say that a query was stopped."""
    return UsageError(f"the query took longer than {timeout_seconds:g} s; narrow it or raise --timeout")


def parquet(paths: Iterable[Path], *options: str) -> str:
    """Give what stands for Parquet files in FROM."""
    listed = f"[{', '.join(map(text, paths))}]"
    return f"read_parquet({', '.join((listed, *options))})"


def text(value: object) -> str:
    """Quote text."""
    return "'" + str(value).replace("'", "''") + "'"


def connect(spill: Path, settings: Mapping[str, str | int] | None = None) -> "duckdb.DuckDBPyConnection":
    """Open an in-memory database that spills into `spill` and never fetches an extension."""
    import duckdb

    con = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(spill),
            "python_enable_replacements": False,
            "preserve_insertion_order": False,
            **(settings or {}),
        }
    )
    con.execute(f"SET parquet_metadata_cache = true;{_MACROS}")
    return con


def lock(con: "duckdb.DuckDBPyConnection", readable: Iterable[Path]) -> None:
    """Shut the doors before anyone's SQL runs: only `readable` files, no settings, no extensions."""
    paths = ", ".join(map(text, readable))
    con.execute(f"SET allowed_paths = [{paths}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def only_select(con: "duckdb.DuckDBPyConnection", sql: str) -> str:
    """Return one statement that only reads.

    Raises:
        UsageError: it is none, several, or no SELECT.
    """
    import duckdb

    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as error:
        raise UsageError(f"SQL does not parse: {first_line(error)}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError("only a single SELECT is allowed; to write files use: penstock traces export")
    return statements[0].query.strip().rstrip(";")


def first_line(error: BaseException) -> str:
    """Give an engine's error in one line, without the picture of the query below it."""
    return " ".join(str(error).partition("\n\nLINE ")[0].split())[:300]


def spill_folder() -> "tempfile.TemporaryDirectory[str]":
    """Make a private folder for what does not fit in memory."""
    return tempfile.TemporaryDirectory(prefix="penstock-")
