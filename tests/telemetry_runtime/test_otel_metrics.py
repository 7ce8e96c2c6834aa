"""The same series leave by OpenTelemetry, also to a MeterProvider that the app sets after us."""

import json
import os
import subprocess
import sys

from penstock.telemetry.exposition.otel import otel_name
from penstock.telemetry.metrics import CATALOGUE, LEVELS

CODE = """
import json, time
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
import penstock
from penstock.telemetry.records import Attempt, Operation

runtime = penstock.instrument(spans="off")
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
metering = runtime.telemetry.metering
now = time.time_ns()
call = Operation(provider="openai", operation="chat", model="m", pool="openai:m", started_ns=now)
one = Attempt(operation=call, number=1, provider="openai", host="h", port=1, pool="openai:m", model="m",
              started_ns=now)
metering.attempt_started(one)
one.ended_ns = call.ended_ns = now + 2_000_000_000
metering.attempt_ended(one)
metering.operation_ended(call)
def read():
    data = reader.get_metrics_data()
    resources = data.resource_metrics if data else []
    scopes = [s for r in resources for s in r.scope_metrics if s.scope.name == "penstock"]
    return {m.name: [(dict(p.attributes), getattr(p, "value", None) if hasattr(p, "value") else p.sum)
                     for p in m.data.data_points] for s in scopes for m in s.metrics if m.data.data_points}
first = read()
runtime.shutdown()
time.sleep(0.3)
silent = {name for name, points in read().items() if name == "penstock_attempts"}
print(json.dumps([first, sorted(silent)]))
"""


def test_an_app_that_sets_its_provider_later_gets_every_series():
    out = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(("OTEL", "PENSTOCK"))},
    )  # fmt: skip
    found, after = json.loads(out.stdout)
    ok = {"provider": "openai", "pool": "openai:m", "model": "m", "class": "ok"}
    assert [ok, 1.0] in found["penstock_attempts"]
    duration = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
    }
    assert found["gen_ai.client.inference.duration"] == [[duration, 2.0]]
    assert [{"pool": "openai:m"}, 0] in found["penstock_live_calls"]
    assert any(point["le"] == "1.0" for point, _ in found["penstock_live_calls_seconds_bucket"])
    assert after == []


def test_names_lose_what_exporters_put_back():
    names = {metric.name: otel_name(metric) for metric in CATALOGUE if metric.buckets != LEVELS}
    assert names["penstock_attempts_total"] == ("penstock_attempts", "")
    assert names["penstock_attempt_duration_seconds"] == ("penstock_attempt_duration", "s")
    assert len({name for name, _ in names.values()}) == len(names)
