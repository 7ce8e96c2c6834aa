"""What may be repeated, and when."""

import random
from typing import Final

from penstock.classifiers import SideEffects, Verdict
from penstock.limiter._kinds import Kind

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
        self._left = min(_BURST, self._left + _SHARE)

    def spend(self) -> bool:
        """Take one repeat, if there is one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


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
