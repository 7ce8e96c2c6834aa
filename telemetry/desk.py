"""Spans and reports of the work that no HTTP hook sees: tasks and tools.

A desk is open while a runtime is up. Without one, tasks are still carried, and nothing is told.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextvars import Token
from dataclasses import dataclass
from typing import Final

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from penstock.classifiers import SpanKind as Kind
from penstock.classifiers import Verdict, verdict_of_exception
from penstock.telemetry import guard
from penstock.telemetry import semconv as names
from penstock.telemetry.adoption import verdict_tail
from penstock.telemetry.records import Task, WorkSink


@dataclass(frozen=True, slots=True)
class Desk:
    """Who is told of tasks and tools, and who gives them spans. `root_task` finds the trace's task."""

    tracer_source: Callable[[], Tracer | None]
    work_sinks: Sequence[WorkSink]
    root_task: Callable[[], Task | None] = lambda: None


DESKS: Final[list[Desk]] = []
"""Those that are open; the last is told. None before a runtime is up and after its shutdown."""


def open_desk(desk: Desk) -> None:
    """Report to `desk` from now on."""
    DESKS.append(desk)


def close_desk(desk: Desk) -> None:
    """Stop reporting to `desk`."""
    if desk in DESKS:
        DESKS.remove(desk)


def current_desk() -> Desk | None:
    """Find who is told now; nobody before a runtime is up and after its shutdown."""
    return DESKS[-1] if DESKS else None


def report(place: str, tell: Callable[[WorkSink], None]) -> None:
    """Tell every sink; a sink's failure is ours and not the app's."""
    desk = current_desk()
    for sink in desk.work_sinks if desk is not None else ():
        try:
            tell(sink)
        except guard.OURS as error:
            guard.failed(f"sink.{place}", error)


# How frameworks pause a run or hand it on: LangGraph's interrupts and commands, pydantic-ai's deferred
# calls and approvals, LlamaIndex's wait for an event.
_CONTROL: Final = frozenset(
    {"GraphBubbleUp", "CallDeferred", "ApprovalRequired", "SkipToolExecution", "WaitingForEvent"}
)


def failure(error: BaseException, kind: Kind) -> Verdict | None:
    """Classify what ended a task or a tool call; what was closed by its reader or paused did not fail."""
    if isinstance(error, GeneratorExit) or any(base.__name__ in _CONTROL for base in type(error).__mro__):
        return None
    cancelled = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
    try:
        return verdict_of_exception(error, span_kind=Kind.UNKNOWN if cancelled else kind)
    except guard.OURS as ours:
        guard.failed("desk.failure", ours)
        return None


class WorkSpan:
    """A span of our own below whatever is current, or one `adopted`: its owner ends it. Never raises."""

    __slots__ = ("_adopted", "_span", "_token")

    def __init__(
        self,
        name: str,
        started_ns: int,
        attributes: Mapping[str, AttributeValue],
        *,
        adopted: Span | None = None,
    ) -> None:
        self._span: Span | None = adopted
        self._adopted = adopted is not None
        self._token: Token[context_api.Context] | None = None
        try:
            if adopted is not None:
                adopted.set_attributes(attributes)
                return
            desk = current_desk()
            tracer = desk.tracer_source() if desk is not None else None
            if tracer is not None:
                self._span = tracer.start_span(
                    name, kind=SpanKind.INTERNAL, attributes=attributes, start_time=started_ns
                )
        except guard.OURS as error:
            guard.failed("desk.start_span", error)

    def attach(self) -> None:
        """Make it current."""
        if self._span is not None and self._token is None:
            self._token = context_api.attach(trace.set_span_in_context(self._span))

    def detach(self) -> None:
        """Make the former span current again."""
        token, self._token = self._token, None
        if token is not None:
            # Not `detach()`, which logs an error where a generator or fixture left in another context.
            with contextlib.suppress(ValueError):
                context_api._RUNTIME_CONTEXT.detach(token)

    def end(
        self,
        ended_ns: int,
        verdict: Verdict | None,
        error: BaseException | None,
        attributes: Mapping[str, AttributeValue],
    ) -> None:
        """Close it: what failed by class and exception type, never by message."""
        if self._span is None:
            return
        try:
            facts = dict(attributes)
            verdict_tail(facts, verdict)
            if verdict is not None:
                if error is not None:
                    facts[names.ERROR_TYPE] = type(error).__qualname__
                if not self._adopted:
                    self._span.set_status(Status(StatusCode.ERROR, verdict.error_class.value))
            self._span.set_attributes(facts)
            if not self._adopted:
                self._span.end(ended_ns)
        except guard.OURS as ours:
            guard.failed("desk.end_span", ours)
