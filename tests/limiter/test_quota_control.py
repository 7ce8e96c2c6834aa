"""The limiter against quota models it must cope with; each once was a trap.

Targets are the share of what the quota admits and the refusals per 1000 sends, over a short horizon.
"""

import pytest

from penstock.simulator.scenario import Event, Neighbour, Pool

RATE = 500 / 60


def admitted(seconds: float, depth: float = 10.0, rate: float = RATE) -> float:
    return rate * seconds + depth * rate


@pytest.mark.parametrize(
    ("name", "pool", "goodput", "refused"),
    [
        ("sole owner", Pool(), 0.985, 1),
        ("stale headers over a one-second bucket", Pool(bucket_seconds=1.0), 0.985, 3),
        ("a bucket of a minute", Pool(bucket_seconds=60.0), 0.97, 1),
        ("refused requests are charged", Pool(charge_rejected=True), 0.985, 1),
        ("no headers", Pool(headers="none"), 0.97, 15),
        ("no headers, no Retry-After", Pool(headers="none", retry_after="none"), 0.97, 20),
        ("remaining is always 0", Pool(header_lies="zero"), 0.94, 2),
        ("remaining is -1", Pool(header_lies="negative"), 0.97, 15),
        ("remaining is rounded", Pool(header_lies="rounded"), 0.97, 3),
        ("resets lie in the past", Pool(header_lies="past_reset"), 0.985, 1),
        ("slices of a second", Pool(algorithm="sliced"), 0.93, 6),
    ],
)
def test_a_steady_quota_is_used_and_not_overrun(fleet, name, pool, goodput, refused):
    tally = fleet([pool]).run(240.0)
    depth = {"sliced": 1.0}.get(pool.algorithm, pool.bucket_seconds)
    live = 45
    assert tally.answered + live >= goodput * admitted(240.0, depth), name
    assert tally.refused <= refused * tally.attempts / 1000 + 2, name
    assert tally.failed == 0


@pytest.mark.parametrize(
    ("pool", "refused"),
    [
        (Pool(algorithm="fixed_window"), 2),
        (Pool(algorithm="fixed_window", headers="none"), 12),
        (Pool(algorithm="fixed_window", headers="none", retry_after="none"), 60),
    ],
)
def test_fixed_windows_are_used_up_one_after_the_other(fleet, pool, refused):
    tally = fleet([pool]).run(300.0)
    assert tally.answered >= 0.97 * 500 * 5 - 60
    assert tally.refused <= refused * tally.attempts / 1000
    assert tally.failed == 0


def test_a_neighbour_who_takes_half_in_bursts_is_given_way(fleet):
    pool = Pool(events=(Event(0.0, {}, neighbour=Neighbour(0.5, 20.0, 20.0)),))
    tally = fleet([pool]).run(400.0)
    assert tally.answered >= 0.95 * 0.75 * RATE * 400
    assert tally.refused <= 20 * tally.attempts / 1000


def test_a_halved_quota_is_obeyed_and_a_doubled_one_used_within_half_a_minute(fleet):
    pool = Pool(
        events=(
            Event(100.0, {"requests_per_minute": 250.0}),
            Event(200.0, {"requests_per_minute": 1000.0}),
        )
    )
    crowd = fleet([pool], agents=100)
    tally = crowd.run(300.0)
    late = sum(1 for at in tally.sends if 230 <= at < 290)
    assert late >= 0.95 * 1000 * 60 / 60
    assert tally.refused <= 2 * tally.attempts / 1000 + 3


def test_token_quotas_are_used_whether_reserved_or_metered(fleet):
    for accounting in ("max_tokens", "actual"):
        pool = Pool(requests_per_minute=3000.0, tokens_per_minute=400_000.0, token_accounting=accounting)
        tally = fleet([pool]).run(300.0)
        assert tally.tokens >= 0.9 * 400_000 * 6 * 0.95, accounting
        assert tally.refused <= 5 * tally.attempts / 1000, accounting


def test_where_output_is_metered_as_it_comes_the_oldest_tasks_still_go_first(fleet):
    pool = Pool(
        requests_per_minute=1000.0, input_tokens_per_minute=1_000_000.0, output_tokens_per_minute=120_000.0,
        token_accounting="actual", headers="anthropic",
    )  # fmt: skip
    by_age = sorted(fleet([pool]).run(600.0).by_age)
    quarter = len(by_age) // 4
    oldest = sum(wait for _, wait in by_age[-quarter:]) / quarter
    youngest = sum(wait for _, wait in by_age[:quarter]) / quarter
    assert oldest <= youngest / 8


def test_large_calls_do_not_starve_behind_small_ones(fleet):
    pool = Pool(requests_per_minute=3000.0, tokens_per_minute=500_000.0)
    tally = fleet([pool], sizes=1.3).run(300.0)
    by_size = sorted(tally.waits)
    tenth = len(by_size) // 10
    large = sum(wait for _, wait in by_size[-tenth:]) / tenth
    typical = sum(wait for _, wait in by_size) / len(by_size)
    assert large <= 3 * max(1.0, typical)


def test_a_concurrency_limit_is_found_exactly_and_kept_full(fleet):
    pool = Pool(requests_per_minute=0.0, concurrency=12.0, headers="none", retry_after="none")
    crowd = fleet([pool])
    tally = crowd.run(300.0)
    mean_seconds = sum(1 for _ in tally.waits)
    assert mean_seconds
    assert crowd.limiters[0].snapshot()["primary"].cap in {12, 13}
    assert tally.refused <= 5 * tally.attempts / 1000 + 3


def test_growth_limits_are_learnt_from_their_refusals(fleet):
    pool = Pool(slope_percent_per_15s=30.0)
    tally = fleet([pool]).run(400.0)
    late = sum(1 for at in tally.sends if at >= 340)
    assert late >= 0.9 * 500
    assert tally.refused <= 8 * tally.attempts / 1000 + 2


def test_a_few_overloaded_answers_do_not_shrink_the_pool(fleet):
    from penstock.simulator.scenario import ErrorRates

    tally = fleet([Pool(error_rates=ErrorRates(overloaded=0.05))]).run(240.0)
    assert tally.answered + 45 >= 0.97 * admitted(240.0)
    assert tally.failed == 0


def test_slow_calls_start_without_a_cap_in_their_way(fleet):
    from penstock.simulator.scenario import Distribution

    pool = Pool(latency_seconds=Distribution(mean=15.0, sigma=0.6))
    crowd = fleet([pool])
    crowd.run(30.0)
    assert crowd.limiters[0].snapshot()["primary"].in_flight >= 40


def test_twenty_processes_that_know_nothing_of_each_other_share_one_quota(fleet):
    tally = fleet([Pool()], agents=60, limiters=20).run(300.0)
    assert tally.answered + 60 >= 0.96 * admitted(300.0)
    assert tally.refused <= 60 * tally.attempts / 1000


def test_an_outage_is_probed_not_hammered(fleet):
    pool = Pool(events=(Event(60.0, {}, outage_seconds=300.0),))
    tally = fleet([pool]).run(500.0)
    during = sum(1 for at in tally.sends if 61.0 <= at < 360.0)
    assert during <= 60
    assert tally.attempts <= 1.1 * tally.answered + 60
    assert tally.answered >= 0.95 * RATE * 190
    assert tally.failed == 0


def test_no_call_is_sent_before_a_retry_after_is_over(fleet):
    pool = Pool(events=(Event(60.0, {}, outage_seconds=120.0, outage_status=429),))
    tally = fleet([pool]).run(260.0)
    refused_at = next(at for at in tally.sends if at >= 60.0)
    # Those already on their way when the first refusal came back do not count.
    assert not [at for at in tally.sends if refused_at + 0.1 < at < 180.0]
    assert tally.answered + 45 >= 0.95 * RATE * 140


def test_a_fallback_takes_only_the_excess_and_the_primary_gets_its_calls_back(fleet):
    primary = Pool(name="a", events=(Event(100.0, {}, outage_seconds=60.0),))
    crowd = fleet([primary, Pool(name="b", requests_per_minute=300.0)])
    crowd.run(100.0)
    before = dict(crowd.tally.by_pool)
    crowd.run(60.0)
    crowd.run(30.0)
    back = dict(crowd.tally.by_pool)
    tally = crowd.run(110.0)
    assert before["a"] > before["b"]
    assert tally.by_pool["a"] - back["a"] >= 0.95 * RATE * 110
    assert tally.failed == 0
    assert tally.refused <= 15 * tally.attempts / 1000
