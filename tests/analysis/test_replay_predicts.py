"""A naive recording, replayed with the limiter, predicts the guarded run of the same demand."""

# ruff: noqa: E501 - spans read as the tables they are

import random

import pytest

from penstock.analysis import WhatIf, replay
from penstock.analysis._replay import Demand, Guarded, SdkRetries, Want, Wire, World
from penstock.analysis.verbs.replay import demand_of
from penstock.errors import UsageError
from penstock.limiter import PoolSettings
from penstock.simulator.scenario import Event, Neighbour, Pool

START = 1_760_000_000_000_000_000
POOL = "openai:gpt-5"


def wanted(seed, tasks=40, calls=12):
    rng = random.Random(seed)
    return [
        Demand(rng.uniform(0, 20), [Want(POOL, rng.uniform(0.1, 1.0), rng.lognormvariate(0.5, 0.4), 800, 200, 500, (i - 1,) if i else ())
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
    naive = Recorder(demand, model, seed=seed)
    recorded = naive.run(SdkRetries(naive))
    guarded = World(demand, model, seed=seed + 50)
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
    naive = Recorder(demand, model, seed=seed)
    naive.run(SdkRetries(naive))
    guarded = World(demand, model, seed=seed + 50)
    truth = guarded.run(Guarded(guarded, {POOL: PoolSettings(max_wait_seconds=1e6)}, seed))
    with opened(formats.lines(spans_of(naive, make_span, rpm), 20)) as view:
        predicted = replay(view, seed=seed).data["policies"]["limiter"]
    assert abs(predicted["rate_limited_ratio"] - truth.rate_limited / truth.attempts) <= 0.15
    for name, share in (("task_p50_seconds", 0.5), ("task_p99_seconds", 0.99)):
        ordered = sorted(truth.task_seconds)
        assert predicted[name] == pytest.approx(ordered[min(tasks - 1, int(share * tasks))], rel=0.15)


def agents(seed, services, tasks=30, calls=20):
    """Draw agents that fan out and go on when all calls have ended: half of them on each of two pools."""
    rng, drawn = random.Random(seed), random.Random(services)
    found = []
    for number in range(tasks):
        wants, before = [], ()
        while len(wants) < calls:
            width = min(calls - len(wants), rng.randint(2, 5) if rng.random() < 0.4 else 1)
            pause, pool = rng.expovariate(1.0), ("openai:gpt-5", "anthropic:claude")[number % 2]
            stage = [
                Want(pool, pause, drawn.lognormvariate(0.0, 0.6), 400, 40, 256, before) for _ in range(width)
            ]
            before = tuple(range(len(wants), len(wants) + width))
            wants += stage
        found.append(Demand(0.0, wants))
    return found


class Habit(SdkRetries):
    """The SDK's retries inside a loop of three tries, each of them an operation, with 1 s and 2 s between."""

    def __init__(self, world):
        super().__init__(world)
        self.operations = {}

    def heard(self, run, refused, facts):
        if refused is None or run.tries < 3:
            super().heard(run, refused, facts)
        elif self.operations.get(id(run), 1) == 3:
            run.finish(self, failed=True)
        elif not run.task.failed:
            self.operations[id(run)] = self.operations.get(id(run), 1) + 1
            run.tries = 0
            self._world.call_at(
                self._world.now + 2 ** (self.operations[id(run)] - 2), lambda: self.start(run)
            )


class HabitRecorder(World):
    """Keeps every attempt with its operation."""

    def __init__(self, *words, **named):
        super().__init__(*words, **named)
        self.kept = {}

    def _ended(self, call, policy, refused, accepted, facts):
        operation = (call.task.number, call.index, policy.operations.get(id(call), 1))
        self.kept.setdefault(operation, []).append((call, call.sent, self.now, refused))
        super()._ended(call, policy, refused, accepted, facts)

    def spans(self, make_span, headers=True):
        def at(seconds):
            return START + int((seconds - 1_000) * 1e9)

        found = []
        for number, (named, tries) in enumerate(self.kept.items(), 1):
            trace, operation, last = f"{named[0] + 1:032x}", f"{number:016x}", tries[-1][3]
            told = {"penstock.pool": tries[0][0].want.pool}
            refusal = told | {
                "penstock.error.class": "rate_limit",
                "penstock.limit.dimension": "requests_per_minute",
            }
            own = {
                "penstock.span.kind": "operation",
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "m",
            }
            found.append(make_span(trace, operation, f"{named[0] + 1:08x}ffffffff", "chat", at(tries[0][1]), at(tries[-1][2]),
                                   own | (refusal if last else told)))  # fmt: skip
            for place, (_, sent, ended, refused) in enumerate(tries):
                own = {"penstock.span.kind": "attempt"} | (
                    {"penstock.quota.requests.limit": 250.0} if headers else {}
                )
                found.append(make_span(trace, f"{number:08x}{place + 1:08x}", operation, "attempt", at(sent), at(ended),
                                       own | (refusal if refused else told)))  # fmt: skip
        ends = {
            task: max(tries[-1][2] for named, tries in self.kept.items() if named[0] == task)
            for task, *_ in self.kept
        }
        return found + [make_span(f"{task + 1:032x}", f"{task + 1:08x}ffffffff", None, "work", at(1_000), at(end), {})
                        for task, end in ends.items()]  # fmt: skip


@pytest.mark.parametrize("seed", range(1, 6))
def test_agents_that_fan_out_over_two_pools_are_predicted_from_their_naive_run(
    seed, make_span, formats, opened
):
    pools = {"openai:gpt-5": Pool(requests_per_minute=250, charge_rejected=True), "anthropic:claude": Pool(requests_per_minute=250)}  # fmt: skip
    naive = HabitRecorder(agents(seed, seed + 100), pools, seed=seed)
    recorded = naive.run(Habit(naive))
    assert 0 < recorded.finished < recorded.tasks
    guarded = World(agents(seed, seed + 200), pools, seed=seed)
    patient = {name: PoolSettings(max_wait_seconds=1e6) for name in pools}
    truth = guarded.run(Guarded(guarded, patient, seed))
    with opened(formats.lines(naive.spans(make_span), 20)) as view:
        predicted = replay(view).data["policies"]["limiter"]
    times = sorted(truth.task_seconds)
    assert predicted["tasks_finished"] == truth.finished == 30
    assert predicted["task_p50_seconds"] == pytest.approx(times[15], rel=0.15)
    assert predicted["task_p99_seconds"] == pytest.approx(times[-1], rel=0.15)
    assert predicted["seconds"] == pytest.approx(truth.ended, rel=0.15)
    assert abs(predicted["rate_limited_ratio"] - truth.rate_limited / truth.attempts) <= 0.01


PATIENT = {name: PoolSettings(max_wait_seconds=1e6) for name in ("openai:gpt-5", "anthropic:claude")}
LATE = [0.0] * 90 + [0.3, 0.5, 0.7, 0.9, 1.1] * 2


def ran_for_real(pools, wires, seed):
    """Record a naive run, and run the same agents with the limiter."""
    naive = HabitRecorder(agents(seed, seed + 100), pools, wires, seed=seed)
    naive.run(Habit(naive))
    guarded = World(agents(seed, seed + 200), pools, wires, seed=seed)
    return naive, guarded.run(Guarded(guarded, PATIENT, seed))


def test_calls_that_travel_late_are_foretold_to_be_refused_now_and_then(make_span, formats, opened):
    pools = {"openai:gpt-5": Pool(requests_per_minute=250, charge_rejected=True), "anthropic:claude": Pool(requests_per_minute=250)}  # fmt: skip
    naive, truth = ran_for_real(pools, dict.fromkeys(pools, Wire(delays=LATE)), 1)
    assert truth.rate_limited > 0
    with opened(formats.lines(naive.spans(make_span), 20)) as view:
        told = replay(view).data
    least, most = told["ranges"]["limiter"]["rate_limited"]
    assert 0 < least <= told["policies"]["limiter"]["rate_limited"] <= most
    assert (
        abs(told["policies"]["limiter"]["rate_limited"] - truth.rate_limited) <= 3 * truth.rate_limited**0.5
    )


def test_a_quota_that_counts_refusals_is_found_without_headers(make_span, formats, opened):
    pools = {"openai:gpt-5": Pool(requests_per_minute=250, charge_rejected=True), "anthropic:claude": Pool(requests_per_minute=250)}  # fmt: skip
    naive, truth = ran_for_real(pools, dict.fromkeys(pools, Wire(headers=False)), 2)
    with opened(formats.lines(naive.spans(make_span, headers=False), 20)) as view:
        told = replay(view).data
    for pool in told["quota"]:
        assert pool["requests_per_minute"] == pytest.approx(250, rel=0.05)
    assert truth.rate_limited > 5
    predicted = told["policies"]["limiter"]
    assert predicted["task_p50_seconds"] == pytest.approx(sorted(truth.task_seconds)[15], rel=0.15)
    assert abs(predicted["rate_limited"] - truth.rate_limited) <= 3 * truth.rate_limited**0.5


def test_what_others_took_of_a_quota_they_would_take_again(make_span, formats, opened):
    busy = Event(0.0, {}, neighbour=Neighbour(0.6, 20.0, 20.0))
    pools = {name: Pool(requests_per_minute=250, events=(busy,)) for name in PATIENT}
    naive, truth = ran_for_real(pools, None, 3)
    with opened(formats.lines(naive.spans(make_span), 20)) as view:
        answer = replay(view)
    predicted, times = answer.data["policies"]["limiter"], sorted(truth.task_seconds)
    assert any("others took a part of the quota" in line for line in answer.lines)
    assert predicted["task_p50_seconds"] == pytest.approx(times[15], rel=0.15)
    assert predicted["seconds"] == pytest.approx(truth.ended, rel=0.15)
    assert abs(predicted["rate_limited_ratio"] - truth.rate_limited / truth.attempts) <= 0.03


def test_a_quota_that_others_took_whole_comes_back_in_the_end(make_span, formats, opened):
    gone = Event(5.0, {}, neighbour=Neighbour(1.0, 20.0, 0.0))
    pools = {name: Pool(requests_per_minute=250, events=(gone,)) for name in PATIENT}
    naive = HabitRecorder(agents(4, 4), pools, seed=4)
    naive.run(Habit(naive))
    with opened(formats.lines(naive.spans(make_span), 20)) as view:
        limiter = replay(view).data["policies"]["limiter"]
    assert limiter["tasks_finished"] == limiter["tasks"] == 30


def test_a_call_that_was_never_answered_is_taken_for_a_usual_one():
    def call(start, failed=False, **tokens):
        known = {"input_tokens": None, "output_tokens": None, "max_tokens": 256, "service_ns": None} | tokens
        refused = "rate_limit" if failed else None
        return {"task": "t", "pool": POOL, "began_ns": 0, "start_ns": start, "end_ns": start + 1, "failed": failed, "error_class": refused, **known}  # fmt: skip

    answered = {"input_tokens": 300, "output_tokens": 40, "service_ns": 2 * 10**9}
    (task,), _ = demand_of([call(0, **answered), call(10, failed=True)], seed=0)
    assert task.wants[1] == Want(POOL, 9e-9, 2.0, 300, 40, 256, after=(0,))


def test_more_quota_shortens_tasks(make_span, formats, opened):
    demand = wanted(3)
    naive = Recorder(demand, {POOL: Pool(requests_per_minute=300)}, seed=3)
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
    naive = Recorder(demand, {POOL: Pool(requests_per_minute=60)}, seed=1)
    naive.run(SdkRetries(naive))
    lines = formats.lines(spans_of(naive, make_span, 60), 20)
    for played, wants in ((7, 20_000), (3, 24 * 4), (1, 24 * 2), (1, 1)):
        monkeypatch.setattr("penstock.analysis.verbs.replay.WANTS_PLAYED", wants)
        with opened(lines) as view:
            assert replay(view).data["plays"] == played
