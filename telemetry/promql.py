"""PromQL over the catalogue: a query that names a metric or a label which does not exist is not built.

Only what Prometheus 2.42 and 3.x both evaluate: classic histograms, ASCII names, no exact `le`.
"""

import re
from dataclasses import dataclass
from typing import Final

from penstock.telemetry.metrics import CAP, LIVE_QUANTILE, LIVE_SECONDS, Metric, MetricType

_MATCHER: Final = re.compile(r'^([a-zA-Z_]\w*)(=~|!~|!=|=)"[^"]*"$')
_SCRAPED: Final = frozenset({"job", "instance"})
_HISTOGRAM_PARTS: Final = ("_bucket", "_sum", "_count")


@dataclass(frozen=True, slots=True)
class PromQL:
    """Write queries within a scope.

    `scope` holds matchers that are added where a metric has their label. `window` is the range of
    every rate that names none.
    """

    scope: tuple[str, ...] = ()
    window: str = "5m"

    def select(self, metric: Metric, *matchers: str, part: str = "") -> str:
        """Select a metric's series. `part` is `_bucket`, `_sum` or `_count` of a histogram.

        Raises:
            ValueError: if a matcher names no label of the metric, or the part does not fit its type.
        """
        if (metric.type is MetricType.HISTOGRAM) != (part in _HISTOGRAM_PARTS):
            raise ValueError(f"{metric.name} is a {metric.type} and has no part {part!r}")
        known = _SCRAPED | set(metric.labels)
        for matcher in matchers:
            if _label(matcher) not in known:
                raise ValueError(f"{metric.name} has no label for {matcher}; it has {sorted(known)}")
        wanted = [*(m for m in self.scope if _label(m) in known), *matchers]
        return f"{metric.name}{part}" + (f"{{{','.join(wanted)}}}" if wanted else "")

    def total(self, metric: Metric, *matchers: str, by: str = "pool", function: str = "sum") -> str:
        """Aggregate a gauge over processes."""
        return f"{_aggregate(function, metric, by)} ({self.select(metric, *matchers)})"

    def rate(self, metric: Metric, *matchers: str, by: str = "pool", part: str = "", window: str = "") -> str:
        """Sum what a counter, or a histogram's part, gains a second."""
        series = self.select(metric, *matchers, part=part)
        return f"{_aggregate('sum', metric, by)} (rate({series}[{window or self.window}]))"

    def increase(self, metric: Metric, *matchers: str, by: str = "pool", window: str = "") -> str:
        """Sum what a counter gained in the window."""
        series = self.select(metric, *matchers)
        return f"{_aggregate('sum', metric, by)} (increase({series}[{window or self.window}]))"

    def share(self, metric: Metric, *matchers: str, by: str = "pool", window: str = "") -> str:
        """Divide the series that match by all; no value where there is no traffic."""
        part = self.rate(metric, *matchers, by=by, window=window)
        return over(part, self.rate(metric, by=by, window=window))

    def quantile(self, q: float, metric: Metric, *matchers: str, by: str = "pool", window: str = "") -> str:
        """Estimate a quantile of a histogram, right within a bucket."""
        labels = f"{by}, le" if by else "le"
        series = self.select(metric, *matchers, part="_bucket")
        rate = f"{_aggregate('sum', metric, labels)} (rate({series}[{window or self.window}]))"
        return f"histogram_quantile({q}, {rate})"

    def mean(self, metric: Metric, *matchers: str, by: str = "pool", window: str = "") -> str:
        """Divide a histogram's sum by its count."""
        parts = (self.rate(metric, *matchers, by=by, part=p, window=window) for p in ("_sum", "_count"))
        return over(*parts)

    def live_mean(self, by: str = "pool", window: str = "") -> str:
        """Call-seconds a second: the mean of live calls of all instances together, exact."""
        return self.rate(LIVE_SECONDS, by=by, part="_sum", window=window)

    def live_quantile(self, q: float, by: str = "pool", window: str = "") -> str:
        """Add up each instance's quantile.

        Right within a bucket for one instance, whose workers are taken together; an upper bound for several.
        """
        return f"sum by ({by}) ({self.quantile(q, LIVE_SECONDS, by='job, instance, pool', window=window)})"

    def headroom(self, by: str = "pool") -> str:
        """Share of the cap that the last minute's exact p99 leaves free, at the fullest instance."""
        p99 = self.select(LIVE_QUANTILE, 'quantile="0.99"')
        return f"1 - max by ({by}) ({p99} / ignoring (quantile) {self.select(CAP)})"


def over(part: str, whole: str) -> str:
    """Divide; nothing to divide by gives no value, and not NaN."""
    return f"{part} / ({whole} > 0)"


def _aggregate(function: str, metric: Metric, by: str) -> str:
    labels = [label.strip() for label in by.split(",") if label.strip()]
    known = _SCRAPED | set(metric.labels) | {"le"}
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise ValueError(f"{metric.name} has no label {', '.join(unknown)}")
    return f"{function} by ({', '.join(labels)})" if labels else function


def _label(matcher: str) -> str:
    match = _MATCHER.match(matcher)
    if match is None:
        raise ValueError(f'not a matcher: {matcher!r}; write label="value"')
    return match[1]
