"""A naive recording, replayed with the limiter, predicts the guarded run of the same demand."""

# ruff: noqa: E501 - spans read as the tables they are

import random

import pytest

from penstock.analysis import WhatIf, replay
from penstock.analysis._replay import Demand, Guarded, SdkRetries, Want, World
from penstock.errors import UsageError
from penstock.limiter import PoolSettings
from penstock.simulator.scenario import Pool

START = 1_760_000_000_000_000_000
POOL = "openai:gpt-5"


def wanted(seed, tasks=40, calls=12):
    rng = random.Random(seed)
    return [
        Demand(rng.uniform(0, 20), [Want(POOL, rng.uniform(0.1, 1.0), rng.lognormvariate(0.5, 0.4), 800, 200, 500, i - 1 if i else None)
                                    for i in range(calls)])
        for _ in range(tasks)
    ]  # fmt: skip


class Recorder(World):
    """Keeps every attempt as it is sent and ends."""

    def __init__(self, *words, **named):
        super().__init__(*words, **named)
        self.kept = []

    def _ended(self, call, policy, refused, accepted, facts):
        self.kept.append((call, call.sent, self.now, refused))
        super()._ended(call, policy, refused, accepted, facts)


def spans_of(world, make_span, rpm=300):
    found, calls = [], {}
    for number, (call, sent, ended, refused) in enumerate(world.kept):
        calls.setdefault(id(call), (call, []))[1].append((number, sent, ended, refused))
    at = lambda seconds: START + int(seconds * 1e9)  # noqa: E731
    for place, (call, tries) in enumerate(calls.values()):
        trace, operation = f"{call.task.number + 1:032x}", f"{place + 1:016x}"
        last = tries[-1][3]
        held = {"penstock.span.kind": "operation", "gen_ai.operation.name": "chat", "penstock.pool": POOL,
                "gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 800, "gen_ai.usage.output_tokens": 200,
                "gen_ai.request.max_tokens": 500}  # fmt: skip
        if last:
            held["penstock.error.class"] = "rate_limit"
        found.append(make_span(trace, operation, None, "chat", at(call.wanted), at(tries[-1][2]), held))
        for number, sent, ended, refused in tries:
            own = {
                "penstock.span.kind": "attempt",
                "penstock.pool": POOL,
                "penstock.quota.requests.limit": float(rpm),
            }
            if refused:
                own |= {
                    "penstock.error.class": "rate_limit",
                    "penstock.limit.dimension": "requests_per_minute",
                }
            found.append(
                make_span(trace, f"{number + 10**6:016x}", operation, "attempt", at(sent), at(ended), own)
            )
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_a_naive_recording_predicts_the_guarded_run(seed, make_span, formats, opened):
    demand, model = wanted(seed), {POOL: Pool(requests_per_minute=300)}
    naive = Recorder(demand, model, headers=True, seed=seed)
    recorded = naive.run(SdkRetries(naive))
    guarded = World(demand, model, headers=True, seed=seed + 50)
    truth = guarded.run(Guarded(guarded, {POOL: PoolSettings(max_wait_seconds=1e6)}, seed))
    assert recorded.finished < recorded.tasks
    with opened(formats.lines(spans_of(naive, make_span), 20)) as view:
        told = replay(view, seed=seed).data
    predicted = told["policies"]["limiter"]
    assert told["completed_tasks"] == recorded.tasks - recorded.finished
    assert predicted["tasks_finished"] == truth.finished == len(demand)
    assert abs(predicted["rate_limited_ratio"] - truth.rate_limited / truth.attempts) <= 0.15
    middle = sorted(truth.task_seconds)[len(demand) // 2]
    assert predicted["task_p50_seconds"] == pytest.approx(middle, rel=0.15)
    assert told["policies"]["recorded"]["rate_limited"] == recorded.rate_limited


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("tasks", "calls", "rpm"), [(6, 4, 60), (12, 10, 120), (30, 20, 500)])
def test_a_small_recording_predicts_as_well(tasks, calls, rpm, seed, make_span, formats, opened):
    demand, model = wanted(seed, tasks, calls), {POOL: Pool(requests_per_minute=rpm)}
    naive = Recorder(demand, model, headers=True, seed=seed)
    naive.run(SdkRetries(naive))
    guarded = World(demand, model, headers=True, seed=seed + 50)
    truth = guarded.run(Guarded(guarded, {POOL: PoolSettings(max_wait_seconds=1e6)}, seed))
    with opened(formats.lines(spans_of(naive, make_span, rpm), 20)) as view:
        predicted = replay(view, seed=seed).data["policies"]["limiter"]
    assert abs(predicted["rate_limited_ratio"] - truth.rate_limited / truth.attempts) <= 0.15
    for name, share in (("task_p50_seconds", 0.5), ("task_p99_seconds", 0.99)):
        ordered = sorted(truth.task_seconds)
        assert predicted[name] == pytest.approx(ordered[min(tasks - 1, int(share * tasks))], rel=0.15)


def test_more_quota_shortens_tasks(make_span, formats, opened):
    demand = wanted(3)
    naive = Recorder(demand, {POOL: Pool(requests_per_minute=300)}, headers=True, seed=3)
    naive.run(SdkRetries(naive))
    with opened(formats.lines(spans_of(naive, make_span), 20)) as view:
        tight, wide = (
            replay(view, WhatIf(requests_per_minute=rpm)).data["policies"]["limiter"] for rpm in (150, 3000)
        )
    assert wide["task_p50_seconds"] < tight["task_p50_seconds"]


def test_without_any_quota_it_says_so(make_span, formats, opened):
    held = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    spans = [make_span("ab" * 16, "01" * 8, None, "chat", START, START + 10**9, held)]
    with opened(formats.lines(spans)) as view, pytest.raises(UsageError, match="--rpm"):
        replay(view)


def test_a_long_recording_is_played_less_often(make_span, formats, opened, monkeypatch):
    demand = wanted(1, tasks=6, calls=4)
    naive = Recorder(demand, {POOL: Pool(requests_per_minute=60)}, headers=True, seed=1)
    naive.run(SdkRetries(naive))
    lines = formats.lines(spans_of(naive, make_span, 60), 20)
    for played, wants in ((7, 20_000), (3, 24 * 4), (1, 24 * 2), (1, 1)):
        monkeypatch.setattr("penstock.analysis.verbs.replay.WANTS_PLAYED", wants)
        with opened(lines) as view:
            assert replay(view).data["plays"] == played
