"""Operations: which physical sends belong to one logical request, and when that request is over.

An operation opens with the first attempt under a scope. A scope is one call of an SDK's request loop
(so that its internal retries share one operation) or, for plain HTTP clients, one send. It is over
when the loop has returned or raised and the last attempt's body has ended, whichever is later.
"""

import asyncio
import time
from collections.abc import Sequence
from contextvars import ContextVar, Token
from threading import get_ident
from typing import TYPE_CHECKING, Final

from penstock.classifiers import SpanKind, Verdict, verdict_of_exception
from penstock.telemetry import guard
from penstock.telemetry.adoption import answered
from penstock.telemetry.collecting import COLLECTING, apart
from penstock.telemetry.records import Attempt, Operation, WorkSink
from penstock.telemetry.spans import OperationSpan, SpanWriter

if TYPE_CHECKING:
    from penstock.providers import Outcome

CURRENT: Final[ContextVar["OperationScope | None"]] = ContextVar("penstock_operation", default=None)
"""The scope that sends of this task or thread belong to."""


class OperationScope:
    """One logical request while it runs. `operation` is None until its first attempt or refusal."""

    __slots__ = ("_open", "_sinks", "_writer", "going", "last", "operation", "span", "started_ns")

    def __init__(self, writer: SpanWriter, sinks: Sequence[WorkSink]) -> None:
        self.started_ns = time.time_ns()
        self.operation: Operation | None = None
        self.span: OperationSpan | None = None
        self.last: Attempt | None = None
        self._writer = writer
        self._sinks = sinks
        self._open = 1  # the loop itself, then each live attempt
        self.going: list[None] = [None]
        """Empty once the operation is over: a task begun within it may outlive it, and call on its own."""

    def open(self, operation: Operation) -> Operation:
        """Open the operation, or go on with the one that an earlier attempt opened."""
        if self.operation is None:
            self.operation = operation
            if operation.task is not None:
                operation.task.operations += 1
            self.span = self._writer.operation_started(operation)
            if self.span is not None:
                operation.span = self.span.span.get_span_context()
        return self.operation

    def attempt_started(self, attempt: Attempt) -> None:
        """Count a physical send; what an earlier one ended with no longer stands."""
        self._open += 1
        self.last = attempt
        attempt.operation.attempts += 1
        attempt.operation.verdict = None

    def attempt_ended(self, attempt: Attempt, outcome: "Outcome | None") -> None:
        """Take over what an attempt learnt; close if nothing else is open."""
        if attempt is self.last:
            operation = attempt.operation
            operation.verdict = attempt.verdict
            if outcome is not None:
                operation.usage = outcome.usage
                operation.response_model = outcome.model
                operation.response_id = outcome.response_id
                operation.finish_reason = outcome.finish_reason
                if self.span is not None and outcome.response_id is not None:
                    answered(outcome.response_id)
        self.close_one(attempt.ended_ns)

    def refused(self, verdict: Verdict) -> None:
        """The limiter said no; the loop will turn that into the SDK's error."""
        if self.operation is not None:
            self.operation.verdict = verdict

    def close_one(self, ended_ns: int | None = None) -> None:
        """The loop gave the app an answer, or an attempt has ended: the last of them closes the operation."""
        self._open -= 1
        operation = self.operation
        if operation is None or self._open > 0:
            return
        try:
            self.going.pop()  # atomic: of two threads that close at once, one goes on
        except IndexError:
            return
        operation.ended_ns = ended_ns or time.time_ns()
        if self.span is not None:
            self._writer.operation_ended(operation, self.span, self.last)
        for sink in self._sinks:
            try:
                sink.operation_ended(operation)
            except guard.OURS as ours:
                guard.failed("sink.operation_ended", ours)

    def raised(self, error: BaseException) -> None:
        """The loop raised: the last attempt's verdict stands, else the exception is classified."""
        if get_ident() in COLLECTING:
            apart(self.raised, error)
            return
        operation = self.operation
        try:
            if operation is not None and (operation.verdict is None or gave_up(error)):
                operation.verdict = verdict_of_raised(error, operation.provider)
        except guard.OURS as ours:
            guard.failed("operations.raised", ours)
        self.close_one()


def gave_up(error: BaseException) -> bool:
    """Tell the app's own end of a call from a failure: a cancelled task, an exit, a closed coroutine."""
    return not isinstance(error, Exception)


def verdict_of_raised(error: BaseException, provider: str, *, stream_started: bool = False) -> Verdict:
    """Classify what left a call."""
    told = asyncio.CancelledError() if gave_up(error) else error
    return verdict_of_exception(
        told, provider=provider, span_kind=SpanKind.LLM, stream_started=stream_started
    )


def leave(token: Token[OperationScope | None]) -> None:
    """Restore what was current before; a scope left in a foreign context stays behind harmlessly."""
    try:
        CURRENT.reset(token)
    except ValueError:
        CURRENT.set(None)
