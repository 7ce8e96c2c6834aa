"""When things happen: a scheduler for real time. The lab brings its own, on virtual time."""

import asyncio
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

_log: Final = logging.getLogger("penstock")
_IDLE_SECONDS: Final = 10.0
"""A thread without a timer ends after so long: limiters that are done with leave none behind."""


class Scheduler(Protocol):
    """Runs a function at a time of the limiter's clock, on any thread."""

    def call_at(self, when: float, run: Callable[[], None]) -> None:
        """Run `run` at `when`, or soon after."""
        ...


class ThreadScheduler:
    """One daemon thread that sleeps until its next timer: the first starts it, and without one it ends."""

    def __init__(self) -> None:
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def call_at(self, when: float, run: Callable[[], None]) -> None:
        """Run `run` on the timer thread at `when` of `time.monotonic()`.

        Raises:
            RuntimeError: the thread cannot be started: the interpreter ends, or no more threads may be.
        """
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._loop, name="penstock-timer", daemon=True)
                thread.start()
                self._thread = thread
            first = not self._timers or when < self._timers[0][0]
            heapq.heappush(self._timers, (when, next(self._numbers), run))
            if first:
                self._changed.notify()

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not self._timers:
                    if not self._changed.wait(_IDLE_SECONDS) and not self._timers:
                        self._thread = None
                        return
                seconds = self._timers[0][0] - time.monotonic()
                if seconds > 0:
                    self._changed.wait(seconds)
                    continue
                run = heapq.heappop(self._timers)[2]
            try:
                run()
            except Exception:  # noqa: BLE001 - without this thread nobody's wait would end
                _log.exception("penstock: a timer of the limiter failed")


class LoopScheduler:
    """Timers of one asyncio loop; the limiter's clock must be `loop.time`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call_at(self, when: float, run: Callable[[], None]) -> None:
        """Run `run` on the loop at `when` of its own clock."""
        self._loop.call_at(when, run)
