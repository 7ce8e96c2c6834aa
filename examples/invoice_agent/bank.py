"""A bank whose statement is a file. It times out now and then, and the payer dies now and then."""

import asyncio
import os
import random
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

TABLE = "CREATE TABLE IF NOT EXISTS statement (invoice TEXT, cents INTEGER)"


class FileBank:
    """Implements the agent's `Bank`."""

    def __init__(self, path: Path, *, mishaps: bool = True) -> None:
        self._path = path
        self._mishaps = random.Random(os.urandom(8)) if mishaps else None
        self._write(TABLE)

    async def transfer(self, invoice_id: str, cents: int) -> str:
        """Send money. Once in a while the answer is lost, or the caller is killed before it hears it."""
        await asyncio.sleep(0.02)
        self._write("INSERT INTO statement VALUES (?, ?)", invoice_id, cents)
        luck = self._mishaps.random() if self._mishaps else 1.0
        if luck < 0.06:
            os.kill(os.getpid(), signal.SIGKILL)
        if luck < 0.12:
            raise TimeoutError("the bank did not answer")
        return f"receipt for {invoice_id}"

    async def find(self, invoice_id: str) -> str | None:
        """Look a transfer up on the statement."""
        return next((f"receipt for {name}" for name, _ in self.statement() if name == invoice_id), None)

    def statement(self) -> list[tuple[str, int]]:
        """List every transfer."""
        with closing(sqlite3.connect(self._path)) as db:
            return db.execute("SELECT invoice, cents FROM statement").fetchall()

    def _write(self, sql: str, *values: object) -> None:
        with closing(sqlite3.connect(self._path, timeout=5)) as db, db:
            db.execute(sql, values)
