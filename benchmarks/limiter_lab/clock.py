"""An asyncio loop whose time jumps to the next timer, so that a day passes in minutes."""

import asyncio
import contextlib
import heapq
import time
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Final, TypeVar

T = TypeVar("T")

START: Final = 6000.0
"""Where loop time starts: not 0, which careless code takes for "never"."""
EPOCH: Final = 1_750_000_000.0


class NothingLeftError(RuntimeError):
    """Everyone waits and no timer is set."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is ready; when nothing is, jumps to the next timer. No sockets, no threads."""

    def __init__(self) -> None:
        super().__init__()
        self._at = START
        self._timers: list[tuple[float, int, Any]] = []
        self._count = 0

    def time(self) -> float:
        return self._at

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        timer._scheduled = True
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, timer))
        return timer

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def sleep_until(self, when: float) -> "asyncio.Future[None]":
        """Make a future that is done at `when`: cheaper than `asyncio.sleep`."""
        future = self.create_future()
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, future))
        return future

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """Run it here and now: virtual time has one thread."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is the future's to raise
            future.set_exception(error)
        return future

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def _write_to_self(self) -> None:
        """Need no waking when a peer's thread calls in: this loop never sleeps."""

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers
        while not self._stopping:
            if not ready:
                self._jump(timers)
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()

    def _jump(self, timers: list[tuple[float, int, Any]]) -> None:
        while timers:
            when, _, item = heapq.heappop(timers)
            if item.cancelled():
                continue
            # At least a nanosecond: a sleep too short to change the clock would never end.
            least = self._at + 1e-9
            self._at = max(least, when)
            if type(item) is asyncio.TimerHandle:
                self._ready.append(item)
            elif not item.done():
                item.set_result(None)
            return
        raise NothingLeftError("every task waits for something that no timer will bring")


def run(loop: VirtualLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time, and cancel what it leaves behind."""
    with patched(loop):
        try:
            return loop.run_until_complete(main)
        finally:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.close()


@contextlib.contextmanager
def patched(loop: VirtualLoop) -> Generator[None, None, None]:
    """Let everyone who asks the `time` module, rather than the loop, see virtual time."""
    fakes: dict[str, Callable[[], float]] = {
        "monotonic": loop.time,
        "perf_counter": loop.time,
        "time": lambda: EPOCH + loop.time() - START,
        "monotonic_ns": lambda: int(loop.time() * 1e9),
        "perf_counter_ns": lambda: int(loop.time() * 1e9),
        "time_ns": lambda: int((EPOCH + loop.time() - START) * 1e9),
    }
    real = {name: getattr(time, name) for name in fakes}
    try:
        for name, fake in fakes.items():
            setattr(time, name, fake)
        yield
    finally:
        for name, function in real.items():
            setattr(time, name, function)
