"""Live calls of one pool over time: exact, time-weighted, in constant time per transition.

A sampled gauge is blind to bursts; weighting each level by the time spent at it is not. The rules are
the ones that the offline analysis uses, so that both agree to the last digit: intervals are half-open,
transitions are ordered by (time, delta) so that an end at t precedes a start at t, levels held for no
time do not count, and a percentile is the nearest rank on levels: the smallest L with
time(level <= L) >= p x total.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Final

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LevelSummary:
    """Time-weighted figures of one span of time. `seconds` is its length; all 0 when it is empty."""

    mean: float
    p50: int
    p95: int
    p99: int
    max: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LevelHistogram:
    """Cumulative buckets over levels: (bound, value at or below it), then the sums."""

    buckets: tuple[tuple[float, float], ...]
    total: float
    weighted_sum: float


def percentile(time_at_level: Mapping[int, int], p: float) -> int:
    """Find the smallest level L with time(level <= L) >= p x total; 0 when no time was spent.

    Exact: `p` is read as the decimal it is written as, and times are whole nanoseconds.
    """
    needed = Fraction(str(p)) * sum(time_at_level.values())
    spent = 0
    for level in sorted(time_at_level):
        spent += time_at_level[level]
        if spent >= needed and spent:
            return level
    return 0


def summarise(time_at_level: Mapping[int, int]) -> LevelSummary:
    """Reduce nanoseconds spent at each level to the figures people read."""
    held = {level: dt for level, dt in time_at_level.items() if dt > 0}
    total = sum(held.values())
    if not total:
        return LevelSummary(0.0, 0, 0, 0, 0, 0.0)
    area = sum(level * dt for level, dt in held.items())
    return LevelSummary(
        mean=area / total,
        p50=percentile(held, 0.5),
        p95=percentile(held, 0.95),
        p99=percentile(held, 0.99),
        max=max(held),
        seconds=total / SECOND_NS,
    )


class LevelTracker:
    """Follow the level of one pool. Sans-IO: every method takes its time in `time.time_ns()`.

    Threads stamp a transition before they report it, so reports may arrive slightly out of order:
    inside the window they are put where they belong. Older than the window, they count as of its
    start. Not thread-safe: the caller holds a lock.
    """

    def __init__(self, created_ns: int, *, window_seconds: float = 60.0) -> None:
        self._window_ns = int(window_seconds * SECOND_NS)
        self._created_ns = created_ns
        self._first_start_ns: int | None = None
        self._level = 0
        # Transitions inside the window, behind one anchor at its left edge; time between them.
        self._events: deque[tuple[int, int]] = deque([(created_ns, 0)])
        self._anchor_level = 0
        self._recent: Counter[int] = Counter()
        self._settled: Counter[int] = Counter()
        self._arrivals: Counter[int] = Counter()
        self._shown: dict[float | str, float] = {}

    @property
    def level(self) -> int:
        """Live calls now."""
        return self._level

    def start(self, at_ns: int) -> int:
        """Count one call in; return the live calls that it found."""
        found = self._level
        self._arrivals[found] += 1
        if self._first_start_ns is None or at_ns < self._first_start_ns:
            self._first_start_ns = at_ns
        self._insert(at_ns, 1)
        return found

    def end(self, at_ns: int) -> None:
        """Count one call out."""
        self._insert(at_ns, -1)

    def window(self, now_ns: int) -> LevelSummary:
        """Summarise the sliding window that ends now."""
        return summarise(self._window_times(now_ns))

    def peak(self, now_ns: int) -> int:
        """Tell the highest level of the sliding window, the one held right now included."""
        held = (level for level, dt in self._window_times(now_ns).items() if dt > 0)
        return max(self._level, *held, 0)

    def closed(self) -> LevelSummary:
        """Summarise first start … last end: what offline analysis of the same spans says."""
        return summarise(self._closed_times())

    def busy(self) -> LevelSummary:
        """Summarise the same span over the time with at least one live call."""
        return summarise({level: dt for level, dt in self._closed_times().items() if level > 0})

    def histogram(self, now_ns: int, bounds: tuple[float, ...]) -> LevelHistogram:
        """Tell seconds spent at or below each bound since creation; never less than told before.

        A clock set back, or a late report, would otherwise look like a counter reset, which makes a
        rate jump by the counter's whole value.
        """
        times = self._settled + self._recent
        times[self._level] += max(0, now_ns - self._events[-1][0])
        total = sum(times.values()) / SECOND_NS
        area = sum(level * dt for level, dt in times.items()) / SECOND_NS
        below = zip(bounds, _cumulate(times, bounds), strict=True)
        buckets = tuple((bound, self._rising(bound, ns / SECOND_NS)) for bound, ns in below)
        return LevelHistogram(buckets, self._rising("total", total), self._rising("area", area))

    def arrivals(self, bounds: tuple[float, ...]) -> LevelHistogram:
        """Tell how many calls found at most so many live calls when they were sent."""
        buckets = tuple(zip(bounds, _cumulate(self._arrivals, bounds), strict=True))
        area = sum(level * n for level, n in self._arrivals.items())
        return LevelHistogram(buckets, self._arrivals.total(), area)

    def _rising(self, key: float | str, value: float) -> float:
        self._shown[key] = max(value, self._shown.get(key, 0.0))
        return self._shown[key]

    def _insert(self, at_ns: int, delta: int) -> None:
        events = self._events
        last_ns, last_delta = events[-1]
        if at_ns > last_ns or (at_ns == last_ns and delta >= last_delta):
            self._recent[self._level] += at_ns - last_ns  # `_push`, in place: this is run twice an attempt
            events.append((at_ns, delta))
            self._level += delta
        else:
            self._insert_late(max((at_ns, delta), (events[0][0], delta)))
        if events[1][0] <= at_ns - self._window_ns:
            self._settle(events[-1][0] - self._window_ns)

    def _insert_late(self, event: tuple[int, int]) -> None:
        """Put a late report where it belongs: take the later ones off, and put them back."""
        later: list[tuple[int, int]] = []
        while len(self._events) > 1 and self._events[-1] > event:
            later.append(self._pop())
        self._push(*event)
        while later:
            self._push(*later.pop())

    def _push(self, at_ns: int, delta: int) -> None:
        self._recent[self._level] += at_ns - self._events[-1][0]
        self._events.append((at_ns, delta))
        self._level += delta

    def _pop(self) -> tuple[int, int]:
        at_ns, delta = self._events.pop()
        self._level -= delta
        self._recent[self._level] -= at_ns - self._events[-1][0]
        return at_ns, delta

    def _settle(self, left_ns: int) -> None:
        """Drop events that the window has passed, keeping the newest of them as its anchor."""
        while len(self._events) > 1 and self._events[1][0] <= left_ns:
            old, _ = self._events.popleft()
            at_ns, delta = self._events[0]
            self._recent[self._anchor_level] -= at_ns - old
            self._settled[self._anchor_level] += at_ns - old
            self._anchor_level += delta

    def _window_times(self, now_ns: int) -> Counter[int]:
        left = max(now_ns - self._window_ns, self._created_ns)
        self._settle(left)
        times = self._recent.copy()
        anchor = self._events[0][0]
        times[self._level] += max(0, now_ns - self._events[-1][0])
        times[self._anchor_level] -= max(0, left - anchor)
        return times

    def _closed_times(self) -> Counter[int]:
        """Time from the first start to the last transition; nothing before the first start counts."""
        times = self._settled + self._recent
        if self._first_start_ns is not None:
            times[0] -= max(0, self._first_start_ns - self._created_ns)
        else:
            times.clear()
        return times


def _cumulate(times: Mapping[int, int], bounds: tuple[float, ...]) -> list[int]:
    """Sum the values of the levels at or below each bound."""
    sums = [0] * (len(bounds) + 1)
    for level, value in times.items():
        sums[bisect_left(bounds, level)] += value
    return list(accumulate(sums[:-1]))
