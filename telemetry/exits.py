"""Run something once when the process ends, however it ends, short of SIGKILL.

`atexit` misses two ways: SIGTERM's default, and `os._exit`, by which every forked worker of
multiprocessing, billiard and many servers leaves.
"""

import atexit
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

from penstock.telemetry import guard

_finishers: Final[list[Callable[[], None]]] = []
_real_exit: Final = os._exit


def on_exit(finish: Callable[[], None]) -> Callable[[], None]:
    """Call `finish` at the end of the process; returns the way to take it back."""
    if not _finishers:
        _hook()
    _finishers.append(finish)

    def forget() -> None:
        if finish in _finishers:
            _finishers.remove(finish)
        if not _finishers:
            _unhook()

    return forget


def _run() -> None:
    for finish in tuple(_finishers):
        try:
            finish()
        except guard.OURS as error:
            guard.failed("exits", error)


def _hook() -> None:
    atexit.register(_run)
    os._exit = _exit
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, _terminated)


def _unhook() -> None:
    atexit.unregister(_run)
    if os._exit is _exit:
        os._exit = _real_exit
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is _terminated
    ):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(status: int) -> NoReturn:
    _run()
    _real_exit(status)


def _terminated(number: int, frame: FrameType | None) -> None:
    """Finish, then die of the signal itself, so that the parent sees what it would have seen."""
    _run()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
