"""A 429 is not one thing: what each kind of failure moves in its pool, and what a success restores."""

import random
from math import inf
from typing import TYPE_CHECKING, Final

from penstock.classifiers import Verdict
from penstock.limiter._changes import Changes
from penstock.limiter._entry import Entry
from penstock.limiter._kinds import Kind
from penstock.limiter._lift import Lift
from penstock.providers import Quota

if TYPE_CHECKING:
    from penstock.limiter._pool import Pool

_OVERLOADS_CLOSE: Final = 0.5
_IN_A_ROW: Final = 8
"""So many failures without a success between: the provider is away, and no cap would help."""
_FAULTS_SHARE: Final = 0.3
_OVERLOAD_MEMORY: Final = 0.95
_PARK_SECONDS: Final = 60.0
DOUBT_SECONDS: Final = 10.0
"""A mirror that says for so long that nothing goes is doubted."""
_STREAK: Final = 4
"""So many sends refused in a row: the window is exhausted, and a lower rate would not help."""
_ROUNDED_SECONDS: Final = 1.0
_LONGEST_BACKOFF: Final = 6.0
_LONGEST_RATE_BACKOFF: Final = 8.0


class Reactions:
    """Moves a pool's pacer, cap, gate and ramp by what ended its calls."""

    __slots__ = (
        "_changes", "_faults", "_lift", "_overload_share", "_overloads", "_pool", "_refused_order", "_rng",
        "_streak",
    )  # fmt: skip

    def __init__(self, pool: "Pool", lift: Lift, changes: Changes, rng: random.Random) -> None:
        self._pool = pool
        self._lift = lift
        self._changes = changes
        self._rng = rng
        self._faults = self._overloads = 0
        self._overload_share = 0.0
        self._streak = 0
        self._refused_order = -1

    def succeeded(self, entry: Entry, now: float) -> None:
        """Take a success as the end of what was wrong."""
        pool = self._pool
        self._faults = self._overloads = 0
        self._overload_share *= _OVERLOAD_MEMORY
        pool.pacer.acknowledged()
        if not pool.gate.calm and pool.gate.succeeded(entry):
            self._changes.tell("gate", "up", "probe", 0.0, now)
        cap = pool.cap
        if cap.learned < inf:
            before = cap.limit
            if cap.succeeded(now, entry.live_before + 1):
                self._changes.moved("cap", before, cap.limit, "growth", now)

    def failed(self, kind: Kind, entry: Entry, verdict: Verdict, quota: Quota | None, now: float) -> None:
        """Move what this kind of failure is about."""
        match kind:
            case Kind.RATE:
                self._rate_refused(entry, verdict, quota, now)
            case Kind.CONCURRENCY:
                self._concurrency_refused(entry, verdict, now)
            case Kind.SLOPE:
                self._slope_refused(entry, verdict, now)
            case Kind.OVERLOAD:
                self._overloaded(entry, verdict, now)
            case Kind.EXHAUSTED:
                self._park(verdict.retry_after, now)
            case Kind.FAULT:
                self._faulted(entry, now)
            case _:
                pass

    def close(self, seconds: float | None, reason: str, now: float) -> None:
        """Close the gate for as long as somebody said, if they did."""
        if seconds is not None and seconds > 0 and self._pool.gate.close(seconds, now):
            self._changes.tell("gate", "down", reason, seconds, now)

    def _rate_refused(self, entry: Entry, verdict: Verdict, quota: Quota | None, now: float) -> None:
        pool, pacer, told = self._pool, self._pool.pacer, verdict.retry_after
        pool.refusals += 1
        if pool.share is not None:
            pool.share.rate_refused(entry)
        self._streak = self._streak + 1 if entry.order == self._refused_order + 1 else 1
        self._refused_order = entry.order
        if quota is None:
            pool.mirror.exhausted(entry, verdict.limit_dimension, now)
        pool.doubt_at = now + (DOUBT_SECONDS if told is None else told)
        soon = told is not None and told <= _ROUNDED_SECONDS
        before, why = pacer.rate, verdict.limit_dimension or "rate"
        if pacer.lifted:
            pacer.refused(entry.sent_at, entry.order, now)
            self._lift.refused(now)
            self._changes.moved("rate", before, pacer.rate, why, now)
        elif self._not_for_pace(verdict, quota, soon=soon):
            pacer.refused(-inf, entry.order, now)
        elif pacer.refused(entry.sent_at, entry.order, now):
            self._changes.moved("rate", before, pacer.rate, why, now)
        if told is not None:
            if not soon:
                self.close(told, "retry_after", now)
        elif self._streak >= _STREAK:
            self._back_off(entry, "refused_in_a_row", _LONGEST_RATE_BACKOFF, now)

    def _not_for_pace(self, verdict: Verdict, quota: Quota | None, *, soon: bool) -> bool:
        """Whether it says nothing of calls a second: the mirror knows its tokens, or nothing goes now."""
        tokens = "tokens" in (verdict.limit_dimension or "")
        if tokens and quota is not None and self._pool.mirror.counts_tokens:
            return True
        return self._streak >= _STREAK and not soon

    def _concurrency_refused(self, entry: Entry, verdict: Verdict, now: float) -> None:
        pool = self._pool
        pool.refusals += 1
        before = pool.cap.limit
        roughly = pool.share is not None  # how many live elsewhere was told a second ago
        if pool.cap.concurrency_refused(entry.live_before, entry.sent_at, now, roughly=roughly):
            self._changes.moved("cap", before, pool.cap.limit, "concurrency", now)
        self.close(verdict.retry_after, "concurrency", now)

    def _slope_refused(self, entry: Entry, verdict: Verdict, now: float) -> None:
        pool = self._pool
        pool.refusals += 1
        pool.ramp.taken_back()
        if pool.ramp.refused(entry.sent_at, now):
            self._changes.tell("ramp", "down", "slope", pool.ramp.floor, now)
        self.close(verdict.retry_after, "slope", now)

    def _overloaded(self, entry: Entry, verdict: Verdict, now: float) -> None:
        self._overload_share = _OVERLOAD_MEMORY * self._overload_share + 1 - _OVERLOAD_MEMORY
        self._overloads += 1
        away = self._overloads >= _IN_A_ROW or self._overload_share >= _OVERLOADS_CLOSE
        if not away:
            self._cut(entry, entry.live_before + 1, self._overload_share, "overloaded", now)
        if verdict.retry_after is not None:
            self.close(verdict.retry_after, "overloaded", now)
        elif away:
            self._back_off(entry, "overloaded", _LONGEST_BACKOFF, now)

    def _faulted(self, entry: Entry, now: float) -> None:
        self._faults += 1
        if self._faults < _IN_A_ROW:
            return
        if self._faults == _IN_A_ROW:
            limit = self._pool.cap.limit
            self._cut(entry, limit if limit < inf else entry.live_before + 1, _FAULTS_SHARE, "faults", now)
        self._back_off(entry, "faults", _LONGEST_BACKOFF, now)

    def _cut(self, entry: Entry, live: float, share: float, reason: str, now: float) -> None:
        cap = self._pool.cap
        before = cap.limit
        if cap.overloaded(live, share, entry.sent_at, now):
            self._changes.moved("cap", before, cap.limit, reason, now)

    def _back_off(self, entry: Entry, reason: str, longest: float, now: float) -> None:
        gate = self._pool.gate
        if gate.back_off(now, entry.sent_at, self._rng.random(), longest=longest):
            self._changes.tell("gate", "down", reason, gate.until - now, now)

    def _park(self, seconds: float | None, now: float) -> None:
        pool = self._pool
        pool.refusals += 1
        if seconds is None and pool.settings.fallback:
            seconds = _PARK_SECONDS  # no reset is told: route away, look again in a minute
        if seconds is not None:
            pool.parked_until = max(pool.parked_until, now + seconds)
            self._changes.tell("gate", "down", "exhausted", seconds, now)
