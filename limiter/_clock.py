"""When things happen: a scheduler for real time. The lab brings its own, on virtual time."""

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Scheduler(Protocol):
    """Runs a function at a time of the limiter's clock, on any thread."""

    def call_at(self, when: float, run: Callable[[], None]) -> None:
        """Run `run` at `when`, or soon after."""
        ...


class ThreadScheduler:
    """One daemon thread that sleeps until the next of its timers. Started by the first."""

    def __init__(self) -> None:
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def call_at(self, when: float, run: Callable[[], None]) -> None:
        """Run `run` on the timer thread at `when` of `time.monotonic()`."""
        with self._changed:
            first = not self._timers or when < self._timers[0][0]
            heapq.heappush(self._timers, (when, next(self._numbers), run))
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="penstock-timer", daemon=True)
                self._thread.start()
            elif first:
                self._changed.notify()

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not self._timers:
                    self._changed.wait()
                seconds = self._timers[0][0] - time.monotonic()
                if seconds > 0:
                    self._changed.wait(seconds)
                    continue
                run = heapq.heappop(self._timers)[2]
            run()


class LoopScheduler:
    """Timers of one asyncio loop; the limiter's clock must be `loop.time`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call_at(self, when: float, run: Callable[[], None]) -> None:
        """Run `run` on the loop at `when` of its own clock."""
        self._loop.call_at(when, run)
