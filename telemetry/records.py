"""What happened, as plain records, and who is told: hooks write records, sinks read them.

A record is filled by one hook and is final once its `*_ended` callback has run. Times are
`time.time_ns()`, stamped once: the same stamp feeds the level tracker and the span, so that live and
offline figures agree to the last digit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from penstock.classifiers import Verdict
from penstock.providers import Quota, Usage
from penstock.telemetry import guard

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext


class Lineage(Protocol):
    """The origins of a task's answers, as far as telemetry needs them."""

    @property
    def level(self) -> str:
        """The trust of the weakest."""
        ...


@dataclass(slots=True, kw_only=True)
class Task:
    """One user action, such as an agent run. `deadline` is monotonic seconds."""

    id: str
    name: str
    started_ns: int
    started_monotonic: float
    priority: str = "normal"
    tenant: str = "default"
    deadline: float | None = None
    root: bool = False
    """True when nobody named it and the trace's root span stands for it; `id` is the trace's then."""
    parent: "Task | None" = None
    """The task that this one is a part of; what it does counts there too."""
    ended_ns: int | None = None
    operations: int = 0
    attempts: int = 0
    live: int = 0
    live_peak: int = 0
    verdict: Verdict | None = None
    tool_error: int | None = None
    """`id()` of the newest exception that a tool raised: if it ends the task, the tool failed."""
    lineage: "Lineage | None" = field(default=None, repr=False, compare=False)
    """Where the trust room keeps the origins of the task's answers."""


@dataclass(slots=True)
class Operation:
    """One logical LLM request the app asked for; `attempts` counts its physical sends.

    Made at each call, like `Attempt`: by position, since Python takes twice as long by keyword.
    """

    provider: str
    operation: str
    model: str
    pool: str
    started_ns: int
    stream: bool = False
    task: Task | None = None
    max_output_tokens: int | None = None
    attempts: int = 0
    ended_ns: int | None = None
    usage: Usage | None = None
    verdict: Verdict | None = None
    adopted: bool = False
    response_model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    trust: str | None = None
    trust_reason: str | None = None
    fallback_from: str | None = None
    span: "SpanContext | None" = field(default=None, repr=False)
    """Names its own span, or the one that describes it: that one holds this record, and is not held by it."""


@dataclass(slots=True)
class Attempt:
    """One physical request, from send to the last byte of its answer.

    `end` is eof | closed | broken | collected | cancelled. `queued_seconds` is time spent in our
    queue before the send, which is not in flight.
    """

    operation: Operation
    number: int
    provider: str
    host: str
    port: int | None
    pool: str
    model: str
    started_ns: int
    queued_seconds: float = 0.0
    retry_owner: str | None = None
    """sdk or penstock for attempts after the first."""
    ended_ns: int | None = None
    first_byte_ns: int | None = None
    status: int | None = None
    verdict: Verdict | None = None
    unread_quota: "Callable[[], Quota | None] | None" = field(default=None, repr=False, compare=False)
    """Reads what the answer's headers say of quotas; most of the time nobody asks at once."""
    _quota: Quota | None = field(default=None, init=False)
    usage: Usage | None = None
    end: str | None = None
    request_id: str | None = None
    prefix: str | None = None
    trust: str | None = None
    trust_reason: str | None = None
    fallback_from: str | None = None
    span: "Span | None" = field(default=None, repr=False)

    @property
    def quota(self) -> Quota | None:
        """The windows that the answer's headers spoke of."""
        read = self.unread_quota
        if read is not None:
            self.unread_quota = None
            try:
                self._quota = read()
            except guard.OURS as error:
                guard.failed("attempt.quota", error)
        return self._quota

    @quota.setter
    def quota(self, quota: Quota | None) -> None:
        self._quota, self.unread_quota = quota, None


@dataclass(slots=True, kw_only=True)
class ToolCall:
    """One execution of a tool."""

    name: str
    started_ns: int
    task: Task | None = None
    ended_ns: int | None = None
    verdict: Verdict | None = None


class AttemptSink(Protocol):
    """Told of attempts: once at the send, once at the end. Must not block; what it raises is swallowed."""

    def attempt_started(self, attempt: Attempt) -> None:
        """Learn that an attempt is live."""
        ...

    def attempt_ended(self, attempt: Attempt) -> None:
        """Learn that it is over; the record is final."""
        ...


class WorkSink(Protocol):
    """Told of finished operations, tool calls and tasks."""

    def operation_ended(self, operation: Operation) -> None:
        """Learn of a finished operation."""
        ...

    def tool_ended(self, call: ToolCall) -> None:
        """Learn of a finished tool call."""
        ...

    def task_ended(self, task: Task) -> None:
        """Learn of a finished task."""
        ...
