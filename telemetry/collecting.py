"""What the garbage collector ends is told by another thread: it stops a thread inside of anything.

A stream of an SDK is a cycle, so one that is dropped halfway ends in whichever thread allocates next: it may
hold a lock of the limiter, of an exporter or of a logger, or be changing its context, which CPython 3.11 does
not survive if a finalizer changes it too.
"""

import _thread
import gc
import os
from collections.abc import Callable
from threading import get_ident
from typing import Any, Final

from penstock.telemetry.guard import quietly

COLLECTING: Final[list[int]] = []
"""The thread that collects garbage right now: `get_ident() in COLLECTING` tells whether it is this one."""
_untold: Final[list[_thread.LockType]] = []


def watch() -> None:
    """Know from now on when garbage is collected."""
    if _phase not in gc.callbacks:
        gc.callbacks.append(_phase)


def unwatch() -> None:
    """Let garbage be."""
    if _phase in gc.callbacks:
        gc.callbacks.remove(_phase)
    COLLECTING.clear()


def apart(tell: Callable[..., object], *args: Any) -> None:
    """Call `tell` in a thread of its own, or here where none can be started.

    It is a bare one: `threading`'s own start takes locks too.
    """
    told = _thread.allocate_lock()
    told.acquire()
    _untold.append(told)

    def run() -> None:
        quietly("collecting.apart", tell, *args)
        _untold.remove(told)
        told.release()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:  # the interpreter is going down
        run()


def wait(seconds: float) -> None:
    """Wait until everything is told that was handed over so far, at most so long for each."""
    for told in tuple(_untold):
        if told.acquire(timeout=seconds):
            told.release()


def _phase(phase: str, info: object) -> None:
    if phase == "start":
        COLLECTING.append(get_ident())
    else:
        COLLECTING.clear()


def _in_child() -> None:
    COLLECTING.clear()
    _untold.clear()


os.register_at_fork(after_in_child=_in_child)
