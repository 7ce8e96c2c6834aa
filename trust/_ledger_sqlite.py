"""A ledger in one SQLite file, for every process of one machine."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath

from penstock.errors import UsageError
from penstock.trust._ledger import Entry, State

_TABLE = """
CREATE TABLE IF NOT EXISTS penstock_ledger (
  key TEXT PRIMARY KEY, state TEXT NOT NULL, owner TEXT NOT NULL, at REAL NOT NULL, result BLOB
) WITHOUT ROWID
"""


class SqliteLedger:
    """Keep the ledger in a file; survives crash and restart.

    A connection is opened for each operation: threads, event loops and forked workers then share
    nothing. `busy_seconds` is how long to wait for another process's write.

    Raises:
        UsageError: the file cannot be opened as a database.
    """

    remote = True

    def __init__(self, path: str | PathLike[str], *, busy_seconds: float = 5.0) -> None:
        self._path = fspath(path)
        self._busy_seconds = busy_seconds
        try:
            with self._open() as db:
                db.execute(_TABLE)
            with self._open() as db:  # a database in memory is another one each time
                _read(db, "")
        except sqlite3.Error as error:
            raise UsageError(f"ledger file {self._path!r}: {error}; name a writable SQLite file") from error

    def find(self, key: str) -> Entry | None:
        """Look a key up."""
        with self._open() as db:
            return _read(db, key)

    def begin(self, key: str, claim: Entry) -> Entry | None:
        """Write the claim if the key is free; else return what is there."""
        with self._open() as db:
            insert = "INSERT INTO penstock_ledger VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            inserted = db.execute(insert, (key, claim.state, claim.owner, claim.at, claim.result)).rowcount
            return None if inserted else _read(db, key)

    def end(self, key: str, entry: Entry | None) -> None:
        """Write how it ended; None frees the key."""
        with self._open() as db:
            if entry is None:
                db.execute("DELETE FROM penstock_ledger WHERE key = ?", (key,))
                return
            upsert = "INSERT OR REPLACE INTO penstock_ledger VALUES (?, ?, ?, ?, ?)"
            db.execute(upsert, (key, entry.state, entry.owner, entry.at, entry.result))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=self._busy_seconds, isolation_level=None)
        try:
            # EXTRA also syncs the folder after the journal's removal: a commit outlives a power cut
            # (sqlite.org/pragma.html#pragma_synchronous).
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()


def _read(db: sqlite3.Connection, key: str) -> Entry | None:
    query = "SELECT state, owner, at, result FROM penstock_ledger WHERE key = ?"
    row = db.execute(query, (key,)).fetchone()
    return None if row is None else Entry(state=State(row[0]), owner=row[1], at=row[2], result=row[3])
