"""The one thing a hook knows of whoever decides: `Interceptor(admit, answer, settle)`.

One call's life at the transport::

    ticket = interceptor.admit(call)
    while True:
        admission = ticket.wait()                # or await ticket.wait_async()
        Refused | Served -> answer the app in the provider's own shape
        Granted(route)   -> rewrite the request for the route if there is one, then send
        next_step = interceptor.answer(ticket, answer)   # at the response's head, or the exception
        if next_step is Next.RETRY: drop the response, wait again
        else: give it to the app
    interceptor.settle(ticket, settlement)       # once: last byte read, abandoned, cancelled or passed on

`answer` has already given the permit back when it says RETRY. `settle` is idempotent, never blocks
and never raises; it is also called when the app gives up while waiting. Times are seconds of
`time.monotonic()`, durations seconds.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from penstock.classifiers import Verdict
from penstock.providers import Quota, Usage


@dataclass(slots=True, kw_only=True)  # not frozen: that triples what making one costs, and each attempt does
class Call:
    """One LLM request that is about to reach for quota. Made once, then only read.

    `input_tokens` is an estimate made before sending. `timeout_seconds` is the client's own limit
    for the whole call or its read; queueing must fit in it. `task_started` is monotonic seconds:
    older tasks go first. `deadline` is monotonic seconds. `body` is the request's raw JSON for those
    who key on content (the response cache); neither it nor `credential` is ever stored in clear.
    `primary_only`: neither a fallback nor a cache may answer, the caller would rather wait. `once`: its
    body is itself a stream, which is over when it is sent.
    """

    provider: str
    host: str
    pool: str
    model: str
    operation: str
    wire: str = ""
    input_tokens: int = 0
    max_output_tokens: int | None = None
    stream: bool = False
    timeout_seconds: float | None = None
    task_id: str | None = None
    task_started: float | None = None
    priority: str = "normal"
    tenant: str = "default"
    deadline: float | None = None
    idempotency_key: str | None = None
    conversation: str | None = None
    body: bytes = b""
    credential: str = field(default="", repr=False)
    primary_only: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where to send instead of where the app asked: same wire format, other model, base URL or key.

    None leaves that part as it was. `trust` and `reason` tell the app who answered and why; `tier`
    counts fallbacks from 1.
    """

    pool: str
    provider: str | None = None
    model: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    trust: str = "fallback"
    reason: str = ""
    tier: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Send now. `tap` is given each piece of a good answer's decoded body as it passes, in order."""

    queued_seconds: float = 0.0
    route: Route | None = None
    tap: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Do not send: the hook answers 429 in the provider's shape, with `retry-after` = `eta_seconds`."""

    eta_seconds: float
    reason: str
    queued_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Do not send: this is the answer (a response cache's); `trust`, `pool` and `reason` say whence."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterable[bytes]
    trust: str
    queued_seconds: float = 0.0
    pool: str = ""
    reason: str = ""


Admission = Granted | Refused | Served


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The head of a response, or the exception instead of one.

    `status` is None for an exception. `verdict` is None for success. `quota` is what the headers
    said. `sent_at` and `at` are monotonic seconds.
    """

    sent_at: float
    at: float
    status: int | None = None
    quota: Quota | None = None
    verdict: Verdict | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a call ended for good. `end`: eof | closed | broken | collected | cancelled."""

    at: float
    end: str
    usage: Usage | None = None
    verdict: Verdict | None = None


class Next(Enum):
    """What the hook does with an answer."""

    PASS = "pass"  # noqa: S105 - not a password
    RETRY = "retry"


class Interrupted(BaseException):
    """Leaves a wait that the app's own exception stopped: a worker's time limit, raised by a signal."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Ticket(Protocol):
    """One call's place in the queue, then its permit."""

    def wait(self) -> Admission:
        """Block this thread until admitted or refused.

        Raises:
            Interrupted: something else than this ticket raised while the thread stood still.
        """
        ...

    async def wait_async(self) -> Admission:
        """Suspend this task until admitted or refused. Cancelling gives the place back."""
        ...


class Interceptor(Protocol):
    """Who decides about calls. Its methods neither block nor raise."""

    def admit(self, call: Call) -> Ticket:
        """Queue a call."""
        ...

    def answer(self, ticket: Ticket, answer: Answer) -> Next:
        """Learn from an answer; say whether the app may see it."""
        ...

    def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        """Close a call."""
        ...
