"""Scenario files are read to the letter, and errors name the key."""

import math
import tomllib
from pathlib import Path

import pytest

from penstock.errors import UsageError
from penstock.simulator import Scenario, load_scenario, read_scenario

ROOT = Path(__file__).parents[2]


def test_the_documented_file_shows_every_key_with_its_default():
    text = (ROOT / "docs/scenario.toml").read_text()
    shown = read_scenario(text)
    plain = read_scenario(text.split("[[pools.events]]")[0], name="quota-halves-then-doubles")
    assert plain == Scenario(name=plain.name)
    data = tomllib.loads(text)
    assert set(data) == {"name", "horizon_seconds", "workload", "router", "pools"}
    assert set(data["workload"]) == set(Scenario().workload.__slots__)
    assert set(data["pools"][0]) == set(Scenario().pools[0].__slots__)
    assert [event.at_seconds for event in shown.pools[0].events] == [0, 300, 600, 700]


def test_an_empty_file_is_a_scenario(tmp_path):
    path = tmp_path / "nothing.toml"
    path.write_text("")
    assert load_scenario(path) == Scenario(name="nothing")


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks/limiter_lab/scenarios").glob("*.toml")), ids=str)
def test_the_labs_scenarios_are_legal(path):
    assert load_scenario(path).horizon_seconds > 0


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("horizon = 3", "unknown key 'horizon' in the top level; did you mean 'horizon_seconds'?"),
        ("[workload]\ntask = 3", "unknown key 'task' in workload; did you mean 'tasks'?"),
        ("[[pools]]\n[[pools]]\nrpm = 3", r"unknown key 'rpm' in pools\[1\]"),
        ("[[pools]]\n[[pools.events]]\nnmae = 'x'", r"unknown key 'nmae' in pools\[0\].events\[0\]"),
        (
            "[[pools]]\nlatency_seconds = {average = 3}",
            r"unknown key 'average' in pools\[0\].latency_seconds",
        ),
        ("[workload]\ntenants = [{weight = 1}]", r"unknown key 'weight' in workload.tenants\[0\]"),
        ("[workload]\ntasks = '3'", "workload.tasks must be a whole number, not '3'"),
        ("[workload]\ntasks = true", "workload.tasks must be a whole number, not true"),
        ("[workload]\nfan_out_share = 1.5", "workload.fan_out_share must be between 0 and 1, not 1.5"),
        ("[workload]\nfan_out_calls = [5, 2]", "workload.fan_out_calls must be"),
        ("[workload]\nmode = 'half-open'", "workload.mode must be one of closed, open, not 'half-open'"),
        ("[[pools]]\nrequests_per_minute = -1", r"pools\[0\].requests_per_minute must be at least 0, not -1"),
        ("[[pools]]\nrequests_per_minute = nan", r"pools\[0\].requests_per_minute must be a number"),
        ("[[pools]]\nerror_rates = {timeout = 0.7, overloaded = 0.7}", "must sum to at most 1"),
        ("horizon_seconds = inf", "horizon_seconds must be at least 0.001 and finite"),
        ("pools = 3", "pools must be an array of tables, not 3"),
        ("workload = 3", "workload must be a table, not 3"),
        ("name =", "is not TOML"),
    ],
)
def test_a_wrong_key_or_value_is_named(source, said):
    with pytest.raises(UsageError, match=said):
        read_scenario(source)


def test_a_missing_or_binary_file_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read scenario .*No such file"):
        load_scenario(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        load_scenario(binary)


def test_inf_is_allowed_where_a_limit_may_be_absent():
    scenario = read_scenario("[router]\nwait_up_to_seconds = inf\n[[pools]]\nrequests_per_minute = inf")
    assert scenario.router.wait_up_to_seconds == math.inf


def test_pools_without_names_are_told_apart():
    assert [pool.name for pool in read_scenario("[[pools]]\n[[pools]]").pools] == ["primary", "primary-2"]


def test_a_distribution_keeps_the_defaults_of_its_own_key():
    pool = read_scenario("[[pools]]\nlatency_seconds = { mean = 15 }").pools[0]
    assert (pool.latency_seconds.mean, pool.latency_seconds.sigma) == (15.0, 0.6)
