"""The tracker equals a brute-force oracle that looks at every moment separately."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.telemetry.levels import LevelTracker, percentile

SECOND = 1_000_000_000
WINDOW = 60 * SECOND

calls = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 90)).map(lambda c: (c[0], c[0] + c[1])),
    min_size=1,
    max_size=40,
)


def at(intervals, moment):
    """Live calls in the unit of time that begins at `moment` (half-open intervals)."""
    return sum(start <= moment < end for start, end in intervals)


def oracle(intervals, left, right, *, busy=False):
    levels = [at(intervals, moment) for moment in range(left, right)]
    return Counter(level for level in levels if level or not busy)


def rank(times, p):
    """Nearest rank over every unit of time, sorted: no cumulative sums, no shortcuts."""
    flat = sorted(times.elements())
    if not flat:
        return 0
    needed = Fraction(str(p)) * len(flat)
    return next(level for n, level in enumerate(flat, 1) if n >= needed)


def feed(tracker, intervals, unit=SECOND):
    events = sorted([(start, 1) for start, _ in intervals] + [(end, -1) for _, end in intervals])
    for moment, delta in events:
        (tracker.start if delta > 0 else tracker.end)(moment * unit)


def figures(summary):
    return summary.p50, summary.p95, summary.p99, summary.max, summary.seconds


def expected(times):
    return rank(times, 0.5), rank(times, 0.95), rank(times, 0.99), max(times, default=0), float(times.total())


@given(calls)
def test_closed_window_equals_the_oracle(intervals):
    tracker = LevelTracker(0)
    feed(tracker, intervals)
    first, last = min(s for s, _ in intervals), max(e for _, e in intervals)
    assert figures(tracker.closed()) == expected(oracle(intervals, first, last))
    assert figures(tracker.busy()) == expected(oracle(intervals, first, last, busy=True))


@given(calls, st.integers(0, 120))
def test_sliding_window_equals_the_oracle(intervals, later):
    tracker = LevelTracker(0)
    feed(tracker, intervals)
    now = max(e for _, e in intervals) + later
    times = oracle(intervals, max(0, now - 60), now)
    summary = tracker.window(now * SECOND)
    assert figures(summary) == expected(times)
    assert tracker.peak(now * SECOND) == max(times, default=0)
    if times:
        assert summary.mean == pytest.approx(sum(level * n for level, n in times.items()) / times.total())


@given(calls, st.integers(0, 30))
def test_histogram_counts_seconds_at_or_below_each_bound(intervals, later):
    tracker = LevelTracker(0)
    feed(tracker, intervals)
    now = max(e for _, e in intervals) + later
    times = oracle(intervals, 0, now)
    shown = tracker.histogram(now * SECOND, (0.0, 1.0, 2.0, 4.0, 8.0))
    assert shown.total == now
    assert shown.weighted_sum == sum(level * n for level, n in times.items())
    for bound, seconds in shown.buckets:
        assert seconds == sum(n for level, n in times.items() if level <= bound)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), min_size=1, max_size=20), st.randoms())
@settings(max_examples=60)
def test_reports_out_of_order_inside_the_window_change_nothing(raw, random):
    intervals = [(start, start + length) for start, length in raw]
    reports = [(start, 1) for start, _ in intervals] + [(end, -1) for _, end in intervals]
    random.shuffle(reports)
    tracker = LevelTracker(0)
    for moment, delta in reports:
        (tracker.start if delta > 0 else tracker.end)(moment * SECOND)
    ordered = LevelTracker(0)
    feed(ordered, intervals)
    now = 61 * SECOND
    assert tracker.closed() == ordered.closed()
    assert tracker.window(now) == ordered.window(now)


def test_arrivals_weigh_calls_and_not_time():
    tracker = LevelTracker(0)
    feed(tracker, [(0, 100), (1, 3), (2, 3)])
    seen = tracker.arrivals((0.0, 1.0, 2.0))
    assert seen.buckets == ((0.0, 1), (1.0, 2), (2.0, 3))
    assert (seen.total, seen.weighted_sum) == (3, 3)


def test_histogram_never_falls_when_the_clock_is_set_back():
    tracker = LevelTracker(0)
    tracker.start(10 * SECOND)
    before = tracker.histogram(30 * SECOND, (0.0, 1.0))
    after = tracker.histogram(20 * SECOND, (0.0, 1.0))
    assert after == before


def test_memory_holds_the_window_and_not_the_past():
    tracker = LevelTracker(0)
    for second in range(10_000):
        tracker.start(second * SECOND)
        tracker.end(second * SECOND + 1)
    assert len(tracker._events) <= 2 * 60 + 2
    assert tracker.closed().seconds == pytest.approx(9_999 + 1e-9)


@pytest.mark.parametrize(
    ("times", "p", "level"),
    [
        ({}, 0.5, 0),
        ({3: 0}, 0.99, 0),
        ({1: 50, 2: 50}, 0.5, 1),
        ({1: 50, 2: 51}, 0.5, 2),
        ({0: 1, 9: 99}, 0.01, 0),
    ],
)
def test_percentile_is_the_nearest_rank(times, p, level):
    assert percentile(times, p) == level
