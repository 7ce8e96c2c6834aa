"""Bursts of the prompt cache stand out against a pool's own baseline, and steady traffic does not alarm."""

import random

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from penstock.providers import Usage
from penstock.telemetry import metrics as m
from penstock.telemetry import semconv as names
from penstock.telemetry.burst_watch import BurstWatch
from penstock.telemetry.bursts import BurstCause, BurstDetector, BurstKind, CacheCall
from penstock.telemetry.spans import SpanWriter

SECOND = 1_000_000_000


class Traffic:
    def __init__(self, seed=1):
        self.rng = random.Random(seed)
        self.began, self.ended = [], []
        self.detector = BurstDetector("p", on_begin=self.began.append, on_end=self.ended.append)
        self.second = 0

    def send(self, n, *, miss_rate, live=10, prefix="a"):
        for _ in range(n):
            self.second += 1
            missed = self.rng.random() < miss_rate
            self.detector.call(
                CacheCall(ended_ns=self.second * SECOND, missed=missed, input_tokens=1000,
                          cached_tokens=0 if missed else 900, live=live, prefix=prefix)
            )  # fmt: skip


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 0.9])
def test_steady_traffic_hardly_alarms(rate):
    alarms = 0
    for seed in range(20):
        traffic = Traffic(seed)
        traffic.send(1000, miss_rate=rate)
        alarms += len(traffic.began)
    assert alarms <= 4  # in 20,000 calls


@pytest.mark.parametrize("seed", range(10))
def test_a_burst_of_misses_is_found_where_it_was(seed):
    traffic = Traffic(seed)
    traffic.send(400, miss_rate=0.1)
    start = traffic.second
    traffic.send(60, miss_rate=0.95, live=20)
    end = traffic.second
    traffic.send(200, miss_rate=0.1)
    (burst,) = [b for b in traffic.ended if b.kind is BurstKind.MISS]
    assert abs(burst.began_ns / SECOND - start) <= 15
    assert end <= burst.ended_ns / SECOND <= end + 120
    assert burst.live_p99 == 20
    assert burst.extra_uncached_tokens == pytest.approx(60 * 0.85 * 900, rel=0.3)
    assert burst.cause is BurstCause.EVICTION


def test_a_burst_of_hits_is_one_too():
    traffic = Traffic()
    traffic.send(400, miss_rate=0.8)
    traffic.send(80, miss_rate=0.02)
    traffic.send(100, miss_rate=0.8)
    assert [b.kind for b in traffic.began] == [BurstKind.HIT]


def test_new_prompts_are_told_from_forgotten_ones():
    traffic = Traffic()
    traffic.send(400, miss_rate=0.1)
    traffic.send(60, miss_rate=0.95, prefix="b")
    assert [b.cause for b in traffic.began] == [BurstCause.PREFIX]


def test_misses_on_an_idle_pool_do_not_matter():
    traffic = Traffic()
    traffic.send(400, miss_rate=0.1, live=10)
    traffic.send(60, miss_rate=0.95, live=1)
    assert traffic.began == []


def test_a_burst_is_counted_logged_and_marked(stage, rate_limited, caplog):
    watch = BurstWatch(stage.registry, stage.metering)
    rng = random.Random(3)

    def calls(n, rate):
        held = [stage.send() for _ in range(5)]
        for _ in range(n):
            attempt = stage.send(prefix="a")
            stage.clock.tick(1)
            cached = 0 if rng.random() < rate else 900
            stage.end(attempt, usage=Usage(input=1000, output=10, cache_read=cached))
        for attempt in held:
            stage.end(attempt)

    calls(300, 0.05)
    assert stage.registry.value(m.CACHE_BURSTS, ("openai:gpt-5", "miss")) == 0
    assert watch.burst("openai:gpt-5") is None
    calls(50, 1.0)
    stage.end(stage.send(), rate_limited)
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    writer = SpanWriter(lambda: provider.get_tracer("t"), watch.burst)
    inside = stage.send()
    writer.attempt_started(inside, writer.operation_started(inside.operation))
    writer.attempt_ended(inside)
    stage.end(inside)
    (marked,) = exporter.get_finished_spans()
    assert marked.attributes[names.CACHE_BURST] == "miss"
    assert marked.attributes[names.CACHE_BURST_CAUSE] == "eviction"
    calls(60, 0.0)
    assert watch.burst("openai:gpt-5") is None
    assert stage.registry.value(m.CACHE_BURSTS, ("openai:gpt-5", "miss")) == 1
    assert stage.registry.value(m.CACHE_BURST_TOKENS, ("openai:gpt-5",)) > 30_000
    assert "cache burst began kind=miss pool=openai:gpt-5 cause=eviction" in caplog.text
    assert "rate_limited=1" in caplog.text
