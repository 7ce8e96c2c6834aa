"""DuckDB as we use it: no downloads, bounded memory, and nothing but SELECT for words from outside."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.errors import UsageError

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT: Final = "1GB"
_MACROS: Final = """
CREATE MACRO intDiv(a, b) AS a // b;
CREATE MACRO cityHash64(a) AS hash(a), (a, b) AS hash(a, b);
"""
"""What our SQL calls by ClickHouse's names, so that one text runs on both. Any 64-bit hash will do."""


def connect(spill: Path) -> "duckdb.DuckDBPyConnection":
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
        }
    )
    con.execute(_MACROS)
    return con


def lock(con: "duckdb.DuckDBPyConnection", readable: Iterable[Path]) -> None:
    """Shut the doors before anyone's SQL runs: only `readable` files, no settings, no extensions."""
    paths = ", ".join("'" + str(path).replace("'", "''") + "'" for path in readable)
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
    """Give an engine's error in one line."""
    return " ".join(str(error).split())[:300]


def spill_folder() -> "tempfile.TemporaryDirectory[str]":
    """Make a private folder for what does not fit in memory."""
    return tempfile.TemporaryDirectory(prefix="penstock-")
