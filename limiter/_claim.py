"""The claim: a floor under our share where a neighbour grabs whatever nobody takes.

To a mirror such a neighbour looks like a quota that others use up: the politer we are, the more is
taken. So calls are sent on a claim beside the mirror, and what happens to them decides: each one that
is accepted raises the claim a little, a refusal halves it. The steps balance where a few claims in a
hundred are refused; among polite neighbours, who leave nothing unused, the claim dies away.
"""

from math import inf
from typing import Final

from penstock.limiter._bucket import Bucket

_START: Final = 0.1
_RAISE: Final = 1.03
_CUT: Final = 0.5
_LEAST: Final = 0.005


class Claim:
    """How many sends a second may go although the mirror says that nothing is left."""

    __slots__ = ("_bucket", "_cut_at", "_share")

    def __init__(self, now: float) -> None:
        self._share = _START
        self._cut_at = -inf
        self._bucket = Bucket(0.0, 1.0, now)

    def when(self, quota: float, now: float) -> float:
        """Say when the next claim may go; `quota` is the whole rate, per second."""
        self._bucket.refill(now)
        self._bucket.rate = self._share * quota
        return self._bucket.when(1.0, now)

    def sent(self, now: float) -> None:
        """Count a claim."""
        self._bucket.refill(now)
        self._bucket.take(1.0)

    def accepted(self) -> None:
        """Raise the claim."""
        self._share = min(1.0, self._share * _RAISE)

    def refused(self, sent_at: float, now: float) -> None:
        """Halve the claim, once for all calls that were on their way."""
        if sent_at > self._cut_at:
            self._cut_at = now
            self._share = max(_LEAST, self._share * _CUT)
