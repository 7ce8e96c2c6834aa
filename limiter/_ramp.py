"""The ramp: how fast the admitted rate may grow, once the provider said that it grew too fast."""

from collections import deque
from math import inf
from typing import Final

_SECONDS: Final = 15.0
_FIRST_SHARE: Final = 0.5
_SEARCH: Final = 1.5
_EASE: Final = 1.02
_MARGIN_SECONDS: Final = 0.05


class Ramp:
    """No bound until the first slope refusal; from then on each 15 s may exceed the 15 s before by a share.

    A refusal tells the bound exactly: what was accepted in the last 15 s. Against the 15 s before it that
    is the tolerated share; where those were nearly idle it is the floor that any growth may reach. The
    share is searched upwards while nothing is refused, and eased slowly once it is known. (OpenAI: at
    most +50 % in 15 min above a million input tokens a minute; Anthropic and others name an acceleration
    limit without numbers.)
    """

    __slots__ = ("_before", "_cut_at", "_eased_at", "_known", "_recent", "engaged", "floor", "share")

    def __init__(self) -> None:
        self.engaged = False
        self.share = _FIRST_SHARE
        self.floor = inf
        self._known = False
        self._recent: deque[float] = deque(maxlen=100_000)
        self._before: deque[float] = deque(maxlen=100_000)
        self._cut_at = -inf
        self._eased_at = -inf

    def when(self, now: float) -> float:
        """Say when the next send may go, where growth was refused before (`engaged`)."""
        self._slide(now)
        self._ease(now)
        if len(self._recent) + 1 <= self._bound():
            return now
        return (
            max(now + 0.01, self._recent[0] + _SECONDS + 2 * _MARGIN_SECONDS) if self._recent else now + 0.1
        )

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
        self.engaged = True
        if before < recent / 4 or recent <= self.floor < inf:
            self.floor = min(self.floor, recent)
        else:
            self._known = True
            self.share = max(0.01, recent / before - 1)
            if self.floor == inf:
                self.floor = 2.0
        return True

    def _bound(self) -> float:
        return max(self.floor, len(self._before) * (1 + self.share))

    def _ease(self, now: float) -> None:
        while now - self._eased_at >= _SECONDS:
            self._eased_at += _SECONDS
            self.share *= _EASE if self._known else _SEARCH

    def _slide(self, now: float) -> None:
        recent, before = self._recent, self._before
        while recent and recent[0] <= now - _SECONDS - _MARGIN_SECONDS:
            before.append(recent.popleft())
        while before and before[0] <= now - 2 * _SECONDS:
            before.popleft()
