"""The in-process metric store: cheap to write from any thread, read by every exposition.

Values live in plain dicts behind one lock; an increment costs about a microsecond. What calls tell is
noted in the *backlog* and written before each read. What is only known at reading time (levels, the
limiter's state) is written by *sources*, callables that run then too.
"""

import itertools
import logging
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from opentelemetry.trace import SpanContext, get_current_span

from penstock.telemetry.backlog import Backlog
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

    def add(self, index: int, value: float) -> None:
        """Count one value into the bucket at `index`. Hold the registry's lock."""
        self.buckets[index] += 1
        self.sum += value


@dataclass(slots=True)
class Cell:
    """One counter or gauge series. Whoever writes it holds the registry's lock."""

    value: float = 0.0


Value = float | Histogram
"""A series as it is read."""
Series = Cell | Histogram
"""A series as it is written."""
Mirror = Callable[[Metric, Labels, float, SpanContext | None], None]


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
    """Hold every series of this process. Thread-safe; a fork's child calls `clear`.

    A path that is run at every attempt asks once for its cells and histograms, and writes them under
    `lock`, taken once for all of them.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._series: dict[str, dict[Labels, Series]] = {metric.name: {} for metric in CATALOGUE}
        self._sources: list[Callable[[], None]] = []
        self.backlog = Backlog(lambda: not self.lock.locked())
        self.mirror: Mirror | None = None
        """Told of each observation and its span, for those who keep histograms of their own."""

    def create(self, metric: Metric, *labels: Labels) -> None:
        """Make series that stand at 0, so that a ratio over them is 0 and not absent."""
        with self.lock:
            series = self._series[metric.name]
            for key in labels:
                series.setdefault(key, _zero(metric))

    def inc(self, metric: Metric, labels: Labels = (), amount: float = 1.0) -> None:
        """Add to a counter."""
        with self.lock:
            self.cell(metric, labels).value += amount

    def set(self, metric: Metric, labels: Labels, value: float) -> None:
        """Set a gauge."""
        with self.lock:
            self.cell(metric, labels).value = value

    def put(self, metric: Metric, labels: Labels, histogram: Histogram) -> None:
        """Replace a histogram that is kept elsewhere, such as the time-weighted one."""
        with self.lock:
            self._series[metric.name][labels] = histogram

    def observe(self, metric: Metric, labels: Labels, value: float) -> None:
        """Count one value into a histogram."""
        with self.lock:
            self.histogram(metric, labels).add(bisect_left(metric.buckets, value), value)
        if self.mirror is not None:
            self.mirror(metric, labels, value, get_current_span().get_span_context())

    def cell(self, metric: Metric, labels: Labels) -> Cell:
        """Find a counter's or gauge's series, or make it. Hold `lock`."""
        series = self._series[metric.name]
        found = series.get(labels)
        if not isinstance(found, Cell):
            found = series[labels] = Cell()
        return found

    def histogram(self, metric: Metric, labels: Labels) -> Histogram:
        """Find a histogram's series, or make it. Hold `lock`."""
        series = self._series[metric.name]
        found = series.get(labels)
        if not isinstance(found, Histogram):
            found = series[labels] = _empty(metric)
        return found

    def add_source(self, source: Callable[[], None]) -> None:
        """Run `source` before every read; what it raises is logged and swallowed."""
        self._sources.append(source)

    def remove_source(self, source: Callable[[], None]) -> None:
        """Stop running `source`."""
        if source in self._sources:
            self._sources.remove(source)

    def collect(self) -> list[Family]:
        """Read every family, the backlog and sources first."""
        with self.backlog.written():
            for source in tuple(self._sources):
                try:
                    source()
                except Exception:
                    logger.warning("a metric source failed; its series may be old", exc_info=True)
            with self.lock:
                return [Family(metric, self._copy(metric)) for metric in CATALOGUE]

    def value(self, metric: Metric, labels: Labels = ()) -> float:
        """Read one counter or gauge, or a histogram's count; 0 where it is absent."""
        with self.backlog.written():
            found = self._series[metric.name].get(labels)
        if isinstance(found, Histogram):
            return sum(found.buckets)
        return found.value if found is not None else 0.0

    def clear(self) -> None:
        """Drop every series: a forked child counts its own from nothing. Sources stay."""
        self.lock = threading.Lock()
        self.backlog.clear()
        for series in self._series.values():
            series.clear()

    def _copy(self, metric: Metric) -> dict[Labels, Value]:
        series = self._series[metric.name]
        return {labels: _snapshot(value) for labels, value in series.items()}


def _snapshot(value: Series) -> Value:
    if isinstance(value, Histogram):
        return Histogram(list(value.buckets), value.sum, value.running, dict(value.exemplars))
    return value.value


def _empty(metric: Metric) -> Histogram:
    return Histogram([0.0] * (len(metric.buckets) + 1))


def _zero(metric: Metric) -> Series:
    return _empty(metric) if metric.type is MetricType.HISTOGRAM else Cell()


def cumulative(metric: Metric, histogram: Histogram) -> list[tuple[float, float]]:
    """List (bound, observations at or below it), the last bound being infinity."""
    totals = histogram.buckets if histogram.running else accumulate(histogram.buckets)
    return list(zip((*metric.buckets, float("inf")), totals, strict=True))


def product(metric: Metric, **values: Iterable[str]) -> list[Labels]:
    """Build every label set of a metric from each label's values."""
    return list(itertools.product(*(tuple(values[label]) for label in metric.labels)))
