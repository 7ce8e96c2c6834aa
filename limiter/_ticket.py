"""One call's place in the queue, then its permit, as the hook holds it."""

import threading
from collections.abc import Callable
from enum import IntEnum
from math import inf
from typing import Protocol

from penstock.limiter._entry import Entry
from penstock.limiter._lock import Lock
from penstock.limiter._parking import park
from penstock.limiter._pool import Pool
from penstock.limiter._queue import patience
from penstock.limiter._settings import PoolSettings
from penstock.providers.bodies import decode
from penstock.telemetry.interceptor import Admission, Call, Interrupted


class Stage(IntEnum):
    """Where a ticket stands."""

    QUEUED = 0
    DECIDED = 1
    OVER = 2


class Owner(Protocol):
    """Whom a ticket asks when it waits or is given up."""

    lock: Lock

    def abandon(self, ticket: "Ticket") -> None:
        """Give back the ticket's place or permit."""
        ...


class Ticket(Entry):
    """Waits by thread or in a task. `decide` may be called from any thread, under the owner's lock."""

    __slots__ = (
        "_needs",
        "admission",
        "asked",
        "call",
        "foretold",
        "home",
        "owner",
        "paused",
        "pool",
        "stage",
        "wake",
    )

    def __init__(
        self, number: int, now: float, call: Call, home: Pool, owner: Owner, give_up_at: float
    ) -> None:
        super().__init__(
            number,
            now,
            priority=call.priority,
            tenant=call.tenant,
            age=call.task_started,
            give_up_at=give_up_at,
            input_tokens=call.input_tokens,
            max_output=call.max_output_tokens,
        )
        self.call = call
        self.asked = home
        """The pool that the app called; `home` is where the call waits, `pool` what it draws on."""
        self.home = home
        self.pool = home
        self.owner = owner
        self.stage = Stage.QUEUED
        self.admission: Admission | None = None
        self.wake: Callable[[], None] | None = None
        self.paused = 0.0
        self.foretold: tuple[int, int, float] | None = None
        self._needs: frozenset[str] | None = None

    @property
    def needs(self) -> frozenset[str]:
        """Which capabilities its request asks for; read once: while it waits it is asked often."""
        if self._needs is None:
            self._needs = _needs_of(self.call.body)
        return self._needs

    def decide(self, admission: Admission) -> Callable[[], None] | None:
        """Fix the outcome; what is returned must be called once the lock is free."""
        self.admission = admission
        self.stage = Stage.DECIDED
        wake, self.wake = self.wake, None
        return wake

    def reopen(self) -> None:
        """Wait again, from the place in the queue that this call had."""
        self.stage = Stage.QUEUED
        self.admission = None
        if self.promote_at == inf:  # it went at once the first time
            self.promote_at = self.queued_at + patience(self)

    def wait(self) -> Admission:
        """Block this thread until admitted or refused.

        Raises:
            Interrupted: a handler of a signal raised meanwhile; the place is given back.
        """
        if self.admission is None:
            event = threading.Event()
            with self.owner.lock:
                if self.admission is None:
                    self.wake = event.set
            if self.admission is None:
                try:
                    event.wait()
                except BaseException as error:
                    self.owner.abandon(self)
                    if isinstance(error, Exception):
                        raise Interrupted(error) from None
                    raise
        assert self.admission is not None
        return self.admission

    async def wait_async(self) -> Admission:
        """Suspend this task until admitted or refused. Cancelling gives the place back."""
        if self.admission is None:
            woken, wake = park()
            with self.owner.lock:
                if self.admission is None:
                    self.wake = wake
            if self.admission is None:
                try:
                    await woken()
                except BaseException:
                    self.owner.abandon(self)
                    raise
        assert self.admission is not None
        return self.admission


def give_up_at(call: Call, settings: PoolSettings, now: float) -> float:
    """Say when a call's wait ends: by its deadline, its client's timeout or the pool's longest wait."""
    at = now + settings.max_wait_seconds
    if call.timeout_seconds is not None:
        at = min(at, now + call.timeout_seconds)
    if call.deadline is not None:
        at = min(at, call.deadline)
    return at


def why(ticket: Ticket) -> str:
    """Name the bound that ended a wait."""
    call = ticket.call
    if ticket.home.parked_until >= ticket.give_up_at:
        return "exhausted"
    if call.deadline is not None and ticket.give_up_at == call.deadline:
        return "deadline"
    if call.timeout_seconds is not None and ticket.give_up_at == ticket.queued_at + call.timeout_seconds:
        return "timeout"
    return "max_wait"


def _needs_of(body: bytes) -> frozenset[str]:
    """Tell which capabilities a request body asks for: tools, images, json."""
    data = decode(body)
    if data is None:
        return frozenset()
    found = set()
    if data.get("tools"):
        found.add("tools")
    if data.get("response_format"):
        found.add("json")
    if b'"image_url"' in body or b'"type": "image"' in body or b'"type":"image"' in body:
        found.add("images")
    return frozenset(found)
