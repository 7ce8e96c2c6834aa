"""The in-process metric store: cheap to write from any thread, read by every exposition.

Values live in plain dicts behind one lock; an increment costs about a microsecond. What is only known
at reading time (levels, the limiter's state) is written by *sources*, callables that run before each
read.
"""

import itertools
import logging
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from penstock.telemetry.metrics import CATALOGUE, Metric, MetricType

Labels = tuple[str, ...]
logger = logging.getLogger("penstock")

OTHER: Final = "other"
LABEL_LIMIT: Final = 50


@dataclass(frozen=True, slots=True)
class Exemplar:
    """The trace behind one observation."""

    trace_id: str
    value: float
    at_seconds: float


@dataclass(slots=True)
class Histogram:
    """One histogram series: each bucket's own count, the sum of values, the newest exemplars.

    `running`: buckets hold running totals already, as a time-weighted histogram tells them; taking
    them apart and adding them up again could make a counter fall by a rounding error.
    """

    buckets: list[float]
    sum: float = 0.0
    running: bool = False
    exemplars: dict[int, Exemplar] = field(default_factory=dict)


Value = float | Histogram


@dataclass(frozen=True, slots=True)
class Family:
    """One metric and its series, as read at one moment."""

    metric: Metric
    series: dict[Labels, Value]


class Bound:
    """Keep a label's values few: the first `limit` as they are, the rest `other`.

    Control characters are dropped, since a model's name is whatever the app or its user typed.
    """

    def __init__(self, limit: int = LABEL_LIMIT) -> None:
        self._limit = limit
        self._known: dict[str, str] = {}

    def __call__(self, raw: str) -> str:
        known = self._known.get(raw)
        if known is not None:
            return known
        if len(self._known) >= self._limit:
            return OTHER
        clean = "".join(c for c in raw if c.isprintable())[:200] or "unknown"
        self._known[raw] = clean
        return clean


class Registry:
    """Hold every series of this process. Thread-safe; a fork's child calls `clear`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[str, dict[Labels, Value]] = {metric.name: {} for metric in CATALOGUE}
        self._sources: list[Callable[[], None]] = []
        self.mirror: Callable[[Metric, Labels, float], None] | None = None
        """Told of each observation, for those who keep histograms of their own."""

    def create(self, metric: Metric, *labels: Labels) -> None:
        """Make series that stand at 0, so that a ratio over them is 0 and not absent."""
        with self._lock:
            series = self._series[metric.name]
            for key in labels:
                series.setdefault(key, _zero(metric))

    def inc(self, metric: Metric, labels: Labels = (), amount: float = 1.0) -> None:
        """Add to a counter."""
        series = self._series[metric.name]
        with self._lock:
            series[labels] = series.get(labels, 0.0) + amount  # type: ignore[operator]

    def set(self, metric: Metric, labels: Labels, value: float) -> None:
        """Set a gauge."""
        with self._lock:
            self._series[metric.name][labels] = value

    def put(self, metric: Metric, labels: Labels, histogram: Histogram) -> None:
        """Replace a histogram that is kept elsewhere, such as the time-weighted one."""
        with self._lock:
            self._series[metric.name][labels] = histogram

    def observe(self, metric: Metric, labels: Labels, value: float, exemplar: Exemplar | None = None) -> None:
        """Count one value into a histogram."""
        index = bisect_left(metric.buckets, value)
        series = self._series[metric.name]
        with self._lock:
            histogram = series.get(labels)
            if not isinstance(histogram, Histogram):
                histogram = series[labels] = _empty(metric)
            histogram.buckets[index] += 1
            histogram.sum += value
            if exemplar is not None:
                histogram.exemplars[index] = exemplar
        if self.mirror is not None:
            self.mirror(metric, labels, value)

    def add_source(self, source: Callable[[], None]) -> None:
        """Run `source` before every read; what it raises is logged and swallowed."""
        self._sources.append(source)

    def remove_source(self, source: Callable[[], None]) -> None:
        """Stop running `source`."""
        if source in self._sources:
            self._sources.remove(source)

    def collect(self) -> list[Family]:
        """Read every family, sources first."""
        for source in tuple(self._sources):
            try:
                source()
            except Exception:
                logger.warning("a metric source failed; its series may be old", exc_info=True)
        with self._lock:
            return [Family(metric, self._copy(metric)) for metric in CATALOGUE]

    def value(self, metric: Metric, labels: Labels = ()) -> float:
        """Read one counter or gauge, or a histogram's count; 0 where it is absent."""
        found = self._series[metric.name].get(labels, 0.0)
        return sum(found.buckets) if isinstance(found, Histogram) else found

    def clear(self) -> None:
        """Drop every series: a forked child counts its own from nothing. Sources stay."""
        self._lock = threading.Lock()
        for series in self._series.values():
            series.clear()

    def _copy(self, metric: Metric) -> dict[Labels, Value]:
        series = self._series[metric.name]
        return {labels: _snapshot(value) for labels, value in series.items()}


def _snapshot(value: Value) -> Value:
    if isinstance(value, Histogram):
        return Histogram(list(value.buckets), value.sum, value.running, dict(value.exemplars))
    return value


def _empty(metric: Metric) -> Histogram:
    return Histogram([0.0] * (len(metric.buckets) + 1))


def _zero(metric: Metric) -> Value:
    return _empty(metric) if metric.type is MetricType.HISTOGRAM else 0.0


def cumulative(metric: Metric, histogram: Histogram) -> list[tuple[float, float]]:
    """List (bound, observations at or below it), the last bound being infinity."""
    totals = histogram.buckets if histogram.running else accumulate(histogram.buckets)
    return list(zip((*metric.buckets, float("inf")), totals, strict=True))


def product(metric: Metric, **values: Iterable[str]) -> list[Labels]:
    """Build every label set of a metric from each label's values."""
    return list(itertools.product(*(tuple(values[label]) for label in metric.labels)))
