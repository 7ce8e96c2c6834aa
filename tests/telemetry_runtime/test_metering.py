"""Records become metrics; labels stay few; nothing leaks and nothing falls."""

import pytest

from penstock.classifiers import ErrorClass
from penstock.providers import Quota, Usage, Window
from penstock.telemetry import metrics as m
from penstock.telemetry.metrics import CATALOGUE
from penstock.telemetry.records import ToolCall
from penstock.telemetry.registry import Bound, Registry

POOL = "openai:gpt-5"
LABELS = ("openai", POOL, "gpt-5")


def series(registry, metric):
    return next(family.series for family in registry.collect() if family.metric is metric)


def test_every_attempt_is_counted_by_its_verdict(stage, rate_limited):
    operation = stage.operation()
    for number, verdict in enumerate([rate_limited, rate_limited, None], 1):
        attempt = stage.send(operation, number)
        stage.clock.tick(0.5)
        stage.end(attempt, verdict)
    stage.metering.operation_ended(operation)
    value = stage.registry.value
    assert value(m.ATTEMPTS, (*LABELS, "rate_limit")) == 2
    assert value(m.ATTEMPTS, (*LABELS, "ok")) == 1
    assert value(m.RETRIES, (POOL, "sdk")) == 2
    assert value(m.OPERATIONS, (*LABELS, "chat", "ok")) == 1
    assert value(m.ATTEMPT_SECONDS, (POOL, "rate_limit")) == 2


def test_watched_classes_stand_at_zero_from_the_first_call(stage):
    stage.send()
    found = series(stage.registry, m.ATTEMPTS)
    assert found[(*LABELS, "rate_limit")] == 0.0
    assert found[(*LABELS, "ok")] == 0.0
    assert series(stage.registry, m.RETRIES)[(POOL, "penstock")] == 0.0


def test_live_calls_rise_and_return_to_zero(stage):
    calls = [stage.send() for _ in range(3)]
    assert stage.metering.live(POOL) == 3
    stage.clock.tick(10)
    for call in calls:
        stage.end(call)
    stage.clock.tick(10)
    assert stage.metering.live(POOL) == 0
    assert series(stage.registry, m.LIVE)[(POOL,)] == 0
    assert series(stage.registry, m.LIVE_PEAK)[(POOL,)] == 3
    assert series(stage.registry, m.LIVE_QUANTILE)[(POOL, "0.99")] == 3
    held = series(stage.registry, m.LIVE_SECONDS)[(POOL,)]
    assert held.sum == 30.0
    assert held.buckets[-1] == 20.0


def test_an_attempt_ends_once_and_only_where_it_started(stage):
    attempt = stage.send()
    stage.end(attempt)
    stage.end(attempt)
    assert stage.metering.live(POOL) == 0
    assert stage.registry.value(m.ATTEMPTS, (*LABELS, "ok")) == 1
    inherited = stage.send()
    stage.metering.after_fork()
    stage.end(inherited)
    assert stage.metering.live(POOL) == 0


def test_unknown_tokens_are_not_zero_tokens(stage):
    stage.end(stage.send(), usage=Usage(input=100, output=20))
    value = stage.registry.value
    assert value(m.TOKENS, (*LABELS, "input")) == 100
    assert value(m.CACHE_MISSES, (POOL, "miss")) == 0
    stage.end(stage.send(), usage=Usage(input=100, output=20, cache_read=0))
    stage.end(stage.send(), usage=Usage(input=100, output=20, cache_read=64))
    assert value(m.CACHE_MISSES, (POOL, "miss")) == 1
    assert value(m.CACHE_MISSES, (POOL, "hit")) == 1
    assert value(m.TOKENS, (*LABELS, "cache_read")) == 64


def test_the_newest_quota_headers_win(stage):
    def quota(left):
        return Quota(requests=Window(limit=500, remaining=left, reset_seconds=6.0))

    stream, call = stage.send(), stage.send()
    stream.first_byte_ns = stage.clock.tick(1)
    call.first_byte_ns = stage.clock.tick(1)
    stage.end(call, quota=quota(7))
    stage.clock.tick(30)
    stage.end(stream, quota=quota(8))
    assert stage.registry.value(m.QUOTA_REMAINING, (POOL, "requests")) == 7
    assert stage.registry.value(m.QUOTA_RESET, (POOL, "requests")) == 1_700_000_002 + 6


def test_a_task_counts_what_its_parts_do(stage):
    outer = stage.task()
    inner = stage.task(id="t2", parent=outer)
    inner.operations, outer.operations = 3, 1
    calls = [stage.send(stage.operation(task=inner)) for _ in range(3)]
    calls.append(stage.send(stage.operation(task=outer)))
    for call in calls:
        stage.end(call)
        stage.metering.operation_ended(call.operation)
    assert (outer.operations, outer.attempts, outer.live, outer.live_peak) == (4, 4, 0, 4)
    assert (inner.operations, inner.live_peak) == (3, 3)
    stage.metering.task_ended(inner)
    stage.metering.task_ended(outer)
    assert stage.registry.value(m.TASKS, ("ok",)) == 1
    assert series(stage.registry, m.FANOUT)[()].sum == 4


def test_a_tool_failure_is_class_tool(stage, rate_limited):
    verdict = rate_limited._replace(error_class=ErrorClass.TOOL)
    stage.metering.tool_ended(ToolCall(name="search", started_ns=stage.clock(), verdict=verdict))
    assert stage.registry.value(m.TOOLS, ("search", "tool")) == 1
    assert series(stage.registry, m.TOOLS)[("search", "ok")] == 0.0


def test_thousands_of_model_names_are_fifty_and_other(stage):
    for n in range(20_000):
        operation = stage.operation(model=f"m{n}", pool=f"openai:m{n}")
        if n < 60 or n % 1000 == 0:
            stage.end(stage.send(operation))
        else:
            stage.metering.operation_ended(operation)
    models = {labels[2] for labels in series(stage.registry, m.ATTEMPTS)}
    assert len(models) == 51
    assert "other" in models
    assert len(stage.metering._trackers) == 51
    assert len(stage.metering._names_known) <= 1000


def test_labels_carry_no_control_characters():
    assert Bound()("gpt\x1b[31m-5\n") == "gpt[31m-5"
    assert Bound()("\x00") == "unknown"


def test_a_failing_source_does_not_fail_the_read(stage, caplog):
    stage.registry.add_source(lambda: 1 / 0)
    stage.send()
    assert series(stage.registry, m.LIVE)[(POOL,)] == 1
    assert "metric source failed" in caplog.text


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_a_created_series_is_read_back_at_zero(metric):
    registry = Registry()
    labels = tuple("x" for _ in metric.labels)
    registry.create(metric, labels)
    assert registry.value(metric, labels) == 0
