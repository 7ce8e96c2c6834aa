"""A lost store is told where people look: on the span of the call that met it, and in the metrics."""

import dataclasses
import json
import urllib.request

import openai

import penstock
from penstock._wiring import _State
from penstock.limiter import Limiter
from penstock.limiter.fleet import Fleet, RedisStore
from penstock.simulator import Config, Distribution, profile, serve
from penstock.telemetry import metrics
from penstock.telemetry.registry import Registry


def events(path):
    """Give the reasons of the limiter's changes of mode, by the spans they stand on."""
    spans = [
        span
        for line in path.read_text().splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    return [
        (span["name"], {one["key"]: one["value"].get("stringValue") for one in event["attributes"]})
        for span in spans
        for event in span.get("events", ())
        if event["name"] == "penstock.limiter.change"
    ]


def test_a_lost_store_is_on_the_span_and_in_the_metrics(tmp_path):
    pool = dataclasses.replace(profile("openai", rpm=600), latency_seconds=Distribution("constant", 0.01))
    runtime = penstock.instrument(
        limit="enforce", store="redis://127.0.0.1:1/0", spans=tmp_path / "spans.jsonl", metrics_port=0
    )
    with serve(Config(pools=(pool,))) as provider, runtime:
        client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key="none")
        for _ in range(3):
            client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
        page = urllib.request.urlopen(runtime.metrics_url).read().decode()
        client.close()
    told = [(name, event["penstock.limiter.reason"]) for name, event in events(tmp_path / "spans.jsonl")]
    assert told[0] == ("chat gpt-5", "store_lost")
    assert "penstock_store_up 0" in page
    assert 'penstock_store_operations_total{result="failed"}' in page


def test_a_forked_child_counts_its_own_round_trips_from_nothing():
    fleet, registry = Fleet(lambda: RedisStore("redis://127.0.0.1:1/0")), Registry()
    registry.add_source(_State(Limiter(fleet=fleet), registry))
    fleet.operations["ok"] = 5
    registry.collect()
    assert registry.value(metrics.STORE_OPS, ("ok",)) == 5
    registry.clear()
    fleet.after_fork()
    fleet.operations["ok"] = 2
    registry.collect()
    assert registry.value(metrics.STORE_OPS, ("ok",)) == 2
