"""The ramp: how fast the admitted rate may grow, once the provider said that it grew too fast."""

from collections import deque
from math import inf
from typing import Final

_SECONDS: Final = 15.0
_EASE: Final = 1.02
_EASE_SECONDS: Final = 30.0


class Ramp:
    """No bound until the first slope refusal; from then on each 15 s may exceed the 15 s before by a share.

    A refusal tells the bound exactly: what was accepted in the last 15 s. Against the 15 s before it that
    is the tolerated share; where those were nearly idle it is the floor that any growth may reach. Both
    are eased again, slowly, so that a bound learnt from bad luck does not stay. (OpenAI: at most +50 %
    in 15 min above a million input tokens a minute; Anthropic and others name an acceleration limit
    without numbers.)
    """

    __slots__ = ("_before", "_cut_at", "_eased_at", "_recent", "floor", "share")

    def __init__(self) -> None:
        self.share = inf
        self.floor = inf
        self._recent: deque[float] = deque(maxlen=100_000)
        self._before: deque[float] = deque(maxlen=100_000)
        self._cut_at = -inf
        self._eased_at = -inf

    @property
    def engaged(self) -> bool:
        """Whether a bound is known."""
        return self.floor < inf or self.share < inf

    def when(self, now: float) -> float:
        """Say when the next send may go."""
        if not self.engaged:
            return now
        self._slide(now)
        self._ease(now)
        if len(self._recent) + 1 <= self._bound():
            return now
        return max(now + 0.01, self._recent[0] + _SECONDS + 0.01) if self._recent else now + 0.1

    def sent(self, now: float) -> None:
        """Count a send."""
        self._recent.append(now)
        if len(self._recent) % 64 == 0:
            self._slide(now)

    def taken_back(self) -> None:
        """Forget the newest send: it was refused."""
        if self._recent:
            self._recent.pop()

    def refused(self, sent_at: float, now: float) -> bool:
        """Learn the bound from a slope refusal. True if that opened a new epoch."""
        if sent_at <= self._cut_at:
            return False
        self._slide(now)
        self._cut_at = self._eased_at = now
        recent, before = float(max(1, len(self._recent))), len(self._before)
        if before < recent / 4 or recent <= self.floor < inf:
            self.floor = max(1.0, min(self.floor, recent))
        else:
            self.share = max(0.01, min(self.share, recent / before - 1))
            if self.floor == inf:
                self.floor = 2.0
        return True

    def _bound(self) -> float:
        grown = len(self._before) * (1 + self.share) if self._before and self.share < inf else 0.0
        return max(self.floor, grown, len(self._before) if self.share == inf else 0.0)

    def _ease(self, now: float) -> None:
        while now - self._eased_at >= _EASE_SECONDS:
            self._eased_at += _EASE_SECONDS
            self.floor *= _EASE
            self.share *= _EASE

    def _slide(self, now: float) -> None:
        recent, before = self._recent, self._before
        while recent and recent[0] <= now - _SECONDS:
            before.append(recent.popleft())
        while before and before[0] <= now - 2 * _SECONDS:
            before.popleft()
