"""How a task waits until any thread wakes it: under asyncio, and under trio where that runs it."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Awaitable, Callable
from types import ModuleType

Parking = tuple[Callable[[], Awaitable[object]], Callable[[], None]]
"""What the task calls and awaits, and what ends that."""


def park() -> Parking:
    """Make a wait for the task that runs now. To wake it is safe from any thread, and when its loop is gone.

    Raises:
        RuntimeError: neither asyncio nor trio runs this.
    """
    trio = sys.modules.get("trio")  # nobody is in a task of trio's who has not loaded it
    if trio is not None and trio.lowlevel.in_trio_task():
        return _in_trio(trio)
    return _in_asyncio(asyncio.get_running_loop())


def _in_asyncio(loop: asyncio.AbstractEventLoop) -> Parking:
    future: asyncio.Future[None] = loop.create_future()
    home = threading.get_ident()

    def done() -> None:
        if not future.done():
            future.set_result(None)

    def wake() -> None:
        # A closed loop's task is gone; its place was given back when it was cancelled.
        with contextlib.suppress(RuntimeError):
            if threading.get_ident() == home:
                done()
            else:
                loop.call_soon_threadsafe(done)

    return lambda: future, wake


def _in_trio(trio: ModuleType) -> Parking:
    over, token = trio.Event(), trio.lowlevel.current_trio_token()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # as above: a run that has finished
            token.run_sync_soon(over.set)

    return over.wait, wake
