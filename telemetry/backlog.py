"""What is counted a little later: hooks take notes, which are written in order before anyone reads.

Between an SDK's own work every function of ours is cold, and costs several times what it costs in a row
of its like. So a hook only appends, and a whole batch is counted at once. Notes carry their own stamps:
what they add up to does not depend on when.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from penstock.telemetry import guard

BATCH: Final = 128
"""So many notes are written by the thread that took the last of them: half a millisecond."""
LATEST_NS: Final = 1_000_000_000
"""Where calls go on, a note waits no longer than this."""


class Backlog:
    """Keep notes until they are written. Taking one never blocks.

    `idle` says whether a batch may be written now: a finalizer may take a note inside of anything, also
    where this thread holds a lock that writing needs.
    """

    def __init__(self, idle: Callable[[], bool]) -> None:
        self._idle = idle
        self._writer: int | None = None
        self._due_ns = 0
        self.clear()

    def note(self, write: Callable[[Any], None], record: object, at_ns: int) -> None:
        """Let `write(record)` be called once, after those noted before it and before the next read."""
        notes = self._notes
        notes.append((write, record))
        if at_ns >= self._due_ns or len(notes) >= BATCH:
            self._due_ns = at_ns + LATEST_NS
            self._write_in_passing()

    def afterwards(self, write: Callable[[], None]) -> None:
        """Let `write()` be called once when these notes are written. Only for those who write one."""
        self._last[write] = None

    def write(self) -> None:
        """Write what was noted, now."""
        with self.written():
            pass

    @contextmanager
    def written(self) -> Iterator[None]:
        """Hold what was written still; nothing noted before is missing. May be nested in a thread."""
        me = threading.get_ident()
        if self._writer == me:
            yield
            return
        with self._writing:
            self._writer = me
            try:
                self._write()
                yield
            finally:
                self._writer = None

    def clear(self) -> None:
        """Drop every note: in a forked child they are the parent's. The next one is written at once."""
        self._notes: deque[tuple[Callable[[Any], None], object]] = deque()
        self._last: dict[Callable[[], None], None] = {}
        self._writing = threading.Lock()
        self._writer = None
        self._due_ns = 0

    def _write_in_passing(self) -> None:
        """Write unless somebody reads or writes: the next note will try again."""
        if not self._idle() or not self._writing.acquire(blocking=False):
            self._due_ns = 0
            return
        self._writer = threading.get_ident()
        try:
            self._write()
        finally:
            self._writer = None
            self._writing.release()

    def _write(self) -> None:
        notes = self._notes
        for _ in range(len(notes)):  # and not what comes meanwhile, which may never end
            write, record = notes.popleft()
            try:
                write(record)
            except guard.OURS as error:
                guard.failed("backlog.write", error)
        while self._last:
            last, _ = self._last.popitem()
            guard.quietly("backlog.write", last)
