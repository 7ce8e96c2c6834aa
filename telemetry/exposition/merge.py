"""Several processes' series as one: what adds, what does not."""

from collections.abc import Iterable
from typing import Final

import orjson

from penstock.telemetry import metrics as m
from penstock.telemetry.metrics import CATALOGUE, Metric, MetricType
from penstock.telemetry.registry import Family, Histogram, Labels, Value

Snapshot = dict[str, dict[Labels, Value]]
"""Series by metric name."""

_SUMMED: Final = frozenset({m.LIVE.name, m.QUEUE.name, m.CAP.name, m.RATE.name, m.BUILD.name})
_QUOTA: Final = frozenset({m.QUOTA_LIMIT.name, m.QUOTA_REMAINING.name, m.QUOTA_RESET.name})
_METRICS: Final = {metric.name: metric for metric in CATALOGUE}


def dump(families: Iterable[Family], **beside: object) -> bytes:
    """Write series as JSON, and what is to be known `beside` them."""
    return orjson.dumps(
        beside
        | {
            family.metric.name: [[labels, _plain(value)] for labels, value in family.series.items()]
            for family in families
            if family.series
        }
    )


def load(data: bytes) -> Snapshot:
    """Read what `dump` wrote; what cannot be read is nothing."""
    try:
        raw = orjson.loads(data)
        return {
            name: {tuple(labels): _value(_METRICS[name], value) for labels, value in rows}
            for name, rows in raw.items()
            if name in _METRICS
        }
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError, KeyError):
        return {}


def snapshot(families: Iterable[Family]) -> Snapshot:
    """Take series out of their families."""
    return {family.metric.name: family.series for family in families if family.series}


def counts(of: Snapshot) -> Snapshot:
    """Keep what a dead process leaves behind: counters and histograms, and the word that nothing is live."""
    kept = {name: series for name, series in of.items() if _METRICS[name].type is not MetricType.GAUGE}
    return {**kept, m.LIVE.name: dict.fromkeys(of.get(m.LIVE.name, {}), 0.0)}


def merge(parts: Iterable[Snapshot]) -> list[Family]:
    """Add processes up. Quota gauges are the newest headers'; other gauges the highest."""
    merged: Snapshot = {}
    for part in parts:
        newer = _newer_pools(part, merged)
        for name, series in part.items():
            into = merged.setdefault(name, {})
            for labels, value in series.items():
                known = into.get(labels)
                if name in _QUOTA:
                    if labels[0] in newer:
                        into[labels] = value
                else:
                    into[labels] = value if known is None else _add(_METRICS[name], known, value)
    return [Family(metric, merged.get(metric.name, {})) for metric in CATALOGUE]


def _newer_pools(part: Snapshot, merged: Snapshot) -> set[str]:
    seen = merged.get(m.QUOTA_SEEN.name, {})
    mine = part.get(m.QUOTA_SEEN.name, {})
    return {labels[0] for labels, at in mine.items() if _number(at) >= _number(seen.get(labels, 0.0))}


def _number(value: Value) -> float:
    return value if not isinstance(value, Histogram) else 0.0


def _add(metric: Metric, left: Value, right: Value) -> Value:
    if isinstance(left, Histogram) and isinstance(right, Histogram):
        buckets = [a + b for a, b in zip(left.buckets, right.buckets, strict=True)]
        exemplars = {**left.exemplars, **right.exemplars}
        return Histogram(buckets, left.sum + right.sum, left.running, exemplars)
    if metric.type is MetricType.COUNTER or metric.name in _SUMMED:
        return _number(left) + _number(right)
    if metric.name == m.STORE.name:
        return min(_number(left), _number(right))
    return max(_number(left), _number(right))


def _plain(value: Value) -> object:
    if isinstance(value, Histogram):
        return [value.buckets, value.sum, value.running]
    return repr(value) if value in (float("inf"), float("-inf")) else value


def _value(metric: Metric, raw: object) -> Value:
    if isinstance(raw, list):
        buckets, total, running = raw
        if len(buckets) != len(metric.buckets) + 1:
            raise ValueError("another version's buckets")
        return Histogram([float(n) for n in buckets], float(total), bool(running))
    return float(raw)  # type: ignore[arg-type]
