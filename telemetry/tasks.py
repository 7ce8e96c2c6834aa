"""Tasks: one user action, such as an agent run, and everything that it fans out to.

A task is named by `task()` and carried by a ContextVar into asyncio tasks and copied contexts. Where
nobody names one, the root span of the trace is the task (`roots`).
"""

import functools
import inspect
import time
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token
from threading import get_ident
from types import TracebackType
from typing import Final, ParamSpec, Self, TypeVar, cast

from penstock.classifiers import SpanKind as Kind
from penstock.classifiers import Verdict
from penstock.telemetry import guard
from penstock.telemetry import semconv as names
from penstock.telemetry.collecting import COLLECTING, apart
from penstock.telemetry.desk import DESKS, WorkSpan, failure, report
from penstock.telemetry.records import Task

P = ParamSpec("P")
R = TypeVar("R")

_CURRENT: Final[ContextVar[Task | None]] = ContextVar("penstock_task", default=None)
NORMAL: Final = "normal"
DEFAULT_TENANT: Final = "default"


def current_task() -> Task | None:
    """Find the task that this code runs in: the innermost named one, else the trace's root."""
    named = _CURRENT.get()
    if named is not None:
        return named
    return DESKS[-1].root_task() if DESKS else None


class TaskScope:
    """What `task()` returns: a context manager (`with`, `async with`) and a decorator.

    Entering gives the `Task` record. A scope may be entered again, also at the same time: each entry is
    a task of its own.
    """

    def __init__(
        self,
        name: str,
        *,
        priority: str | None = None,
        deadline_seconds: float | None = None,
        tenant: str | None = None,
        id: str | None = None,
    ) -> None:
        self.name = name
        self._priority = priority
        self._deadline_seconds = deadline_seconds
        self._tenant = tenant
        self._id = id
        self._entries: list[TaskRun] = []

    def __enter__(self) -> Task:
        entry = TaskRun(self._record())
        guard.quietly("tasks.resume", entry.resume)
        self._entries.append(entry)
        return entry.task

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        guard.quietly("tasks.leave", self._leave, error)

    async def __aenter__(self) -> Task:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function or coroutine function: every call is a task."""
        if inspect.iscoroutinefunction(function):
            coroutine = cast("Callable[P, Awaitable[object]]", function)

            @functools.wraps(function)
            async def run_async(*args: P.args, **kwargs: P.kwargs) -> object:
                with self._fresh():
                    return await coroutine(*args, **kwargs)

            return cast("Callable[P, R]", run_async)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._fresh():
                return function(*args, **kwargs)

        return run

    def _fresh(self) -> Self:
        return type(self)(
            self.name,
            priority=self._priority,
            deadline_seconds=self._deadline_seconds,
            tenant=self._tenant,
            id=self._id,
        )

    def _record(self) -> Task:
        """Make the record; a task inside another keeps its age, priority, tenant and deadline."""
        outer = _CURRENT.get()
        now = time.monotonic()
        deadline = None if self._deadline_seconds is None else now + self._deadline_seconds
        if outer is not None and outer.deadline is not None:
            deadline = outer.deadline if deadline is None else min(deadline, outer.deadline)
        return Task(
            id=self._id or uuid.uuid4().hex,
            name=self.name,
            started_ns=time.time_ns(),
            started_monotonic=outer.started_monotonic if outer else now,
            priority=self._priority or (outer.priority if outer else NORMAL),
            tenant=self._tenant or (outer.tenant if outer else DEFAULT_TENANT),
            deadline=deadline,
            parent=outer,
        )

    def _leave(self, error: BaseException | None) -> None:
        mine = _CURRENT.get()
        entries = tuple(self._entries)  # other threads may come and go
        entry = next((entry for entry in entries if entry.task is mine), entries[-1])
        self._entries.remove(entry)
        entry.suspend()
        entry.end(error)


def task(
    name: str,
    *,
    priority: str | None = None,
    deadline_seconds: float | None = None,
    tenant: str | None = None,
    id: str | None = None,
) -> TaskScope:
    """Name one user action, as a context manager (`with`, `async with`) or a decorator.

    `priority` is interactive, normal or batch; a call that would start after `deadline_seconds` is
    refused by the limiter. `tenant` is whom to be fair between. All default to the enclosing task's.
    """
    return TaskScope(name, priority=priority, deadline_seconds=deadline_seconds, tenant=tenant, id=id)


def agent_run(name: str) -> "TaskRun | None":
    """Begin the task that a framework's agent run is; None inside a task: the run is a part of that."""
    return None if _CURRENT.get() is not None else TaskRun(TaskScope(name)._record())


class TaskRun:
    """A task while it runs. It is current between `resume` and `suspend`, as often as its code goes on."""

    __slots__ = ("_span", "_token", "task")

    def __init__(self, record: Task) -> None:
        self.task = record
        self._token: Token[Task | None] | None = None
        head = {names.SPAN_KIND: names.KIND_TASK, names.TASK_ID: record.id, names.TASK_NAME: record.name}
        self._span = WorkSpan(f"task {record.name}", record.started_ns, head)

    def resume(self) -> None:
        """Make the task and its span current."""
        self._token = _CURRENT.set(self.task)
        self._span.attach()

    def suspend(self) -> None:
        """Make current again what was before."""
        self._span.detach()
        token, self._token = self._token, None
        if token is None:
            return
        try:
            _CURRENT.reset(token)
        except ValueError:
            _CURRENT.set(self.task.parent)  # left in another context than entered, as async fixtures do

    def end(self, error: BaseException | None) -> None:
        """Close it, once, and tell of it."""
        if get_ident() in COLLECTING:
            apart(self.end, error)
            return
        task = self.task
        if task.ended_ns is not None:
            return
        task.ended_ns = time.time_ns()
        task.verdict = _verdict(task, error)
        report("task_ended", lambda sink: sink.task_ended(task))
        self._span.end(task.ended_ns, task.verdict, error, tail(task))


def tail(record: Task) -> dict[str, int | str]:
    """Say what a task did, for its span, and how far its answers can be trusted."""
    trust = {} if record.lineage is None else {names.TRUST: record.lineage.level}
    return {
        **trust,
        names.TASK_OPERATIONS: record.operations,
        names.TASK_ATTEMPTS: record.attempts,
        names.TASK_FANOUT_PEAK: record.live_peak,
    }


def _verdict(task: Task, error: BaseException | None) -> Verdict | None:
    """Classify what ended a task; an exception that a tool raised stays a tool's."""
    if error is None:
        return None
    return failure(error, Kind.TOOL if id(error) == task.tool_error else Kind.AGENT)
