"""Where lineage meets the transport: what was promised to the app, noted before it reads the first byte."""

from dataclasses import replace

from penstock.telemetry.interceptor import (
    Admission,
    Answer,
    Call,
    Granted,
    Interceptor,
    Next,
    Route,
    Served,
    Settlement,
    Ticket,
)
from penstock.trust._levels import Level, Origin
from penstock.trust._lineage import Cell, cell
from penstock.trust._marks import is_primary_only, repeat_key
from penstock.trust._prompt_cache import PromptCache


class Lineage:
    """An interceptor around another: notes answers in the task's lineage.

    A fallback's or the cache's is noted at its head, since an agent may act on a stream before its end;
    the primary's, which lowers nothing, when it is whole. Calls made inside `primary_only()` are marked
    so. `prompt_cache` learns from every answer's usage.
    """

    def __init__(self, inner: Interceptor, *, prompt_cache: PromptCache | None = None) -> None:
        self._inner = inner
        self._prompt_cache = prompt_cache

    def admit(self, call: Call) -> Ticket:
        """Queue a call."""
        if is_primary_only():
            call = replace(call, primary_only=True)
        if call.idempotency_key is None:
            key = repeat_key(call.body)
            call = call if key is None else replace(call, idempotency_key=key)
        return _Followed(self._inner.admit(call), call, cell())

    def answer(self, ticket: Ticket, answer: Answer) -> Next:
        """Note an answer that goes to the app; a refusal or an error is none."""
        assert isinstance(ticket, _Followed)
        next_step = self._inner.answer(ticket.inner, answer)
        if next_step is Next.PASS and answer.verdict is None and answer.status is not None:
            ticket.answered()
        return next_step

    def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        """Close a call."""
        assert isinstance(ticket, _Followed)
        if settlement.verdict is None:
            ticket.ended()
        if self._prompt_cache is not None and settlement.usage is not None and settlement.end != "collected":
            # A finalizer may run inside of the cache's own lock; and who dropped the answer read no usage.
            conversation = ticket.call.conversation or ticket.call.task_id
            self._prompt_cache.observe(ticket.pool, conversation, settlement.usage)
        self._inner.settle(ticket.inner, settlement)


class _Followed:
    """A ticket that knows whose lineage its answer belongs to: the cell at admission."""

    __slots__ = ("_cell", "_heard", "_route", "call", "inner")

    def __init__(self, inner: Ticket, call: Call, cell: Cell) -> None:
        self.inner = inner
        self.call = call
        self._cell = cell
        self._route: Route | None = None
        self._heard = False

    @property
    def pool(self) -> str:
        """Who was asked last."""
        return self.call.pool if self._route is None else self._route.pool

    def wait(self) -> Admission:
        """Block until admitted."""
        return self._admitted(self.inner.wait())

    async def wait_async(self) -> Admission:
        """Suspend until admitted."""
        return self._admitted(await self.inner.wait_async())

    def answered(self) -> None:
        """The app gets the answer of whoever was asked last."""
        route, call = self._route, self.call
        if route is None:
            self._heard = True
            return
        self._cell.add(
            Origin(
                level=Level.of(route.trust),
                pool=route.pool,
                model=route.model or call.model,
                tier=route.tier,
                reason=route.reason,
                instead_of=call.pool,
            )
        )

    def ended(self) -> None:
        """The answer is over, and nothing was wrong with it."""
        if self._heard:
            self._cell.add(Origin(level=Level.PRIMARY, pool=self.call.pool, model=self.call.model))

    def _admitted(self, admission: Admission) -> Admission:
        if isinstance(admission, Granted):
            self._route = admission.route
        elif isinstance(admission, Served):
            pool, level = admission.pool or self.call.pool, Level.of(admission.trust)
            self._cell.add(Origin(level=level, pool=pool, model=self.call.model, reason=admission.reason))
        return admission
