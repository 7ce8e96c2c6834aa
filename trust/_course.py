"""One course of events for sync and async callers alike.

A course is a generator: it yields each thing that may block or be awaited as a `Step` and goes on with
what came of it, a result or an exception. Two short drivers run it.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

from penstock.errors import UsageError


@dataclass(frozen=True, slots=True)
class Step:
    """Something to call. In an event loop, `wait` is awaited instead where there is one, and `blocking`
    calls run in a thread; of the others, a result that can be awaited is.
    """

    call: Callable[[], Any]
    blocking: bool = False
    wait: Callable[[], Awaitable[Any]] | None = None


Course = Generator[Step, Any, Any]


def run(course: Course) -> Any:
    """Drive a course in this thread."""
    value, failure = None, None
    while True:
        try:
            step = course.throw(failure) if failure is not None else course.send(value)
        except StopIteration as stop:
            return stop.value
        except RuntimeError as error:
            if isinstance(failure, StopIteration) and error.__cause__ is failure:
                raise failure from None  # the work's own, which no generator lets through as it is
            raise
        value, failure = None, None
        try:
            value = _sync(step.call())
        except BaseException as error:  # noqa: BLE001 - it goes on inside the course
            failure = error


async def run_async(course: Course) -> Any:
    """Drive a course in this event loop; what blocks runs in a thread."""
    value, failure = None, None
    while True:
        try:
            step = course.throw(failure) if failure is not None else course.send(value)
        except StopIteration as stop:
            return stop.value
        value, failure = None, None
        try:
            value = await _awaited(step)
        except BaseException as error:  # noqa: BLE001 - it goes on inside the course
            failure = error


async def _awaited(step: Step) -> object:
    if step.wait is not None:
        return await step.wait()
    if step.blocking:
        return await _in_thread(step.call)
    value = step.call()
    return await value if inspect.isawaitable(value) else value


def _sync(value: object) -> object:
    if not inspect.isawaitable(value):
        return value
    if inspect.iscoroutine(value):
        value.close()  # or Python warns that it was never awaited
    raise UsageError("guarded sync work, its recheck and its ask must not be async; make the work async too")


async def _in_thread(call: Callable[[], Any]) -> Any:
    """Call in a thread and, if cancelled meanwhile, see it end: half a ledger write is no state to leave."""
    future = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait({future})
        raise
