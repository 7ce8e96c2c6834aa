"""Agent runs of frameworks as tasks, where nobody named one.

LangGraph, OpenAI Agents, pydantic-ai, LlamaIndex.

A run inside a task is a part of it. A stream's run goes on whenever the app asks for the next piece, and is
suspended in between: what the app does then is its own.
"""

import asyncio
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Final, Self

import wrapt

from penstock.telemetry import guard
from penstock.telemetry.hooks.patching import Wrapper, active, wrap
from penstock.telemetry.tasks import TaskRun, agent_run


def _first(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    agent = args[0] if args else kwargs.get("starting_agent")
    return getattr(agent, "name", None)


def _own(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    return getattr(instance, "name", None)


Named = Callable[[Any, tuple[Any, ...], dict[str, Any]], object]
"""Finds an agent's name in a call that runs it."""


def _begin(named: Named, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskRun | None:
    if active() is None:
        return None
    return agent_run(str(named(instance, args, kwargs) or "agent"))


class _Current:
    """Between `resume` and `suspend`: one stretch of a run. What ends it badly ends the run, if told to."""

    __slots__ = ("_ends", "_run")

    def __init__(self, run: TaskRun, *, ends: bool = False) -> None:
        self._run, self._ends = run, ends

    def __enter__(self) -> None:
        guard.quietly("agents.resume", self._run.resume)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        guard.quietly("agents.suspend", self._run.suspend)
        if self._ends or error is not None:
            over = isinstance(error, StopIteration | StopAsyncIteration)
            guard.quietly("agents.end", self._run.end, None if over else error)


class _Stream(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """What all streams share: dropped halfway, the run ends with it."""

    def __init__(self, wrapped: Any, run: TaskRun) -> None:
        super().__init__(wrapped)
        self._self_run = run
        weakref.finalize(self, run.end, None).atexit = False


class _Pieces(_Stream):
    """A generator whose every step runs in the task."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        with _Current(self._self_run):
            return next(self.__wrapped__)

    def send(self, value: Any) -> Any:
        with _Current(self._self_run):
            return self.__wrapped__.send(value)

    def throw(self, *error: Any) -> Any:
        with _Current(self._self_run):
            return self.__wrapped__.throw(*error)

    def close(self) -> None:
        with _Current(self._self_run, ends=True):
            self.__wrapped__.close()


class _AsyncPieces(_Stream):
    """An async generator whose every step runs in the task."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        with _Current(self._self_run):
            return await anext(self.__wrapped__)

    async def asend(self, value: Any) -> Any:
        with _Current(self._self_run):
            return await self.__wrapped__.asend(value)

    async def athrow(self, *error: Any) -> Any:
        with _Current(self._self_run):
            return await self.__wrapped__.athrow(*error)

    async def aclose(self) -> None:
        with _Current(self._self_run, ends=True):
            await self.__wrapped__.aclose()


class _Managed(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """An async context manager whose block is the run."""

    def __init__(self, wrapped: Any, run: TaskRun) -> None:
        super().__init__(wrapped)
        self._self_run = run

    async def __aenter__(self) -> Any:
        guard.quietly("agents.resume", self._self_run.resume)
        try:
            return await self.__wrapped__.__aenter__()
        except BaseException as error:
            self._over(error)
            raise

    async def __aexit__(self, *raised: Any) -> Any:
        try:
            return await self.__wrapped__.__aexit__(*raised)
        finally:
            self._over(raised[1])

    def _over(self, error: BaseException | None) -> None:
        guard.quietly("agents.suspend", self._self_run.suspend)
        guard.quietly("agents.end", self._self_run.end, error)


def _call(named: Named) -> Wrapper:
    def run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        mine = guard.quietly("agents.begin", _begin, named, instance, args, kwargs)
        if mine is None:
            return wrapped(*args, **kwargs)
        with _Current(mine, ends=True):
            return wrapped(*args, **kwargs)

    return run


def _coroutine(named: Named) -> Wrapper:
    async def run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        mine = guard.quietly("agents.begin", _begin, named, instance, args, kwargs)
        if mine is None:
            return await wrapped(*args, **kwargs)
        with _Current(mine, ends=True):
            return await wrapped(*args, **kwargs)

    return run


def _proxied(proxy: Callable[[Any, TaskRun], Any]) -> Callable[[Named], Wrapper]:
    def make(named: Named) -> Wrapper:
        def run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            result = wrapped(*args, **kwargs)
            mine = guard.quietly("agents.begin", _begin, named, instance, args, kwargs)
            return result if mine is None else proxy(result, mine)

        return run

    return make


def _background(of_result: str) -> Callable[[Named], Wrapper]:
    """Make a wrapper for a call that leaves its run in an asyncio task, an attribute of what it returns."""

    def make(named: Named) -> Wrapper:
        def run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            mine = guard.quietly("agents.begin", _begin, named, instance, args, kwargs)
            if mine is None:
                return wrapped(*args, **kwargs)
            with _Current(mine):  # what is started here inherits the context
                result = wrapped(*args, **kwargs)
            guard.quietly("agents.background", _when_done, getattr(result, of_result, None), mine)
            return result

        return run

    return make


def _when_done(background: "asyncio.Task[Any] | None", mine: TaskRun) -> None:
    def over(done: "asyncio.Task[Any]") -> None:
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        guard.quietly("agents.end", mine.end, error)

    if background is None:
        mine.end(None)
    else:
        background.add_done_callback(over)


@dataclass(frozen=True, slots=True)
class AgentRuns:
    """Where a framework runs agents: a class, its method, and how that method runs."""

    owner: str
    method: str
    make: Callable[[Named], Wrapper]
    named: Named = _own


RUNS: Final[dict[str, tuple[AgentRuns, ...]]] = {
    "agents.run": (
        AgentRuns("AgentRunner", "run", _coroutine, _first),
        AgentRuns("AgentRunner", "run_streamed", _background("run_loop_task"), _first),
    ),
    "langgraph.pregel.main": (
        AgentRuns("Pregel", "invoke", _call),
        AgentRuns("Pregel", "ainvoke", _coroutine),
        AgentRuns("Pregel", "stream", _proxied(_Pieces)),
        AgentRuns("Pregel", "astream", _proxied(_AsyncPieces)),
    ),
    "llama_index.core.agent.workflow.base_agent": (
        AgentRuns("BaseWorkflowAgent", "run", _background("_result_task")),
    ),
    "llama_index.core.agent.workflow.multi_agent_workflow": (
        AgentRuns("AgentWorkflow", "run", _background("_result_task")),
    ),
    "pydantic_ai.agent": (AgentRuns("Agent", "iter", _proxied(_Managed)),),
}


def patch(name: str) -> Callable[[ModuleType], None]:
    """Make the patch of one module."""

    def apply(module: ModuleType) -> None:
        for runs in RUNS[name]:
            owner = getattr(module, runs.owner, None)
            if owner is not None:
                wrap(owner, runs.method, runs.make(runs.named))

    return apply
