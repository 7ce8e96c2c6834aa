"""Answers to our own queries, kept beside the spans that they are about.

Resolved spans never change in place: an answer holds as long as the files it came from are there. Asked
again, a question opens no database and reads no span.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.analysis._engine import Engine

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_ROWS: Final = 2_000
"""A longer answer is quicker asked again than read."""


class Kept:
    """An engine that knows answers already, and opens another one when it does not."""

    def __init__(self, files: Sequence[Path], open_engine: Callable[[], Engine]) -> None:
        self._open = open_engine
        self._opened: Engine | None = None
        self._held: dict[str, str] = {}
        self._place = files[0].parent / "answers.json"
        self._of = _stamp(files)
        self._answers = _load(self._place, self._of)
        self._new = False
        self._finding = False

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Run one of our queries, or tell what it gave."""
        if self._finding:
            return self._engine().rows(sql, values)
        return self.kept(repr((sql, *values)), lambda: self._engine().rows(sql, values))

    def knows(self, name: str) -> bool:
        """Say whether something was found under a name."""
        return _key(name) in self._answers

    def kept(self, name: str, find: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """Tell what was found under a name, or find and keep it: it alone, not what is asked to find it."""
        asked = _key(name)
        if asked in self._answers:
            known: list[dict[str, Any]] = json.loads(self._answers[asked])
            return known
        self._finding = True
        try:
            found = find()
        finally:
            self._finding = False
        if len(found) <= _MOST_ROWS:
            self._keep(asked, found)
        return found

    def batches(self, sql: str, size: int) -> "pa.RecordBatchReader":
        """Run one of our queries and stream its rows."""
        return self._engine().batches(sql, size)

    def hold(self, table: str, select: str) -> None:
        """Hold what a query of ours gives as a table, once a question is not known already."""
        self._held[table] = select

    def select(
        self, sql: str, timeout_seconds: float, most: int
    ) -> tuple[list[str], Sequence[Sequence[object]]]:
        """Run one SELECT of the user's; return its columns and at most so many rows.

        Raises:
            UsageError: it is no single SELECT, fails, or takes too long.
        """
        return self._engine().select(sql, timeout_seconds, most)

    def save(self) -> None:
        """Put new answers in place in one step; a store that cannot be written is only slower."""
        if not self._new:
            return
        fresh = self._place.with_name(f"answers.{os.getpid()}.tmp")
        with suppress(OSError):
            fresh.write_text(json.dumps({"of": self._of, "answers": self._answers}))
            fresh.replace(self._place)

    def _keep(self, asked: str, found: list[dict[str, Any]]) -> None:
        with suppress(TypeError, ValueError):  # what JSON cannot hold is asked again
            text = json.dumps(found)
            if json.loads(text) == found:
                self._answers[asked], self._new = text, True

    def _engine(self) -> Engine:
        if self._opened is None:
            self._opened = self._open()
        while self._held:
            self._opened.hold(*self._held.popitem())
        return self._opened


@contextmanager
def kept(files: Sequence[Path], open_engine: Callable[[], Engine]) -> Iterator[Engine]:
    """Give an engine over files that keeps what it is asked."""
    engine = Kept(files, open_engine)
    yield engine
    engine.save()


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _stamp(files: Sequence[Path]) -> list[list[object]]:
    """Tell these files from those that take their place: a program may still hold the older ones."""
    return [
        [file.name, held.st_ino, held.st_size, held.st_mtime_ns] for file in files for held in (file.stat(),)
    ]


def _load(place: Path, of: list[list[object]]) -> dict[str, str]:
    try:
        kept = json.loads(place.read_text())
        found: dict[str, str] = kept["answers"] if kept["of"] == of else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return found
