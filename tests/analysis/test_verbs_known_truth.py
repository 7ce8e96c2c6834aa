"""Storms, fan-out, bursts, trust, compare, export and plan on recordings whose truth is known."""

# ruff: noqa: E501 - spans read as the tables they are

import json
import random

import pyarrow.parquet as pq
import pytest

from penstock.analysis import Load, bursts, compare, export, fanout, plan, storms, summary, trust
from penstock.errors import UsageError

S = 1_760_000_000_000_000_000
SEC = 1_000_000_000


@pytest.fixture
def calls(make_span):
    """Build calls: each is (trace, start, seconds of each attempt, how many fail) → spans."""
    made = []

    def build(trace, start, attempts, failed, **extra):
        number = len(made) + 1
        operation = f"{number:08x}00000000"
        at = start
        found = []
        for i in range(attempts):
            held = {"penstock.span.kind": "attempt", "penstock.pool": "p:m", "penstock.attempt.number": i + 1}
            if i < failed:
                held |= {"penstock.error.class": "rate_limit"}
            found.append(
                make_span(
                    trace,
                    f"{number:08x}{i + 1:08x}",
                    operation,
                    "attempt",
                    S + int(at * SEC),
                    S + int((at + 1) * SEC),
                    held | extra,
                )
            )
            at += 2
        done = {
            "penstock.span.kind": "operation",
            "gen_ai.operation.name": "chat",
            "penstock.pool": "p:m",
            "gen_ai.request.model": "m",
        }
        if failed == attempts:
            done["penstock.error.class"] = "rate_limit"
        found.append(
            make_span(
                trace, operation, None, "chat", S + int(start * SEC), S + int((at - 1) * SEC), done | extra
            )
        )
        made.append(operation)
        return found

    return build


def test_storms_count_amplification_and_waste(calls, formats, opened):
    spans = [span for i in range(20) for span in calls(f"{i + 1:032x}", i * 0.1, 3, 2)]
    spans += [span for i in range(20, 30) for span in calls(f"{i + 1:032x}", 100 + i, 1, 0)]
    with opened(formats.lines(spans)) as view:
        told = storms(view).data
    (pool,) = told["pools"]
    assert (told["calls"], told["attempts"]) == (30, 70)
    assert told["attempts_per_call"] == pytest.approx(70 / 30)
    assert (pool["retried_calls"], pool["retried_after_429"], pool["calls_without_success"]) == (20, 20, 0)
    assert pool["wasted_seconds"] == pytest.approx(40.0)
    assert pool["backoff_seconds"] == pytest.approx(40.0)
    assert told["attempts_spread"] == [{"attempts": 1, "calls": 10}, {"attempts": 3, "calls": 20}]
    assert [(storm["attempts"], storm["refused"]) for storm in told["storms"]] == [(60, 40)]


def test_fanout_counts_calls_at_once_per_task(calls, formats, opened):
    spans = [span for i in range(5) for span in calls("ab" * 16, 0.1 * i, 1, 0)]
    spans += [span for i in range(3) for span in calls("cd" * 16, 2.0 * i, 1, 0)]
    with opened(formats.lines(spans)) as view:
        told = fanout(view).data
    assert told["tasks"] == 2
    assert {task["task"]: (task["operations"], task["peak_live"]) for task in told["heaviest"]} == {
        "ab" * 16: (5, 5),
        "cd" * 16: (3, 1),
    }
    assert told["tasks_at_once"]["max"] == 2
    assert told["calls_at_once_if_all_fan_out"] == told["tasks_at_once"]["p95"] * 5


def nearest(values, percent):
    return sorted(values)[-(-len(values) * percent // 100) - 1]


@pytest.mark.parametrize("seed", range(4))
def test_fanout_counts_as_going_through_every_call_does(seed, calls, formats, opened):
    rng = random.Random(seed)
    asked = {f"{task + 1:032x}": [(rng.randrange(60) / 4, rng.randrange(1, 4)) for _ in range(rng.randrange(1, 40))]
             for task in range(30)}  # fmt: skip
    spans = [
        span
        for trace, held in asked.items()
        for start, attempts in held
        for span in calls(trace, start, attempts, attempts - 1)
    ]
    with opened(formats.lines(spans)) as view:
        told = fanout(view).data

    def begun(held):  # every attempt takes a second, and the next one of its call begins a second later
        return [start + 2 * i for start, attempts in held for i in range(attempts)]

    truth = {
        "operations": [len(held) for held in asked.values()],
        "attempts": [len(begun(held)) for held in asked.values()],
        "peak_live": [max(sum(at <= now < at + 1 for at in begun(held)) for now in begun(held)) for held in asked.values()],
        "seconds": [max(begun(held)) + 1 - min(begun(held)) for held in asked.values()],
    }  # fmt: skip
    for name, values in truth.items():
        ranks = {f"p{percent}": nearest(values, percent) for percent in (50, 95, 99)}
        assert told["per_task"][name] == pytest.approx(
            {"mean": sum(values) / 30, **ranks, "max": max(values)}
        )
    heaviest = sorted(
        zip(truth["attempts"], asked, truth["peak_live"], strict=True), key=lambda held: (-held[0], held[1])
    )
    assert [(task["attempts"], task["task"], task["peak_live"]) for task in told["heaviest"]] == heaviest[:20]


def test_fanout_says_so_where_no_work_is_named(calls, formats, opened):
    spans = [span for i in range(3) for span in calls(f"{i + 1:032x}", i, 1, 0)]
    with opened(formats.lines(spans)) as view:
        assert "each call stands alone" in fanout(view).lines[-1]
    spans = [span for i in range(3) for span in calls("ab" * 16, i, 1, 0)]
    with opened(formats.lines(spans)) as view:
        assert "each call stands alone" not in fanout(view).lines[-1]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("rate_limit", "fix capacity: queue before sending"),
        ("network", "fix capacity: the provider was slow, broken or not reached"),
        ("quota", "fix capacity: money, plan or a hard cap"),
        ("auth", "fix app: requests, keys or policy"),
        ("unknown", "fix app: most failures carry too little evidence"),
        (None, "nothing failed"),
    ],
)
def test_summary_says_what_to_fix_by_what_failed_most(make_span, formats, opened, error, line):
    def call(number, error):
        held = {"penstock.span.kind": "operation", "gen_ai.operation.name": "chat", "penstock.pool": "p:m"}
        held |= {"penstock.error.class": error} if error else {}
        return make_span("ab" * 16, f"{number:016x}", None, "chat", S, S + SEC, held)

    spans = [call(1, error), call(2, error), call(3, "server_error" if error else None), call(4, None)]
    with opened(formats.lines(spans)) as view:
        assert summary(view).lines[1].startswith(line)


def test_a_burst_of_misses_stands_out_from_the_baseline(make_span, formats, opened):
    rng = random.Random(4)
    spans = []
    for i in range(1500):
        at = i * 0.2
        missed = rng.random() < (0.9 if 100 <= at < 130 else 0.1)
        held = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 0 if missed else 900}  # fmt: skip
        spans.append(
            make_span(
                f"{i + 1:032x}",
                f"{i + 1:016x}",
                None,
                "chat",
                S + int(at * SEC),
                S + int((at + 1) * SEC),
                held,
            )
        )
    with opened(formats.lines(spans, 50)) as view:
        told = bursts(view).data
    (burst,) = told["bursts"]
    assert (burst["start_ns"] - S) / SEC == pytest.approx(100, abs=10)
    assert burst["seconds"] in {30, 40}
    assert burst["miss_ratio"] > 0.7
    assert burst["extra_uncached_tokens"] == pytest.approx(120 * 900, rel=0.25)
    assert burst["p99_live"] in {5, 6}


def test_calm_traffic_has_no_bursts(make_span, formats, opened):
    rng = random.Random(5)
    spans = [
        make_span(f"{i + 1:032x}", f"{i + 1:016x}", None, "chat", S + i * SEC // 5, S + i * SEC // 5 + SEC,
                  {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 1000,
                   "gen_ai.usage.cache_read.input_tokens": 0 if rng.random() < 0.3 else 900})
        for i in range(1000)
    ]  # fmt: skip
    with opened(formats.lines(spans, 50)) as view:
        assert bursts(view).data["bursts"] == []


def test_irreversible_work_on_fallback_answers_is_found(calls, make_span, formats, opened):
    spans = calls("ab" * 16, 0, 1, 0, **{"penstock.trust": "fallback", "penstock.fallback_from": "p:big"})
    spans += calls("cd" * 16, 0, 1, 0, **{"penstock.trust": "primary"})
    for trace, found, outcome in (("ab" * 16, "fallback", "ran"), ("cd" * 16, "primary", "ran")):
        held = {
            "penstock.guard.action": "pay",
            "penstock.guard.outcome": outcome,
            "penstock.trust": found,
            "penstock.guard.requires": "primary",
        }
        spans.append(
            make_span(
                trace, f"{len(spans) + 500:016x}", None, "irreversible pay", S + 5 * SEC, S + 6 * SEC, held, 1
            )
        )
    with opened(formats.lines(spans)) as view:
        told = trust(view).data
    assert told["answers_not_primary"] == 1
    assert told["irreversible_on_lower_trust"] == 1
    assert [(row["trace_id"], row["work"], row["guarded"]) for row in told["followed_by"]] == [
        ("ab" * 16, "pay", True)
    ]


def test_what_a_cache_answered_without_an_attempt_is_an_answer(calls, make_span, formats, opened):
    spans = calls("ab" * 16, 0, 1, 0, **{"penstock.trust": "primary"})
    held = {"gen_ai.operation.name": "chat", "penstock.span.kind": "operation", "penstock.pool": "p:m"}
    for number, served in enumerate(("cache_fresh", "cache_stale")):
        facts = {
            **held,
            "penstock.attempts": number,
            "penstock.trust": served,
        }  # stale: an attempt had failed
        spans.append(
            make_span("ab" * 16, f"{900 + number:016x}", None, "chat m", S + 3 * SEC, S + 4 * SEC, facts)
        )
    with opened(formats.lines(spans)) as view:
        told = trust(view).data
    assert {row["trust"]: row["answers"] for row in told["answers"]} == {
        "primary": 1, "cache_fresh": 1, "cache_stale": 1,
    }  # fmt: skip
    assert told["answers_not_primary"] == 2


def test_compare_finds_what_changed_and_not_what_did_not(calls, formats, opened, tmp_path):
    rng = random.Random(9)

    def side(share, name):
        spans = [
            span
            for i in range(150)
            for span in calls(f"{i + 1:032x}", i, *((2, 1) if rng.random() < share else (1, 0)))
        ]
        path = tmp_path / name
        path.write_bytes(formats.lines(spans, 20))
        return path

    before, same, after = side(0.1, "before"), side(0.1, "same"), side(0.5, "after")
    with opened(before) as one, opened(after) as two, opened(same) as three:
        changed = {change["measure"]: change for change in compare(one, two).data["changes"]}
        calm = compare(one, three).data["changes"]
    assert changed["rate limited attempts ratio"]["significant"]
    assert changed["attempts per operation"]["significant"]
    assert changed["attempts per operation"]["low"] > 0
    assert not changed["operations per task"]["significant"]
    assert not any(change["significant"] for change in calm)


def test_compare_of_few_tasks_gives_no_p_value(calls, formats, opened, tmp_path):
    path = tmp_path / "few"
    path.write_bytes(formats.lines(calls("ab" * 16, 0, 2, 1)))
    with opened(path) as one, opened(path) as two:
        answer = compare(one, two)
    assert {change["p"] for change in answer.data["changes"]} == {None}
    assert any("fewer than" in line for line in answer.lines)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_export_writes_every_span_and_never_over_a_file(ending, recorded, formats, opened, tmp_path):
    truth = recorded(3)
    target = tmp_path / f"spans.{ending}"
    with opened(formats.lines(truth.spans)) as view:
        assert export(view, target).data["spans"] == len(truth.spans)
        with pytest.raises(UsageError, match="exists"):
            export(view, target)
    if ending == "parquet":
        assert pq.read_table(target).num_rows == len(truth.spans)
    elif ending == "jsonl":
        rows = [json.loads(line) for line in target.read_text().splitlines()]
        assert {row["span_id"] for row in rows} == {span.id for span in truth.spans}
    else:
        assert len(target.read_text().splitlines()) == len(truth.spans) + 1


def test_an_export_can_be_read_again(recorded, formats, opened, tmp_path):
    from penstock.analysis import errors

    truth = recorded(3)
    with opened(formats.lines(truth.spans)) as view:
        export(view, tmp_path / "spans.parquet")
    with opened(tmp_path / "spans.parquet") as view:
        assert errors(view).data["attempts"] == truth.level("attempts")


def test_a_plan_follows_littles_law():
    told = plan(Load(requests_per_minute=500, tokens_per_minute=None, calls_per_task=20, tokens_per_call=1000,
                     seconds_per_call=6, tasks=25, calls_at_once_per_task=20, headroom_ratio=0, instances=5)).data  # fmt: skip
    assert told["cap"] == 50
    assert told["per_instance"]["cap"] == 10
    assert told["tasks_per_minute"] == pytest.approx(25)
    assert told["asked"]["live_calls"] == 500
    assert told["asked"]["load_ratio"] == pytest.approx(10)
    assert told["asked"]["seconds"] == pytest.approx(60)


@pytest.mark.parametrize(
    "bad",
    [{"calls_per_task": 0}, {"seconds_per_call": -1}, {"headroom_ratio": 1}, {"requests_per_minute": None}],
)
def test_a_plan_of_nonsense_is_refused(bad):
    given = {
        "requests_per_minute": 500,
        "calls_per_task": 20,
        "tokens_per_call": 1000,
        "seconds_per_call": 6,
        **bad,
    }
    with pytest.raises(UsageError):
        plan(Load(**given))
