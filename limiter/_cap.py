"""The concurrency cap: the user's, the one learnt from refusals, and the one the rate implies."""

from collections import deque
from math import ceil, inf
from typing import Final, NamedTuple

_CUT: Final = 0.3
_NOISE: Final = 0.25
_LATENCIES: Final = 128
_ENOUGH: Final = 20
_RETAKE: Final = 16
_SLACK: Final = 1.5
_LEAST_IMPLIED: Final = 8
_PROBE_SECONDS: Final = (10.0, 60.0)
_HASTY_SECONDS: Final = 1.0


class Probing(NamedTuple):
    """How a learnt cap is tried out: what it was before it grew, for how long, and if a limit told it."""

    base: float
    pause_seconds: float
    exact: bool


class Cap:
    """How many calls may be live, now.

    A concurrency refusal tells the provider's limit exactly: the calls that were live when the refused
    one was sent. An overload tells nothing exact: cut to 0.7 of what was live. One cut per epoch. The
    cap grows by one after a quiet while, and by ever more while nothing is refused; a probe that fails at
    the same level doubles the while.
    """

    __slots__ = (
        "_base",
        "_cut_at",
        "_dirty",
        "_exact",
        "_grow_at",
        "_implied",
        "_p90",
        "_pause",
        "_recent",
        "_step",
        "hard",
        "learned",
        "limit",
        "mean_seconds",
    )

    def __init__(self, hard: int | None) -> None:
        self.learned = self._base = inf
        self._exact = False
        self._cut_at = -inf
        self._grow_at = inf
        self._pause = _PROBE_SECONDS[0]
        self._step = 1
        self._recent: deque[float] = deque(maxlen=_LATENCIES)
        self._dirty = 0
        self._p90: float | None = None
        self.mean_seconds = 1.0
        self._implied = inf
        self.bind(hard)

    def bind(self, hard: int | None) -> None:
        """Take the user's own bound. `limit` is the cap that is enforced and shown; inf is none."""
        self.hard: float = hard if hard is not None else inf
        self._settle()

    @property
    def probing(self) -> Probing:
        """What others need to go on with this cap as one."""
        return Probing(self._base, self._pause, self._exact)

    @property
    def p90_seconds(self) -> float | None:
        """How long nine calls in ten take, if enough were seen."""
        return self._p90

    def finished(self, seconds: float, longest_live: float) -> bool:
        """Count a call's duration; `longest_live` is the age of the oldest call that still runs.

        Calls that finish first are the short ones: until the long ones do, their age stands for them.
        True if the p90 was taken anew.
        """
        self._recent.append(seconds)
        self._dirty += 1
        if len(self._recent) < _ENOUGH or (self._p90 is not None and self._dirty < _RETAKE):
            return False
        self._dirty = 0
        ordered = sorted(self._recent)
        self.mean_seconds = max(0.01, sum(ordered) / len(ordered))
        self._p90 = max(ordered[int(0.9 * len(ordered))], 0.5 * longest_live)
        return True

    def imply(self, rate: float) -> None:
        """Bound by what the rate can keep busy: 1.5 times Little's law at the p90 duration."""
        if self._p90 is None or rate == inf:
            self._implied = inf
        else:
            self._implied = max(_LEAST_IMPLIED, ceil(_SLACK * rate * self._p90))
        self._settle()

    def concurrency_refused(
        self, live_before: int, sent_at: float, now: float, *, roughly: bool = False
    ) -> bool:
        """Learn a limit from a refusal: `live_before` calls were live when it was sent.

        If that is known only `roughly`, a probe that fails leads back to where it began.
        """
        probed = roughly and self.learned > self._base
        level = max(1.0, live_before, self._base if probed else 0.0)
        if sent_at <= self._cut_at:
            moved = level < self.learned
            self.learned = min(self.learned, level)
            self._settle()
            return moved
        failed_probe = self._exact and (probed or level >= self.learned - 1)
        self._pause = min(_PROBE_SECONDS[1], self._pause * 2) if failed_probe else _PROBE_SECONDS[0]
        self._exact = True
        return self._cut(level, now)

    def overloaded(self, live: float, share: float, sent_at: float, now: float) -> bool:
        """Cut once per epoch after a sign of missing capacity; little if few answers (`share`) say so."""
        if sent_at <= self._cut_at + self.mean_seconds or share < _NOISE:
            return False  # what a cut brings shows when the calls before it have ended
        self._exact = False
        self._pause = _HASTY_SECONDS
        return self._cut(max(1, int((1 - min(_CUT, share)) * min(live, self.limit))), now)

    def succeeded(self, now: float, live: int) -> bool:
        """Grow a cap that was learnt by one after a quiet while, if it was in the way. True if it moved."""
        if now < self._grow_at or live < self.learned - 1:
            return False
        self._base = self.learned
        self.learned += self._step if self._exact else max(1, self.learned // 4)
        self._step *= 2
        self._grow_at = now + (max(_HASTY_SECONDS, self.mean_seconds) if self._exact else _HASTY_SECONDS)
        self._settle()
        return True

    def recall(self, learned: float, now: float, probing: Probing | None = None) -> None:
        """Start from a remembered cap, or go on with another's, and probe above it before long."""
        self._base, self._pause, self._exact = probing or Probing(learned, self._pause, exact=True)
        self.learned = learned
        self._step = 1
        self._grow_at = now + self._pause
        self._settle()

    def _cut(self, level: float, now: float) -> bool:
        moved = level < self.limit
        self.learned = self._base = level
        self._step = 1
        self._cut_at = now
        self._grow_at = now + self._pause
        self._settle()
        return moved

    def _settle(self) -> None:
        self.limit = min(self.hard, self.learned, self._implied)
