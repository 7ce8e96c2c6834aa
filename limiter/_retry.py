"""What may be repeated, and when."""

import random
from typing import Final

from penstock.classifiers import SideEffects, Verdict
from penstock.limiter._kinds import Kind
from penstock.limiter._ticket import Ticket

_SHARE: Final = 0.1
_BURST: Final = 10.0
_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 20.0

REFUSED_BEFORE_WORK: Final = frozenset({Kind.RATE, Kind.CONCURRENCY, Kind.SLOPE, Kind.OVERLOAD})


class RetryBudget:
    """Repeats of calls that may have run are at most a tenth of what succeeded, after a first ten.

    (SRE book, "Handling Overload": per-client retry budget of 10 %.)
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _BURST

    def earn(self) -> None:
        """Count a success."""
        if self._left < _BURST:
            self._left = min(_BURST, self._left + _SHARE)

    def spend(self) -> bool:
        """Take one repeat, if there is one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Retries:
    """The one owner of repeats: says which failed attempts go back into the queue, and from when."""

    __slots__ = ("_rng", "budget")

    def __init__(self, rng: random.Random) -> None:
        self.budget = RetryBudget()
        self._rng = rng

    def again(self, ticket: Ticket, kind: Kind, verdict: Verdict, now: float, *, movable: bool) -> bool:
        """Whether a failed attempt is to be repeated; `ticket.not_before` is set if so.

        Not if it may have done its work, if its body is gone, if its time would be over, or, where that is
        unsure, if the budget is spent. `movable`: another pool could serve what this one never will.
        """
        if ticket.call.once:
            return False
        repeatable = may_repeat(kind, verdict, idempotent=ticket.call.idempotency_key is not None)
        if not repeatable and not movable:
            return False
        ticket.not_before = now
        if kind in _PAUSED:
            ticket.paused = pause(ticket.paused, self._rng)
            ticket.not_before = now + ticket.paused
        if ticket.not_before >= ticket.give_up_at or _shut_out(ticket):
            return False
        if kind is Kind.FAULT:
            if not self.budget.spend():
                return False
            ticket.pool.settle(ticket, None, now, finished=False)
        return True


_PAUSED: Final = frozenset({Kind.OVERLOAD, Kind.FAULT})
"""What no window's end will mend: tried again after a pause that grows."""


def _shut_out(ticket: Ticket) -> bool:
    home = ticket.home
    return home.gate.until >= ticket.give_up_at and not home.settings.fallback


def may_repeat(kind: Kind, verdict: Verdict, *, idempotent: bool) -> bool:
    """Say whether the same request may be sent again without doing its work twice."""
    if kind in REFUSED_BEFORE_WORK:
        return True
    if kind is not Kind.FAULT or not verdict.retryable:
        return False
    return idempotent or verdict.side_effects is SideEffects.NONE


def pause(previous: float, rng: random.Random) -> float:
    """Draw decorrelated jitter: uniform between the first pause and three times the previous one.

    (AWS Architecture Blog, "Exponential Backoff And Jitter".)
    """
    return min(_LONGEST_SECONDS, rng.uniform(_FIRST_SECONDS, max(_FIRST_SECONDS, previous) * 3))
