"""Carry the lineage into threads, which do not inherit ContextVars before Python 3.14.

Only our own ContextVars travel: a host's other context stays as it was.
"""

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar, cast

import wrapt

from penstock.trust import _lineage

P = ParamSpec("P")
R = TypeVar("R")

_Bound = list[tuple[ContextVar[Any], Any]]

_travellers: list[ContextVar[Any]] = []


def travels(var: ContextVar[Any]) -> None:
    """Let a ContextVar of this room follow into threads."""
    _travellers.append(var)


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """Bind the current lineage to `function`, wherever it will run: a thread, a queue's worker, a callback.

    The result may be called many times and from many threads at once. A coroutine function stays one.
    """
    bound = _here()
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def carried_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with _set(bound):
                return await function(*args, **kwargs)

        return cast("Callable[P, R]", carried_async)

    @functools.wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        with _set(bound):
            return function(*args, **kwargs)

    return carried


def _here() -> _Bound:
    return [(_lineage._scope, _lineage.scoped_cell()), *((var, var.get()) for var in _travellers)]


@contextmanager
def _set(bound: _Bound) -> Iterator[None]:
    tokens = [(var, var.set(value)) for var, value in bound]
    try:
        yield
    finally:
        for var, token in reversed(tokens):
            var.reset(token)


def _start(wrapped: Callable[[], None], thread: threading.Thread, args: Any, kwargs: Any) -> None:
    # On the instance, because subclasses override `run`. A bound method kept on its own instance is a
    # cycle, so it is taken off when the run is over.
    if "run" not in thread.__dict__ and any(value for _, value in _here()):
        thread.run = _once(thread, carry(thread.run))  # type: ignore[method-assign]
    wrapped(*args, **kwargs)


def _once(thread: threading.Thread, run: Callable[[], None]) -> Callable[[], None]:
    def carried_run() -> None:
        thread.__dict__.pop("run", None)
        run()

    return carried_run


def _submit(wrapped: Callable[..., Any], _executor: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    # Carried also outside any task: a worker must not keep the lineage of whoever started it.
    if not args:
        return wrapped(*args, **kwargs)
    return wrapped(carry(args[0]), *args[1:], **kwargs)


def follow_threads() -> Callable[[], None]:
    """Let the lineage follow `threading.Thread` and `ThreadPoolExecutor.submit`; returns the undo."""
    undo_start = _patch(threading.Thread, "start", _start)
    undo_submit = _patch(ThreadPoolExecutor, "submit", _submit)

    def undo() -> None:
        undo_start()
        undo_submit()

    return undo


def _patch(owner: type, name: str, wrapper: Callable[..., Any]) -> Callable[[], None]:
    original = owner.__dict__[name]
    live = threading.Event()
    live.set()
    wrapped = wrapt.FunctionWrapper(original, wrapper, enabled=live.is_set)
    setattr(owner, name, wrapped)

    def undo() -> None:
        # Someone may have wrapped ours meanwhile; theirs stays, and ours is inert beneath it.
        live.clear()
        if owner.__dict__.get(name) is wrapped:
            setattr(owner, name, original)

    return undo
