"""Run something once when the process ends, however it ends, short of SIGKILL.

`atexit` misses two ways: SIGTERM's default, and `os._exit`, by which every forked worker of
multiprocessing, billiard and many servers leaves.
"""

import _thread
import atexit
import os
import signal
import threading
from collections.abc import Callable
from types import BuiltinFunctionType, FrameType
from typing import Final, NoReturn

from penstock.telemetry import guard

_PATIENCE_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 10.0
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
    _run_apart(_LONGEST_SECONDS)
    _real_exit(status)


def _terminated(number: int, frame: FrameType | None) -> None:
    """Finish, then die of the signal itself, so that the parent sees what it would have seen.

    Where this thread holds a lock that finishing needs, it must go on to free it: the signal comes again
    when all is done. A second one in between is obeyed at once.
    """
    signal.signal(number, _die)
    if _run_apart(_PATIENCE_SECONDS, then=lambda: os.kill(os.getpid(), number)):
        _die(number, frame)


def _die(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _run_apart(seconds: float, then: Callable[[], None] = lambda: None) -> bool:
    """Finish in a thread of its own and wait so long for it; a signal may have stopped this one anywhere.

    It may hold one of our locks, or one of `threading`'s own: hence the bare thread. Threads that gevent made
    greenlets cannot run while this one waits.
    """
    if not isinstance(_thread.start_new_thread, BuiltinFunctionType):
        _run()
        return True
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            _run()
        finally:
            done.release()
        then()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:  # the interpreter is going down and starts no more threads
        _run()
        return True
    return done.acquire(timeout=seconds)
