"""Pools that are each other's fallbacks: no call goes round in circles, least of all when nobody answers."""

import math
from collections import defaultdict

import pytest

from penstock.limiter import Fallback, PoolSettings
from penstock.simulator.scenario import Event, Pool

OUTAGE = (60.0, 360.0)
ROUNDS = {
    "there and back": {"a": ("b",), "b": ("a",)},
    "a circle": {"a": ("b",), "b": ("c",), "c": ("a",)},
    "each to all": {"a": ("b", "c"), "b": ("c", "a"), "c": ("a", "b")},
    "to itself": {"a": ("a", "b"), "b": ("b", "a")},
}


def _patient_nowhere(others):
    fallback = tuple(Fallback(pool=name) for name in others)
    return PoolSettings(max_wait_seconds=math.inf, wait_up_to_seconds=0.0, fallback=fallback)


@pytest.fixture(params=ROUNDS)
def routes(request):
    return ROUNDS[request.param]


@pytest.fixture
def away(fleet, routes):
    """Run ten minutes in which every pool is away for five; `status` is what they say meanwhile."""

    def run(status):
        outage = Event(OUTAGE[0], {}, outage_seconds=OUTAGE[1] - OUTAGE[0], outage_status=status)
        pools = [Pool(name=name, requests_per_minute=600.0, events=(outage,)) for name in routes]
        settings = {name: _patient_nowhere(others) for name, others in routes.items()}
        return fleet(pools, agents=30, settings=settings, homes=len(pools)).run(600.0)

    return run


@pytest.mark.parametrize("status", [503, 429])
def test_when_every_pool_is_away_no_call_circles(away, routes, status):
    tally = away(status)
    assert tally.failed == 0
    assert tally.answered > 1000
    assert tally.attempts <= 1.1 * tally.answered
    assert {visit.pool for visit in tally.visits if visit.refused} == set(routes)


@pytest.mark.parametrize("status", [503, 429])
def test_an_operation_returns_to_a_pool_only_after_its_pause(away, status):
    by_operation = defaultdict(list)
    for visit in away(status).visits:
        by_operation[visit.operation].append(visit)
    for visits in by_operation.values():
        for index, visit in enumerate(visits):
            again = [later for later in visits[index + 1 :] if later.pool == visit.pool]
            assert all(later.sent >= visit.heard + visit.stay_away for later in again)


def test_a_call_goes_only_where_its_own_pool_may_send_it(fleet):
    outage = Event(0.0, {}, outage_seconds=60.0)
    pools = [Pool(name="a", events=(outage,)), Pool(name="b", events=(outage,)), Pool(name="c")]
    settings = {"a": _patient_nowhere("b"), "b": _patient_nowhere("c")}
    tally = fleet(pools, agents=10, settings=settings).run(120.0)
    assert set(tally.by_pool) == {"a", "b"}


def test_no_pool_is_tried_before_its_retry_after_is_over(away):
    visits = away(429).visits
    refused = [visit for visit in visits if visit.refused and visit.stay_away]
    assert refused
    for visit in refused:
        end = visit.heard + visit.stay_away
        early = [v for v in visits if v.pool == visit.pool and visit.heard < v.sent < end]
        assert early == []
