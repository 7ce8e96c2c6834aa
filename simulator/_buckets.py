"""How one dimension of a quota fills and empties. Times are seconds on any clock that never goes back.

`level` is what may be taken now. A bucket advances over spans in which nothing about it changes; its
owner splits time where something does. A neighbour on the same quota is a share of the rate that is
taken first (`drained`) and, when it `grabs`, also whatever lies unclaimed.
"""

import math
from typing import Final, Protocol

SLACK: Final = 1e-6
"""Floating-point dust that a refill computed in pieces may lack."""


class Bucket(Protocol):
    """One dimension's state. `per_second` is its rate, `capacity` the most it can hold."""

    per_second: float
    capacity: float
    level: float

    def advance(self, now: float, drained: float, grabs: bool) -> None:
        """Move to `now`, with what a neighbour did since the last move."""
        ...

    def wait(self, cost: float, drained: float) -> float:
        """Say after how many seconds `level` reaches `cost` if nothing changes; inf if never."""
        ...

    def refund(self, amount: float, taken_at: float) -> None:
        """Give back a part of what was taken at that time."""
        ...


class Continuous:
    """A token bucket: refills all the time, some seconds of its rate deep, never less than one."""

    __slots__ = ("_at", "capacity", "level", "per_second")

    def __init__(self, now: float, per_minute: float, depth_seconds: float) -> None:
        self.per_second = per_minute / 60
        self.capacity = max(1.0, self.per_second * depth_seconds)
        self.level = self.capacity
        self._at = now

    def advance(self, now: float, drained: float, grabs: bool) -> None:
        seconds, self._at = now - self._at, now
        level = self.level + self.per_second * (1 - drained) * seconds
        if grabs and level > 1:
            # The neighbour takes what is above one call as fast as the whole quota refills.
            level = max(1.0, self.level - self.per_second * drained * seconds)
        self.level = min(self.capacity, level)

    def wait(self, cost: float, drained: float) -> float:
        if cost > self.capacity + SLACK:
            return math.inf
        missing, net = cost - self.level, self.per_second * (1 - drained)
        return 0.0 if missing <= SLACK else missing / net if net else math.inf

    def refund(self, amount: float, taken_at: float) -> None:
        self.level = min(self.capacity, self.level + amount)


class Windowed:
    """A counter that is set anew at each multiple of some seconds; fractions of a call carry over."""

    __slots__ = ("_at", "_due", "_seconds", "_window", "capacity", "level", "per_second")

    def __init__(self, now: float, per_minute: float, seconds: float) -> None:
        self.per_second = per_minute / 60
        self._seconds = seconds
        self._due = self.per_second * seconds
        self.capacity = max(1.0, math.floor(self._due + SLACK))
        self._window = self._index(now)
        self.level = self._grant(self._window)
        self._at = now

    def _index(self, at: float) -> int:
        return math.floor((at + SLACK) / self._seconds)

    def _grant(self, window: int) -> float:
        return float(math.floor((window + 1) * self._due + SLACK) - math.floor(window * self._due + SLACK))

    def advance(self, now: float, drained: float, grabs: bool) -> None:
        window = self._index(now)
        if window > self._window:
            self._drain(self._seconds * (self._window + 1), drained, grabs)
            # What was taken beyond the window's end is owed to the next one, not for ever.
            owed = min(0.0, self.level) if window == self._window + 1 else 0.0
            self.level = self._grant(window) + owed
            self._window = window
            self._at = window * self._seconds
        self._drain(now, drained, grabs)

    def _drain(self, until: float, drained: float, grabs: bool) -> None:
        # Its share is the neighbour's even where we were quicker: the level goes below zero then.
        share = self.per_second * (until - self._at)
        self.level -= drained * share
        if grabs:
            self.level = min(self.level, max(0.0, self.level - share))
        self._at = until

    def wait(self, cost: float, drained: float) -> float:
        if cost > self.capacity + SLACK:
            return math.inf
        if cost <= self.level + SLACK:
            return 0.0
        window = self._window + 1
        while self._grant(window) < cost:
            window += 1
        return window * self._seconds - self._at

    def refund(self, amount: float, taken_at: float) -> None:
        if self._index(taken_at) == self._window:
            self.level = min(self.capacity, self.level + amount)
