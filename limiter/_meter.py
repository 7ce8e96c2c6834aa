"""The mirror of one quota dimension: a shadow of the provider's own bucket, corrected by its headers.

The shadow knows each own send at once; headers come seconds late and speak of the moment their
request was admitted. So an observation is compared with what the shadow held at *that* send, and only
the difference is applied to the present. A stale header therefore costs no accuracy, however shallow
the bucket: comparing it with the present (remaining now = remaining then + refill - own sends) starves
a one-second bucket, since the refill it caps is not the refill that happened.
"""

from math import exp, gcd, inf
from typing import Final, NamedTuple

from penstock.providers import Window

_DUST: Final = 1e-6
_DRAIN_MEMORY_SECONDS: Final = 4.0
_DRAIN_CALLS: Final = 4
"""The refill of so many calls must be seen at once to tell what others drain from a misjudged call."""
_DRAIN_SILENCE_SECONDS: Final = 10.0
"""What was learnt of others fades when nothing is heard for this long: else it would keep itself true."""
_ERROR_MEMORY: Final = 0.7
_ERROR_DECAY: Final = 0.97
_MOST_DRAIN: Final = 0.95
_VOTES: Final = 3
_TELLING_REFILL: Final = 4.0
"""A refill must be expected to bring this many units before its absence is evidence of a window."""
_ENOUGH_GRAINS: Final = 8
_PHASE_STEP: Final = 0.1
_ROUNDING_SECONDS: Final = 1.0
_STEADY_SECONDS: Final = 5.0
"""A window's end stands still for longer; the time at which a drained bucket would be full moves on."""
_SHALLOW_SECONDS: Final = 2.0
"""A bucket or slice this shallow is paced evenly, whatever refills it."""
_MOST_RESERVE: Final = 0.25
_CROWDED: Final = (0.4, 0.6)
"""Others who seem to take more than the second part of the rate may only take what we leave."""


class Mark(NamedTuple):
    """What the shadow held right after one send, so that the answer can be compared with it."""

    at: float
    cost: float
    level: float
    corrected: float
    spilled: float
    charged: float
    epoch: int
    order: int


class Meter:
    """One dimension of a pool's quota, as far as headers, errors and own sends tell.

    `drain` is what others take, per second. Where that is most of the rate the quota is `crowded`: what its
    headers leave us is then what others have left, and sending less would only leave them more.
    """

    __slots__ = (
        "_at", "_began_charged", "_charged", "_corrected", "_epoch", "_fresh", "_grain", "_grains",
        "_heard_at", "_last", "_order",
        "_other_depth", "_pending_drain", "_seen_order", "_spilled", "_steady_since", "_voter",
        "_votes", "crowded", "depth", "drain", "error", "fit", "level", "limit", "period", "rate", "reset_at",
        "sliced", "windowed",
    )  # fmt: skip

    def __init__(self, limit: float, period: float, remaining: float, now: float) -> None:
        self.limit = limit
        self.period = period
        self.rate = limit / period
        self.depth = max(1.0, remaining + 1)
        self.level = remaining
        self.drain = 0.0
        self.crowded = False
        self.error = 0.0
        self.fit = 0.0
        self.windowed = False
        self.sliced = False
        self.reset_at = inf
        self._at = self._heard_at = now
        self._order = 0
        self._seen_order = -1
        self._charged = 0.0
        self._corrected = 0.0
        self._spilled = 0.0
        self._epoch = 0
        self._began_charged = 0.0
        self._fresh = False
        self._votes = 0
        self._grain = 0
        self._grains = 0
        self._voter: tuple[Mark, float] | None = None
        self._last: Mark | None = None
        self._steady_since = -inf
        self._other_depth = limit
        self._pending_drain = (0.0, 0.0)

    @property
    def net_rate(self) -> float:
        """What is ours per second on average: the quota less what others drain."""
        return self.rate - self.drain

    @property
    def reserve(self) -> float:
        """What is left untouched for what the shadow cannot know, learnt from its own errors."""
        return min(_MOST_RESERVE * self.depth, 0.1 + 2.0 * self.error)

    def when(self, cost: float, now: float) -> float:
        """Say when `cost` may be sent: `now` or later."""
        self._move(now)
        missing = min(cost + self.reserve, self.depth) - self.level
        if missing <= _DUST:
            return now
        if self.windowed:
            return max(now + 1e-3, self.reset_at) if self.reset_at < inf else now + self.period / 10
        return self._left_over(missing, now)

    def _left_over(self, missing: float, now: float) -> float:
        """Say when others will have left that much, if what they drain fades once nothing is heard."""
        net = max(self.rate - self.drain, _DUST)
        trusted = max(0.0, self._heard_at + _DRAIN_SILENCE_SECONDS - now)
        if not self.drain or missing <= net * trusted:
            return now + missing / net
        return now + trusted + (missing - net * trusted) / (self.rate - self.drain / 2)

    def charge(self, cost: float, now: float) -> Mark:
        """Count a send; the mark goes with the call and comes back with its answer."""
        self._move(now)
        self._order += 1
        self.level -= cost
        self._charged += cost
        return Mark(
            now, cost, self.level, self._corrected, self._spilled, self._charged, self._epoch, self._order
        )

    def refused(self, mark: Mark) -> None:
        """Give back what a refused call was charged: the provider never took it."""
        self._charged -= mark.cost
        if self.sliced:
            # Even pacing at the right rate fits the slices at some phase: move towards it.
            self.level -= _PHASE_STEP * mark.cost
            return
        if mark.epoch == self._epoch:
            self.level = min(self.depth, self.level + mark.cost)
            self._corrected += mark.cost

    def adjust(self, amount: float, mark: Mark) -> None:
        """Correct the cost of a call already sent: positive gives back, negative takes more."""
        self._charged -= amount
        if mark.epoch == self._epoch or amount < 0:
            self.level = min(self.depth, self.level + amount)

    def drawn_elsewhere(self, amount: float, held: float) -> None:
        """Take off what others are known to have drawn: no header has to tell it.

        `held` is what all of them know to be left: who seldom sends, and so seldom hears, drifts no lower.
        """
        change = max(self.level - amount, min(held, self.depth)) - self.level
        self.level += change
        self._corrected += change

    def observe(self, mark: Mark | None, window: Window, now: float, *, refused: bool) -> None:
        """Learn from the headers of the answer to the call that carries `mark`."""
        limit, period, remaining = window.limit, window.period_seconds, window.remaining
        if limit is not None and (limit != self.limit or period != self.period):
            self._learn_limit(limit, period, now)
        if remaining is None or mark is None:
            return
        self._move(now)
        if mark.order <= self._seen_order or mark.epoch != self._epoch:
            return
        self._seen_order = mark.order
        self._heard_at = now
        if refused:
            # The level needs no such care: what was given back is among the corrections since the mark.
            mark = mark._replace(charged=mark.charged - mark.cost)
        self._learn_depth(remaining, window.reset_seconds)
        if window.reset_seconds is not None:
            self._learn_reset(mark, window.reset_seconds, now)
        self._vote(mark, remaining)
        if self.sliced:
            return
        if self.windowed and self._fresh:
            self._measure(mark, remaining)
        self._correct(mark, remaining)
        self._last = mark

    def exhausted(self, mark: Mark, now: float) -> None:
        """Learn that the call that carries `mark` found less than its cost, without headers to say more."""
        self._move(now)
        if mark.epoch == self._epoch and mark.order > self._seen_order:
            self._seen_order = mark.order
            held = mark.level + self._corrected - mark.corrected
            self._shift(min(0.0, 0.5 * mark.cost - held), mark)

    def _move(self, now: float) -> None:
        if now <= self._at:
            return
        if self.windowed:
            if now >= self.reset_at:
                periods = 1 + int((now - self.reset_at) / self.period)
                self.reset_at += periods * self.period
                self.level = self.depth + min(0.0, self.level)
                self._epoch += 1
                self._began_charged, self._fresh = self._charged, True
                self._last = self._voter = None
        else:
            fading = now - max(self._at, self._heard_at + _DRAIN_SILENCE_SECONDS)
            if fading > 0 and self.drain:
                self._drained(self.drain * exp(-fading / _DRAIN_SILENCE_SECONDS))
            level = self.level + (self.rate - self.drain) * (now - self._at)
            if level > self.depth:
                self._spilled += level - self.depth
                level = self.depth
            self.level = level
        self._at = now

    def _learn_limit(self, limit: float, period: float, now: float) -> None:
        self._move(now)
        old = self.rate
        self.limit, self.period, self.rate = limit, period, limit / period
        self.depth = max(1.0, self.depth * self.rate / old)
        self._other_depth = max(1.0, self._other_depth * self.rate / old)
        self.level = min(self.level, self.depth)
        self._drained(self.drain)

    def _learn_depth(self, remaining: float, reset_seconds: float | None) -> None:
        if self.sliced or (self.depth >= self.limit and self.depth > remaining):
            return
        depth = max(self.depth, remaining + 1)
        # A continuous bucket is full after (depth - level) / rate. Whole seconds are too coarse to tell.
        if (
            not self.windowed
            and reset_seconds is not None
            and abs(reset_seconds - round(reset_seconds)) > 2e-3
        ):
            told = remaining + self.rate * reset_seconds
            if told <= self.limit:
                depth = max(depth, told)
        self.depth = depth

    def _measure(self, mark: Mark, remaining: float) -> None:
        """Learn from a window's first answer how much it held: it may be shorter than the told period."""
        self._fresh = False
        held = max(1.0, remaining + mark.charged - self._began_charged)
        self.level += held - self.depth
        self._corrected += held - self.depth
        self.depth = held

    def _vote(self, mark: Mark, remaining: float) -> None:
        """Tell a continuous bucket from a fixed window: in a window nothing comes back before its end."""
        if self._voter is None:
            self._voter = (mark, remaining)
            return
        last, before = self._voter
        expected = self.rate * (mark.at - last.at)
        shallow = self.depth <= _SHALLOW_SECONDS * self.rate
        if expected < (_TELLING_REFILL / 2 if shallow else _TELLING_REFILL):
            return
        self._voter = (mark, remaining)
        refill = remaining - before + mark.charged - last.charged
        room = self.depth - before
        if refill > 0.3 * min(expected, room) + 1:
            if not shallow:
                self._votes = 0
            if self.windowed:
                self._become(windowed=False)
        elif abs(refill) <= (0.5 if shallow else 1.01 + 0.01 * expected) and room > expected:
            self._votes += 1
            if self._votes >= _VOTES and shallow:
                self._pace_evenly()
            elif (
                self._votes >= _VOTES
                and not self.windowed
                and mark.at >= self._steady_since + _STEADY_SECONDS
            ):
                self._become(windowed=True)

    def _pace_evenly(self) -> None:
        self.sliced = True
        self.depth = 1.0
        self.level = min(self.level, 1.0)
        self.error = 0.0
        self._drained(0.0)

    def _become(self, *, windowed: bool) -> None:
        self.windowed = windowed
        self._votes = 0
        self.error = 0.0
        self._drained(0.0)
        self.depth, self._other_depth = self._other_depth, self.depth

    def _learn_reset(self, mark: Mark, reset_seconds: float, now: float) -> None:
        """Bound the window's end: headers may be as old as the request, and are rounded up to a second."""
        earliest, latest = mark.at + reset_seconds - _ROUNDING_SECONDS, now + reset_seconds
        if earliest > self.reset_at or self.reset_at == inf:
            self.reset_at, self._steady_since = latest, mark.at
        self.reset_at = min(self.reset_at, latest)

    def _correct(self, mark: Mark, remaining: float) -> None:
        held = mark.level + self._corrected - mark.corrected
        below, above = self._spread(remaining)
        error = min(0.0, above - held) if held >= below else below - held
        self.fit += 0.1 * (abs(error) - self.fit)
        keep = _ERROR_MEMORY if abs(error) > self.error else _ERROR_DECAY
        self.error = keep * self.error + (1 - keep) * abs(error)
        if self._last is not None:
            # What ran over where the shadow seemed full, nobody else has taken.
            spilled = mark.spilled - self._last.spilled
            self._learn_drain(mark, error if error >= 0 else min(0.0, error + spilled))
        self._shift(error, mark)

    def _spread(self, remaining: float) -> tuple[float, float]:
        """Say what a header's number may stand for: whole units, or rounded to tens or thousands."""
        if self._grain == 1:
            return remaining, remaining + 1
        if remaining > 0:
            self._grain = gcd(self._grain, int(remaining))
            self._grains += 1
        if self._grains < _ENOUGH_GRAINS or self._grain < 10:
            return remaining, remaining + 1
        return remaining - self._grain / 2, remaining + self._grain / 2 + 1

    def _learn_drain(self, mark: Mark, error: float) -> None:
        if self.windowed or self._last is None:
            return
        total, since = self._pending_drain
        total += error
        since += mark.at - self._last.at
        if since < max(1.0, _DRAIN_CALLS * mark.cost / self.rate):
            self._pending_drain = (total, since)
            return
        self._pending_drain = (0.0, 0.0)
        if self.level >= self.depth - 1 and total > 0:
            return
        gain = 1 - exp(-since / _DRAIN_MEMORY_SECONDS)
        drain = self.drain - gain * total / since
        self._drained(drain)

    def _drained(self, drain: float) -> None:
        self.drain = min(_MOST_DRAIN * self.rate, max(0.0, drain))
        self.crowded = self.drain > _CROWDED[not self.crowded] * self.rate

    def _shift(self, error: float, mark: Mark) -> None:
        spilled = self._spilled - mark.spilled
        applied = error if error >= 0 else min(0.0, error + spilled)
        self.level = min(self.depth, self.level + applied)
        self._corrected += error
