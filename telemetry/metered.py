"""An interceptor that counts what another one decides."""

from penstock.telemetry import metrics as m
from penstock.telemetry.interceptor import (
    Admission,
    Answer,
    Call,
    Granted,
    Interceptor,
    Next,
    Refused,
    Settlement,
    Ticket,
)
from penstock.telemetry.metering import class_of
from penstock.telemetry.registry import Bound, Registry, product

REFUSAL_REASONS = ("queue_full", "max_wait", "deadline", "timeout", "exhausted", "too_large")
WOULD_ACTIONS = ("waited", "moved", "refused")


class MeteredTicket:
    """The inner ticket, its admission counted once it is known."""

    __slots__ = ("_owner", "call", "inner")

    def __init__(self, inner: Ticket, call: Call, owner: "Metered") -> None:
        self.inner = inner
        self.call = call
        self._owner = owner

    def wait(self) -> Admission:
        """Wait as the inner ticket does."""
        return self._owner.admitted(self.call, self.inner.wait())

    async def wait_async(self) -> Admission:
        """Wait as the inner ticket does."""
        return self._owner.admitted(self.call, await self.inner.wait_async())


class Metered:
    """Pass everything on to `inner`; count waits, refusals, moves and absorbed failures."""

    def __init__(self, inner: Interceptor, registry: Registry) -> None:
        self._inner = inner
        self._registry = registry
        self._pool, self._reason = Bound(), Bound()
        self._welcomed: set[str] = set()

    def admit(self, call: Call) -> MeteredTicket:
        """Queue a call."""
        return MeteredTicket(self._inner.admit(call), call, self)

    def answer(self, ticket: Ticket, answer: Answer) -> Next:
        """Pass an answer on; a failure that is sent again was absorbed."""
        assert isinstance(ticket, MeteredTicket)
        step = self._inner.answer(ticket.inner, answer)
        if step is Next.RETRY:
            self._registry.inc(m.ABSORBED, (self._pool(ticket.call.pool), class_of(answer.verdict)))
        return step

    def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        """Close a call."""
        assert isinstance(ticket, MeteredTicket)
        self._inner.settle(ticket.inner, settlement)

    def admitted(self, call: Call, admission: Admission) -> Admission:
        """Count an admission and hand it on."""
        pool = self._pool(call.pool)
        if pool not in self._welcomed:
            self._welcome(pool)
        if isinstance(admission, Refused):
            self._registry.inc(m.REFUSALS, (pool, self._reason(admission.reason)))
            return admission
        if isinstance(admission, Granted):
            self._registry.observe(m.WAIT, (pool,), admission.queued_seconds)
            if admission.route is not None:
                moved = (
                    pool,
                    self._pool(admission.route.pool),
                    self._reason(admission.route.reason or "other"),
                )
                self._registry.inc(m.FALLBACKS, moved)
        return admission

    def after_fork(self) -> None:
        """Welcome pools anew: a child's registry is empty."""
        self._welcomed.clear()

    def _welcome(self, pool: str) -> None:
        self._welcomed.add(pool)
        self._registry.create(m.REFUSALS, *product(m.REFUSALS, pool=(pool,), reason=REFUSAL_REASONS))
        self._registry.create(m.WOULD, *product(m.WOULD, pool=(pool,), action=WOULD_ACTIONS))
        self._registry.create(m.ABSORBED, (pool, "rate_limit"), (pool, "overloaded"))
        self._registry.create(m.CHANGES, (pool, "cap", "down", "concurrency"), (pool, "rate", "down", "rate"))
        self._registry.create(m.WAIT, (pool,))
