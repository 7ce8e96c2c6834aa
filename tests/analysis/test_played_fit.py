"""A quota is found by playing recorded attempts through it."""

import random

import pytest

from penstock.analysis._played_fit import Bucket, Try, fit_others, fit_rate, refusals_count

DEPTH = 10.0


def attempts(per_second, seconds, seed=1):
    rng, at, found = random.Random(seed), 0.0, []
    while (at := at + rng.expovariate(per_second)) < seconds:
        found.append(at)
    return found


def recorded(times, per_minute, charged, share_at=lambda at: 0.0):
    bucket = Bucket.full(per_minute, DEPTH, charged=charged)
    return [Try(at, bool(bucket.play([Try(at, True)], share=share_at(at)).accepted)) for at in times]


@pytest.mark.parametrize("charged", [True, False])
@pytest.mark.parametrize("per_minute", [30, 250, 5000])
def test_the_rate_and_what_refusals_cost_are_found(per_minute, charged):
    tries = recorded(attempts(per_minute / 60 * 2, 60), per_minute, charged)
    assert fit_rate(tries, DEPTH, charged=charged) == pytest.approx(per_minute, rel=0.05)
    assert refusals_count(tries, per_minute, DEPTH) is charged
    assert refusals_count(tries, None, DEPTH) in {charged, None}


def test_a_quota_of_ones_own_is_shared_with_nobody():
    tries = recorded(attempts(8, 60), 250, charged=True)
    assert fit_others(tries, 250, DEPTH, charged=True) == []
    assert fit_others([], 250, DEPTH, charged=True) == []


@pytest.mark.parametrize("charged", [True, False])
def test_the_share_of_others_is_found_where_calls_were_refused(charged):
    tries = recorded(attempts(8, 80), 250, charged, lambda at: 0.6 if 20 <= at < 50 else 0.0)
    shares = fit_others(tries, 250, DEPTH, charged=charged)
    assert len(shares) == 16
    assert sum(shares[4:10]) / 6 == pytest.approx(0.6, abs=0.1)
    assert max(shares[1:4] + shares[11:]) < 0.2


def test_where_nothing_was_refused_others_are_taken_to_go_on():
    busy = recorded(attempts(8, 40), 250, False, lambda at: 0.6)
    calm = [Try(at, True) for at in (41.0, 44.0, 52.0)]
    shares = fit_others(busy + calm, 250, DEPTH, charged=False)
    assert shares[-1] == shares[-2] == shares[7] > 0.4
