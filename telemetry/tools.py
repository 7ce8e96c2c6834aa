"""Tools: one span and one count an execution, marked by `@tool` or seen in a framework.

Whatever a tool raises is class *tool*, its own 429s and timeouts included, and passes on untouched.
"""

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import ContextVar, Token
from threading import get_ident
from types import TracebackType
from typing import Any, Final, ParamSpec, Protocol, TypeVar, cast, overload

from penstock.classifiers import SpanKind as Kind
from penstock.classifiers import Verdict
from penstock.telemetry import guard
from penstock.telemetry import semconv as names
from penstock.telemetry.adoption import tool_span
from penstock.telemetry.collecting import COLLECTING, apart
from penstock.telemetry.desk import WorkSpan, failure, report
from penstock.telemetry.records import ToolCall
from penstock.telemetry.tasks import current_task

P = ParamSpec("P")
R = TypeVar("R")
_EXECUTE: Final = "execute_tool"
_MARKED: Final = "@tool"

_INNERMOST: Final[ContextVar["ToolScope | None"]] = ContextVar("penstock_tool", default=None)


def innermost_tool() -> "ToolScope | None":
    """Find the execution that this code runs in."""
    return _INNERMOST.get()


class ToolScope:
    """One execution of a tool, as a context manager. `current`: spans inside become its children.

    A generator's body runs in its reader's context, so there the span must not be made current.
    `seen_by` is who shows the execution: a framework, MCP, or the `@tool` mark. Two of them may show the
    same one (a LangChain tool that calls an MCP tool of its name): the outer counts, the inner tells it
    of failures. A marked function that calls itself is several executions.
    """

    def __init__(self, name: str, *, current: bool = True, seen_by: str = _MARKED) -> None:
        self.name = name
        self._current = current
        self._seen_by = seen_by
        self._same: ToolScope | None = None
        self._call: ToolCall | None = None
        self._span: WorkSpan | None = None
        self._token: Token[ToolScope | None] | None = None

    def __enter__(self) -> "ToolScope":
        guard.quietly("tools.enter", self._enter)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        guard.quietly("tools.leave", self._leave, error)

    def _enter(self) -> None:
        outer = _INNERMOST.get()
        if outer is not None and outer.name == self.name and (outer._seen_by, self._seen_by) != _TWICE_MARKED:
            self._same = outer
            return
        self._call = ToolCall(name=self.name, started_ns=time.time_ns(), task=current_task())
        head = {names.SPAN_KIND: names.KIND_TOOL, names.OPERATION_NAME: _EXECUTE, names.TOOL_NAME: self.name}
        if self._call.task is not None:
            head[names.TASK_ID] = self._call.task.id
        adopted = guard.quietly("tools.adopt", tool_span, self.name)
        self._span = WorkSpan(f"{_EXECUTE} {self.name}", self._call.started_ns, head, adopted=adopted)
        if self._current:
            self._span.attach()
            self._token = _INNERMOST.set(self)

    def _leave(self, error: BaseException | None) -> None:
        if self._token is not None:
            _reset(self._token)
        if self._span is not None:
            self._span.detach()
        if error is not None:
            self.failed(error)
        if self._call is not None:
            self._call.ended_ns = time.time_ns()
            self._tell(self._call, error)

    def _tell(self, call: ToolCall, error: BaseException | None) -> None:
        if get_ident() in COLLECTING:  # a generator that was dropped
            apart(self._tell, call, error)
            return
        ended_ns = call.ended_ns or time.time_ns()
        report("tool_ended", lambda sink: sink.tool_ended(call))
        if self._span is not None:
            self._span.end(ended_ns, call.verdict, error, {})

    def failed(self, error: BaseException) -> None:
        """Note what the tool raised, also where a framework turns it into text for the model."""
        scope = self._same or self
        if scope._call is None:
            return
        scope._call.verdict = failure(error, Kind.TOOL)
        if scope._call.task is not None:
            scope._call.task.tool_error = id(error)

    def said(self, verdict: Verdict) -> None:
        """Note an answer that says the tool failed; an exception seen before says more."""
        scope = self._same or self
        if scope._call is not None and scope._call.verdict is None:
            scope._call.verdict = verdict


_TWICE_MARKED: Final = (_MARKED, _MARKED)


def _reset(token: Token[ToolScope | None]) -> None:
    try:
        _INNERMOST.reset(token)
    except ValueError:
        _INNERMOST.set(None)  # left in another context than entered


class _Decorator(Protocol):
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def tool(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def tool(*, name: str | None = None) -> _Decorator: ...
def tool(function: Callable[P, R] | None = None, /, *, name: str | None = None) -> object:
    """Mark a function as a tool: `@tool` or `@tool(name="search")`.

    Works on functions, coroutine functions, generators and async generators, and leaves what they
    return, yield and raise as it is. The name defaults to the function's.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return _wrap(function, name or str(getattr(function, "__name__", type(function).__name__)))

    return decorate if function is None else decorate(function)


Gate = Callable[[str, Callable[..., object]], Callable[..., object]]
"""Given a tool's name and function, returns what runs instead: it may refuse, ask, or replay."""

_gates: Final[list[Gate]] = []


def add_gate(gate: Gate) -> Callable[[], None]:
    """Let `gate` stand before every tool; returns the way to take it out."""
    _gates.append(gate)

    def remove() -> None:
        if gate in _gates:
            _gates.remove(gate)

    return remove


def gated(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """Put the gates that stand now before a tool's function."""
    for gate in _gates:
        function = cast("Callable[P, R]", gate(name, function))
    return function


def _wrap(function: Callable[P, R], name: str) -> Callable[P, R]:
    if inspect.isasyncgenfunction(function):
        return cast("Callable[P, R]", _wrap_async_generator(function, name))
    if inspect.isgeneratorfunction(function):
        return cast("Callable[P, R]", _wrap_generator(function, name))
    if inspect.iscoroutinefunction(function):
        return cast("Callable[P, R]", _wrap_coroutine(function, name))

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with ToolScope(name):
            return gated(name, function)(*args, **kwargs)

    return run


def _wrap_coroutine(function: Callable[P, Awaitable[R]], name: str) -> Callable[P, Awaitable[R]]:
    @functools.wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with ToolScope(name):
            return await gated(name, function)(*args, **kwargs)

    return run


def _wrap_generator(
    function: Callable[P, Generator[Any, Any, Any]], name: str
) -> Callable[P, Generator[Any, Any, Any]]:
    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
        with ToolScope(name, current=False):
            return (yield from gated(name, function)(*args, **kwargs))

    return run


def _wrap_async_generator(
    function: Callable[P, AsyncGenerator[Any, Any]], name: str
) -> Callable[P, AsyncGenerator[Any, Any]]:
    @functools.wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, Any]:
        with ToolScope(name, current=False):
            inner = gated(name, function)(*args, **kwargs)
            try:
                value = await anext(inner)
                while True:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        await inner.aclose()
                        raise
                    except BaseException as error:  # noqa: BLE001 - what `yield from` does, there is no async form
                        value = await inner.athrow(error)
                    else:
                        value = await inner.asend(sent)
            except StopAsyncIteration:
                return

    return run
