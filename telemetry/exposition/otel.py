"""The registry as OpenTelemetry instruments, read when a MeterProvider collects.

Counters and gauges are observable ones; durations are recorded into histograms as they happen.
OpenTelemetry has no observable histogram, so the levels of live calls leave as observable counters:
`<name>_bucket` with an `le` attribute, `<name>_sum` and `<name>_count`.
"""

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from typing import Final, cast

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.metrics import Histogram as OtelHistogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from penstock.telemetry import metrics as m
from penstock.telemetry.metrics import CATALOGUE, Metric, MetricType
from penstock.telemetry.registry import Family, Histogram, Labels, Registry, cumulative

logger: Final = logging.getLogger("penstock")
_GROUP: Final = "opentelemetry_metrics_exporter"
_FRESH_SECONDS: Final = 0.2
"""One collection asks each instrument apart; they share what was read so recently."""
_LEVELS: Final = frozenset({m.LIVE_SECONDS.name, m.LIVE_AT_ARRIVAL.name, m.FLEET_LIVE_SECONDS.name})

Rows = Callable[[Family], Iterator[Observation]]


class OtelMetrics:
    """Our series on the app's MeterProvider, or on our own where only an OTLP endpoint is set.

    The app's provider may come later than we: the API's proxies turn real then.
    """

    def __init__(self, registry: Registry, version: str) -> None:
        self._registry, self._version = registry, version
        self._own = _own_provider()
        self._instruments = (
            _Instruments(self._own.get_meter("penstock", version))
            if self._own is not None
            else _shared(version)
        )
        self._instruments.follow(registry)

    def close(self) -> None:
        """Send what is left by our own provider, and fall silent."""
        own, self._own = self._own, None
        self._registry.backlog.write()
        if own is not None:
            own.shutdown()
        self._instruments.leave(self._registry)

    def after_fork(self) -> None:
        """Give a forked child a provider of its own at its first call: its series are another instance's."""
        if self._own is not None:
            self._registry.backlog.note(self._renew, self._own, 0)

    def _renew(self, inherited: MeterProvider) -> None:
        threading.Thread(target=inherited.shutdown, daemon=True).start()  # it may talk to the network
        self._instruments.leave(self._registry)
        self._own = _own_provider()
        if self._own is not None:
            self._instruments = _Instruments(self._own.get_meter("penstock", self._version))
            self._instruments.follow(self._registry)


class _Instruments:
    """One set of instruments on one meter; they cannot be taken off, but told whom to read."""

    def __init__(self, meter: Meter) -> None:
        self._registry: Registry | None = None
        self._families: dict[str, Family] = {}
        self._read_at = float("-inf")
        self._histograms = {metric.name: self._add(meter, metric) for metric in CATALOGUE}
        self._labelled: dict[tuple[str, Labels], dict[str, str]] = {}

    def follow(self, registry: Registry) -> None:
        """Read `registry`, and be told of its observations."""
        self._registry, self._read_at = registry, float("-inf")
        registry.mirror = self._record

    def leave(self, registry: Registry) -> None:
        """Read nothing any more."""
        registry.mirror = None
        if self._registry is registry:
            self._registry = None

    def _record(self, metric: Metric, labels: Labels, value: float, span: SpanContext | None) -> None:
        histogram = self._histograms.get(metric.name)
        if histogram is not None and getattr(histogram, "_real_instrument", histogram) is not None:
            key = (metric.name, labels)
            attributes = self._labelled.get(key)
            if attributes is None:
                attributes = self._labelled[key] = _attributes(metric, labels)
            # Not the current context: it is of whoever happens to write.
            context = Context() if span is None else set_span_in_context(NonRecordingSpan(span), Context())
            histogram.record(value, attributes, context)

    def _add(self, meter: Meter, metric: Metric) -> OtelHistogram | None:
        name, unit = otel_name(metric)
        if metric.type is MetricType.GAUGE:
            meter.create_observable_gauge(name, [self._callback(metric, _plain)], unit, metric.help)
        elif metric.type is MetricType.COUNTER:
            meter.create_observable_counter(name, [self._callback(metric, _plain)], unit, metric.help)
        elif metric.name in _LEVELS:
            for part, rows in _PARTS.items():
                callback = self._callback(metric, rows)
                meter.create_observable_counter(f"{metric.name}_{part}", [callback], "", metric.help)
        else:
            bounds = list(metric.buckets)
            return meter.create_histogram(name, unit, metric.help, explicit_bucket_boundaries_advisory=bounds)
        return None

    def _callback(self, metric: Metric, rows: Rows) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            family = self._read().get(metric.name)
            return list(rows(family)) if family is not None else []

        return observe

    def _read(self) -> dict[str, Family]:
        if self._registry is None:
            return {}
        self._registry.backlog.write()  # histograms are recorded then
        if time.monotonic() - self._read_at > _FRESH_SECONDS:
            self._families = {family.metric.name: family for family in self._registry.collect()}
            self._read_at = time.monotonic()
        return self._families


_global: list[_Instruments] = []


def _shared(version: str) -> _Instruments:
    """Find our instruments on the global provider: made once a process, however often we come and go."""
    if not _global:
        _global.append(_Instruments(metrics.get_meter_provider().get_meter("penstock", version)))
    return _global[0]


def otel_name(metric: Metric) -> tuple[str, str]:
    """Give a metric's OpenTelemetry name and unit; exporters to Prometheus put the suffixes back."""
    if metric.name == m.OPERATION_SECONDS.name:
        return "gen_ai.client.inference.duration", "s"
    name = metric.name.removesuffix("_total")
    return (name.removesuffix("_seconds"), "s") if name.endswith("_seconds") else (name, "")


def _attributes(metric: Metric, labels: Labels) -> dict[str, str]:
    keys = (
        f"gen_ai.{key[7:].replace('_', '.')}" if key.startswith("gen_ai_") else key for key in metric.labels
    )
    return dict(zip(keys, labels, strict=True))


def _plain(family: Family) -> Iterator[Observation]:
    for labels, value in family.series.items():
        if not isinstance(value, Histogram) and abs(value) != float("inf"):
            yield Observation(value, _attributes(family.metric, labels))


def _bucket(family: Family) -> Iterator[Observation]:
    for labels, value in family.series.items():
        assert isinstance(value, Histogram)
        for bound, count in cumulative(family.metric, value):
            le = "+Inf" if bound == float("inf") else str(bound)
            yield Observation(count, {**_attributes(family.metric, labels), "le": le})


def _sum(family: Family) -> Iterator[Observation]:
    for labels, value in family.series.items():
        assert isinstance(value, Histogram)
        yield Observation(value.sum, _attributes(family.metric, labels))


def _count(family: Family) -> Iterator[Observation]:
    for labels, value in family.series.items():
        assert isinstance(value, Histogram)
        yield Observation(cumulative(family.metric, value)[-1][1], _attributes(family.metric, labels))


_PARTS: Final[dict[str, Rows]] = {"bucket": _bucket, "sum": _sum, "count": _count}


def _own_provider() -> MeterProvider | None:
    """Make a provider where the environment names an OTLP endpoint and the app has no provider."""
    if isinstance(metrics.get_meter_provider(), MeterProvider):
        return None
    exporters = [exporter for exporter in map(_load, _wanted()) if exporter is not None]
    if not exporters:
        return None
    readers = [PeriodicExportingMetricReader(exporter) for exporter in exporters]
    identity = Resource({"service.instance.id": str(uuid.uuid4()), "process.pid": os.getpid()})
    return MeterProvider(readers, Resource.create().merge(identity), shutdown_on_exit=False)


def _wanted() -> tuple[str, ...]:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ()
    named = os.environ.get("OTEL_METRICS_EXPORTER", "")
    if named:
        return tuple(
            part.strip() for part in named.split(",") if part.strip() not in ("", "none", "prometheus")
        )
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    return ("otlp",) if any(os.environ.get(name) for name in endpoints) else ()


def _load(name: str) -> MetricExporter | None:
    candidates = ("otlp_proto_http", "otlp_proto_grpc") if name == "otlp" else (name,)
    for candidate in candidates:
        for point in entry_points(group=_GROUP, name=candidate):
            try:
                return cast("Callable[[], MetricExporter]", point.load())()
            except ImportError:
                continue
    logger.warning("metric exporter %r is asked for and not installed; pip install 'penstock[otlp]'", name)
    return None
