"""The lab's clock, oracle and rows."""

import asyncio
import importlib
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.simulator import read_scenario

ROOT = Path(__file__).parents[2]
OPENAI_2 = ROOT / ".venv-openai2" / "bin" / "python"
SHORT = """
name = "short"
horizon_seconds = 200
[workload]
tasks = 20
calls_per_task = 6
"""
FIELDS = {
    "goodput_ratio",
    "rate_limited_per_1000",
    "tasks_failed_ratio",
    "task_p50_seconds",
    "task_p99_seconds",
    "task_p99_over_oracle",
    "worst_wait_over_median",
    "fallback_ratio",
    "oracle_over_bound",
}


@pytest.fixture
def lab(monkeypatch):
    """Import a module of the lab, which is no part of the package."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.limiter_lab.{name}")


@pytest.fixture
def rows(lab):
    """Run policies over a scenario with seed 1; give the rows by policy."""

    def run(source, *policies):
        found = lab("lab").compare(read_scenario(source), policies, [1])
        return {row["policy"]: row for row, _ in found}

    return run


def command(*arguments, python=sys.executable):
    return subprocess.run(
        [python, "-m", "benchmarks.limiter_lab", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=ROOT,
        check=False,
    )


@pytest.fixture
def litellm_rows(tmp_path):
    """Run litellm's Router, which pins openai 2, in the other environment; give a row a seed."""

    def run(source, seeds):
        scenario, found = tmp_path / "scenario.toml", tmp_path / "rows.json"
        scenario.write_text(source)
        done = command(
            scenario, "--policies", "litellm_router", "--seeds", seeds, "--json", found, python=OPENAI_2
        )
        assert done.returncode == 0, done.stderr
        return json.loads(found.read_text())["results"]

    return run


def test_a_day_passes_at_once_and_every_clock_shows_it(lab):
    clock = lab("clock")
    loop = clock.VirtualLoop()

    async def day():
        before = time.monotonic(), time.time(), loop.time()
        await asyncio.sleep(86400)
        after = time.monotonic(), time.time(), loop.time()
        return [late - early for late, early in zip(after, before, strict=True)]

    real = time.monotonic()
    assert clock.run(loop, day()) == pytest.approx([86400, 86400, 86400], abs=1e-3)
    assert time.monotonic() - real < 60


def test_waiting_for_nothing_is_an_error_not_a_hang(lab):
    clock = lab("clock")
    loop = clock.VirtualLoop()

    async def forever():
        await loop.create_future()

    with pytest.raises(clock.NothingLeftError):
        clock.run(loop, forever())


@pytest.mark.parametrize(
    "pool",
    [
        "",
        "algorithm = 'fixed_window'",
        "algorithm = 'sliced'",
        "tokens_per_minute = 300000",
        "requests_per_minute = 0\noutput_tokens_per_minute = 30000\ntoken_accounting = 'actual'",
        "requests_per_minute = 0\nconcurrency = 5",
        "slope_percent_per_15s = 30",
        "requests_per_minute = 100\ncharge_rejected = true\nerror_rates = { overloaded = 0.3 }",
        "[[pools.events]]\nat_seconds = 60\noutage_seconds = 60",
        "[[pools.events]]\nneighbour_share = 0.5",
    ],
)
def test_the_oracle_is_never_refused_and_does_what_is_possible(lab, pool):
    oracle = lab("oracle")
    scenario = read_scenario(f"{SHORT}\n[[pools]]\nrequests_per_minute = 120\n{pool}".replace(
        "requests_per_minute = 120\nrequests_per_minute", "requests_per_minute"))  # fmt: skip
    result = lab("lab").play(scenario, 1, lambda world: [oracle.Oracle(world)])
    assert result.rate_limited == 0
    assert result.tasks_failed == 0
    wanted = lab("lab")._wanted(scenario, 1)
    assert 0.93 < result.calls / lab("bound").most_calls(scenario, wanted) < 1.07


def test_a_row_has_every_field_and_the_same_seed_gives_the_same_row(rows):
    first, again = rows(SHORT, "full_jitter")["full_jitter"], rows(SHORT, "full_jitter")["full_jitter"]
    assert set(first) >= FIELDS
    assert all(isinstance(first[name], float) and math.isfinite(first[name]) for name in FIELDS)
    assert {**first, "compute_seconds": 0} == {**again, "compute_seconds": 0}


@pytest.mark.parametrize("library", ["tenacity", "stamina"])
def test_a_library_whose_jitter_is_everyone_s_gives_the_same_row_again(rows, library):
    pytest.importorskip(library)
    crowded = SHORT + "\n[[pools]]\nrequests_per_minute = 100"
    first, again = (rows(crowded, library)[library] for _ in range(2))
    assert first["rate_limited_per_1000"] > 100
    assert {**first, "compute_seconds": 0} == {**again, "compute_seconds": 0}


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_a_real_sdk_sends_three_times_and_minds_what_it_was_told(rows, sdk):
    pytest.importorskip(sdk)
    told = SHORT + "\n[[pools]]\nrequests_per_minute = 100\nretry_after = 'seconds'"
    found = rows(told, f"{sdk}_sdk", "penstock_without_queue")
    watched, real = found["penstock_without_queue"], found[f"{sdk}_sdk"]
    assert real["rate_limited_per_1000"] > 100
    assert (real["attempts"], real["calls"]) == (watched["attempts"], watched["calls"])
    dead = "fan_out_share = 0\n[[pools]]\n[[pools.events]]\nat_seconds = 0\noutage_seconds = 200"
    found = rows(SHORT + dead, f"{sdk}_sdk")[f"{sdk}_sdk"]
    assert found["calls"] == 0
    running = found["attempts"] - 3 * found["tasks_ended"]
    assert 0 <= running <= 3 * 20


def test_litellm_s_router_draws_by_the_seed_and_rests_a_pool_for_virtual_seconds(litellm_rows):
    away = "[[pools.events]]\nat_seconds = 0\noutage_seconds = 20"
    first, again = litellm_rows(f"{SHORT}\n[[pools]]\n{away}\n[[pools]]\nname = 'backup'\n", "1,1")
    assert {**first, "compute_seconds": 0} == {**again, "compute_seconds": 0}
    assert 0.4 < first["fallback_ratio"] < 0.65
    assert first["attempts"] < 1.1 * first["calls"]


def test_litellm_s_router_waits_as_long_as_a_refusal_tells_it(litellm_rows):
    told = f"{SHORT}\n[[pools]]\nrequests_per_minute = 60\nalgorithm = 'fixed_window'\nheaders = 'none'"
    (found,) = litellm_rows(told, "1")
    assert found["goodput_ratio"] > 0.95
    assert found["tasks_failed_ratio"] == 0


def test_queueing_beats_retrying_and_costs_nothing_when_idle(rows):
    crowded = SHORT.replace("tasks = 20", "tasks = 60") + "\n[[pools]]\nrequests_per_minute = 300"
    found = rows(crowded, "penstock", "immediate", "bucket")
    assert found["immediate"]["goodput_ratio"] < 0.3 < 0.85 < found["bucket"]["goodput_ratio"]
    assert found["penstock"]["goodput_ratio"] > 0.95
    assert found["penstock"]["tasks_failed_ratio"] == 0
    assert found["immediate"]["rate_limited_per_1000"] > 700
    assert rows(SHORT.replace("tasks = 20", "tasks = 2"), "penstock")["penstock"]["goodput_ratio"] > 0.99


def test_a_fallback_serves_what_the_first_pool_cannot(rows):
    source = f"""{SHORT}
    [router]
    wait_up_to_seconds = 0
    [[pools]]
    requests_per_minute = 60
    [[pools]]
    name = "backup"
    requests_per_minute = 120
    """
    found = rows(source, "oracle", "penstock")
    assert 0.5 < found["oracle"]["fallback_ratio"] < 0.75
    assert found["penstock"]["fallback_ratio"] > 0.4


def test_goodput_counts_tokens_where_tokens_run_out(lab):
    bound = lab("bound")
    assert bound.token_bound(read_scenario("[[pools]]\ntokens_per_minute = 200000"))
    assert not bound.token_bound(read_scenario("[[pools]]\ntokens_per_minute = 2000000"))
    assert not bound.token_bound(read_scenario("[[pools]]\ntokens_per_minute = 200000\nconcurrency = 1"))


def test_a_call_larger_than_every_bucket_fails_its_task_for_everyone(rows):
    huge = "input_tokens = { distribution = 'constant', mean = 5000 }"
    found = rows(f"{SHORT}\n{huge}\n[[pools]]\ntokens_per_minute = 1000", "oracle", "immediate")
    assert found["oracle"]["tasks_failed_ratio"] == found["immediate"]["tasks_failed_ratio"] == 1.0


def test_deadlines_end_tasks(rows):
    source = (
        SHORT.replace("[workload]", "[workload]\ndeadline_seconds = 5")
        + "\n[[pools]]\nrequests_per_minute = 60"
    )
    assert rows(source, "semaphore")["semaphore"]["tasks_failed_ratio"] > 0.9


def test_the_command_writes_rows_and_plots(tmp_path):
    scenario = tmp_path / "short.toml"
    scenario.write_text(SHORT.replace("200", "60"))
    output = tmp_path / "o.json"
    wanted = ["--policies", "penstock,semaphore", "--seeds", "1,2"]
    done = command(scenario, *wanted, "--json", output, "--plots", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "semaphore" in done.stdout
    results = json.loads(output.read_text())["results"]
    assert [(row["policy"], row["seed"]) for row in results] == [
        ("penstock", 1), ("semaphore", 1), ("penstock", 2), ("semaphore", 2)
    ]  # fmt: skip
    assert (tmp_path / "short.penstock.1.svg").read_text().startswith("<svg")


def test_a_peer_that_is_not_installed_is_skipped_with_the_reason(lab, rows, monkeypatch):
    policies = lab("policies")
    entry = policies.Entry("static:aiolimiter", "a peer", "no_such_package")
    monkeypatch.setitem(policies.POLICIES, "absent", entry)
    assert rows(SHORT, "absent")["absent"]["skipped"] == "no_such_package is not installed"
    shared = SHORT + "store = 'redis'"
    assert "wall clock" in rows(shared, "penstock")["penstock"]["skipped"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.toml"], "cannot read scenario 'nowhere.toml'"),
        (["docs/scenario.toml", "--policies", "nobody"], "unknown policy 'nobody'"),
        (["docs/scenario.toml", "--seeds", "x"], "--seeds must be whole numbers"),
        (["docs/scenario.toml", "--json", "/nowhere/o.json"], "cannot write '/nowhere/o.json'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, said):
    done = command(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


@pytest.fixture
def report(lab, tmp_path):
    """Print the tables of rows: `report({"goodput_ratio": 0.9, …}, …)`."""
    perfect = {
        "scenario": "steady-50", "policy": "penstock", "seed": 1, "goodput_ratio": 1.0,
        "rate_limited_per_1000": 0.0, "tasks_failed_ratio": 0.0, "task_p99_over_oracle": 0.8,
        "worst_wait_over_median": 1.0, "oracle_over_bound": 1.0,
    }  # fmt: skip

    def tables(*rows):
        path = tmp_path / "rows.json"
        path.write_text(json.dumps({"results": [{**perfect, **row} for row in rows]}))
        return lab("report"), lab("report").read([path])

    return tables


@pytest.mark.parametrize(
    ("row", "misses"),
    [
        ({}, "–"),
        ({"goodput_ratio": 0.98}, "goodput"),
        ({"scenario": "neighbour", "goodput_ratio": 0.98, "rate_limited_per_1000": 20.0}, "–"),
        ({"rate_limited_per_1000": 1.1, "task_p99_over_oracle": 0.86}, "429s, p99"),
        ({"scenario": "nobody-knows", "task_p99_over_oracle": 1.0, "tasks_failed_ratio": 0.1}, "failed"),
        ({"task_p99_over_oracle": None, "worst_wait_over_median": 3.5}, "wait"),
    ],
)
def test_the_table_says_which_targets_are_missed(report, row, misses):
    module, runs = report(row)
    assert module.ours(runs)[-1].split("|")[-2].strip() == misses


def test_the_table_averages_over_seeds_and_leaves_out_who_could_not_run(report):
    module, runs = report(
        {"goodput_ratio": 0.9}, {"seed": 2}, {"policy": "tenacity", "skipped": "not installed"}
    )
    line = module.ours(runs)[-1]
    assert line.startswith("| steady-50 | 2 | 0.950 | 0.900 |")
    assert "tenacity" not in str(module.sections(runs))


def test_every_policy_is_summed_up_and_stands_beside_ours(report):
    tenacity = {"policy": "tenacity", "goodput_ratio": 0.4, "rate_limited_per_1000": 700.4}
    module, runs = report(
        {}, {"seed": 2}, {"seed": 3}, tenacity, {**tenacity, "seed": 2},
        {**tenacity, "scenario": "neighbour", "goodput_ratio": 0.2},
    )  # fmt: skip
    made = module.sections(runs)
    assert made["Everyone, over all scenarios"][2:] == [
        "| penstock | 1 | 3 | 1 | 1.000 | 1.000 | 0.0 | 0 | 0.0% | 0% |",
        "| tenacity | 2 | 3 | 0 | 0.300 | 0.200 | 700.4 | 700 | 0.0% | 0% |",
    ]
    assert made["Goodput"] == [
        "| scenario | penstock | tenacity |",
        "|---|---:|---:|",
        "| neighbour | – | 0.200¹ |",
        "| steady-50 | 1.000 | 0.400² |",
    ]


def test_an_ablation_stands_beside_the_whole(report):
    module, runs = report({}, {"policy": "penstock_without_queue", "rate_limited_per_1000": 801.0})
    title = "What each part is worth: goodput / 429s per 1000 / failed tasks"
    assert module.sections(runs)[title][2:] == ["| steady-50 | 1.000 / 0 / 0% | 1.000 / 801 / 0% |"]


def test_tasks_that_even_the_oracle_loses_are_no_miss(report):
    lost = {"tasks_failed_ratio": 0.1}
    module, runs = report(lost, {"policy": "oracle", **lost})
    assert module.ours(runs)[-1].split("|")[-2].strip() == "–"
