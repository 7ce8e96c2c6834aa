"""The registry as a prometheus-client collector, and an endpoint that serves it."""

import errno
from collections.abc import Callable, Iterable
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as PrometheusFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as PrometheusExemplar

from penstock.errors import UsageError
from penstock.telemetry.metrics import Metric, MetricType
from penstock.telemetry.registry import Exemplar, Family, Histogram, cumulative

LOOPBACK: Final = "127.0.0.1"
_Bucket = tuple[str, float] | tuple[str, float, PrometheusExemplar]


class RegistryCollector(Collector):
    """Read families at each scrape. Pass it to any `CollectorRegistry` that an app serves already."""

    def __init__(self, read: Callable[[], Iterable[Family]]) -> None:
        self._read = read

    def collect(self) -> Iterable[PrometheusFamily]:
        """Yield every family that has series."""
        return [_convert(family) for family in self._read() if family.series]

    def describe(self) -> Iterable[PrometheusFamily]:
        """Say nothing ahead: registering must not run the sources."""
        return []


class Endpoint:
    """Serve `/metrics` from a daemon thread until closed.

    Raises:
        UsageError: the port is taken, or may not be opened.
    """

    def __init__(self, read: Callable[[], Iterable[Family]], port: int, host: str = LOOPBACK) -> None:
        registry = CollectorRegistry()
        registry.register(RegistryCollector(read))
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise UsageError(busy_port(host, port, error)) from error
        self._host = host

    @property
    def port(self) -> int:
        """The port that is served, also where 0 was asked for."""
        server: WSGIServer = self._server
        return int(server.server_port)

    @property
    def url(self) -> str:
        """Where to scrape."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/metrics"

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def abandon(self) -> None:
        """Let go of the socket in a forked child, where the serving thread does not exist."""
        self._server.socket.close()


def busy_port(host: str, port: int, error: OSError) -> str:
    """Say in one line why a metrics port cannot be served and what to type instead."""
    why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
    return f"metrics port {port} on {host} {why}; choose another with --metrics-port N (0 picks a free one)"


def _convert(family: Family) -> PrometheusFamily:
    metric = family.metric
    if metric.type is MetricType.HISTOGRAM:
        return _histogram(family)
    make = CounterMetricFamily if metric.type is MetricType.COUNTER else GaugeMetricFamily
    out = make(metric.name, metric.help, labels=metric.labels)
    for labels, value in family.series.items():
        assert not isinstance(value, Histogram)
        out.add_metric(labels, value)
    return out


def _histogram(family: Family) -> PrometheusFamily:
    metric = family.metric
    out = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in family.series.items():
        assert isinstance(value, Histogram)
        out.add_metric(labels, _buckets(metric, value), sum_value=value.sum)
    return out


def _buckets(metric: Metric, value: Histogram) -> list[_Bucket]:
    rows: list[_Bucket] = []
    for index, (bound, count) in enumerate(cumulative(metric, value)):
        le = "+Inf" if bound == float("inf") else str(bound)
        exemplar = value.exemplars.get(index)
        rows.append((le, count) if exemplar is None else (le, count, _exemplar(exemplar)))
    return rows


def _exemplar(exemplar: Exemplar) -> PrometheusExemplar:
    return PrometheusExemplar({"trace_id": exemplar.trace_id}, exemplar.value, exemplar.at_seconds)
