"""What Prometheus scrapes: names of the catalogue, exact histograms, exemplars, one line on a busy port."""

import urllib.request
from unittest import mock

import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client.parser import text_string_to_metric_families as parse

from penstock.errors import UsageError
from penstock.telemetry.exposition import Endpoint
from penstock.telemetry.metrics import CATALOGUE


@pytest.fixture
def endpoint(stage):
    endpoint = Endpoint(stage.registry.collect, 0)
    yield endpoint
    endpoint.close()


def scrape(endpoint, accept="text/plain"):
    request = urllib.request.Request(endpoint.url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def samples(families):
    return {(s.name, tuple(sorted(s.labels.items()))): s for family in families for s in family.samples}


def test_scraped_names_are_those_of_the_catalogue(stage, endpoint):
    stage.end(stage.send())
    names = {family.name for family in parse(scrape(endpoint))}
    known = {metric.name.removesuffix("_total") for metric in CATALOGUE}
    assert {"penstock_attempts", "penstock_live_calls_seconds", "penstock_build_info"} <= names
    assert names - known - {"penstock_attempts"} == set()


def test_the_level_histogram_counts_seconds(stage, endpoint):
    calls = [stage.send() for _ in range(5)]
    stage.clock.tick(20)
    for call in calls:
        stage.end(call)
    stage.clock.tick(5)
    found = samples(parse(scrape(endpoint)))

    def value(suffix, **labels):
        key = (
            "penstock_live_calls_seconds" + suffix,
            tuple(sorted({"pool": "openai:gpt-5", **labels}.items())),
        )
        return found[key].value

    assert value("_bucket", le="0.0") == 5
    assert value("_bucket", le="4.0") == 5
    assert value("_bucket", le="6.0") == 25
    assert value("_count") == 25
    assert value("_sum") == 100


def test_exemplars_name_sampled_traces_in_openmetrics(stage, endpoint):
    span = TracerProvider().get_tracer("t").start_span("attempt")
    attempt = stage.send(span=span)
    stage.clock.tick(0.3)
    stage.end(attempt)
    lines = scrape(endpoint, "application/openmetrics-text").splitlines()
    shown = [line for line in lines if " # {" in line]
    trace_id = format(span.get_span_context().trace_id, "032x")
    assert len(shown) == 1
    assert shown[0].startswith('penstock_attempt_duration_seconds_bucket{class="ok",le="0.32"')
    assert f'# {{trace_id="{trace_id}"}} 0.3 ' in shown[0]
    assert " # {" not in scrape(endpoint)


def test_a_busy_port_is_one_clear_line(stage, endpoint):
    with pytest.raises(
        UsageError, match=rf"metrics port {endpoint.port} on 127.0.0.1 is in use.*--metrics-port"
    ):
        Endpoint(stage.registry.collect, endpoint.port)


def test_only_loopback_is_served_by_default(stage):
    with mock.patch(
        "penstock.telemetry.exposition.prometheus.start_http_server", return_value=(1, 2)
    ) as start:
        Endpoint(stage.registry.collect, 0)
    assert start.call_args.kwargs["addr"] == "127.0.0.1"


def test_an_address_of_ipv6_is_named_so_that_it_can_be_asked():
    endpoint = Endpoint(list, 0, "::1")
    try:
        assert endpoint.url == f"http://[::1]:{endpoint.port}/metrics"
        urllib.request.urlopen(endpoint.url).close()
    finally:
        endpoint.close()
