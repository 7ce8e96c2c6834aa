"""What observing says would have been, against what the provider then did and what enforcing does."""

import math

import pytest

from penstock.limiter import Fallback, PoolSettings, Would
from penstock.simulator.scenario import Pool

WARM = 20.0


@pytest.fixture
def watched(fleet):
    """Let agents loose on pools that are only watched; give what was warned of when, and the refusals."""

    def run(*pools, agents, seed=1, **settings):
        crowd = fleet(list(pools), agents=agents, mode="observe", seed=seed, **settings)
        tally = crowd.run(200.0)
        warned = {event.at: event.action for event in crowd.events if isinstance(event, Would)}
        return (
            tally,
            {at: action for at, action in warned.items() if at > WARM},
            {at for at in tally.refusals if at > WARM},
        )

    return run


@pytest.mark.parametrize("headers", ["openai", "none"])
def test_every_call_that_was_refused_would_have_waited(watched, headers):
    _, warned, refused = watched(Pool(headers=headers), agents=50)
    assert len(refused) > 1000
    assert refused <= set(warned)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("headers", ["openai", "none"])
def test_below_the_quota_nothing_would_have_waited(watched, headers, seed):
    tally, warned, refused = watched(Pool(headers=headers), agents=20, seed=seed)
    assert tally.attempts > 1000
    assert (warned, refused) == ({}, set())


@pytest.mark.parametrize("headers", ["openai", "none"])
def test_above_the_quota_as_many_are_said_to_wait_as_wait_when_it_acts(watched, fleet, headers):
    tally, warned, refused = watched(Pool(headers=headers), agents=50)
    accepted = {at for at in tally.sends if at > WARM} - refused
    acting = fleet([Pool(headers=headers)], agents=50).run(200.0)
    waited = sum(wait > 0 for _, wait in acting.waits) / len(acting.waits)
    assert len(accepted & set(warned)) / len(accepted) == pytest.approx(waited, abs=0.1)
    assert set(warned.values()) == {"waited"}  # none for so long that it would have been refused


def test_who_would_have_been_refused_here_would_have_moved_where_there_is_a_fallback(watched):
    here, there = Pool(name="here"), Pool(name="there")
    settings = {
        "here": PoolSettings(
            wait_up_to_seconds=0.0, max_wait_seconds=math.inf, fallback=(Fallback(pool="there"),)
        )
    }
    tally, warned, refused = watched(here, there, agents=50, settings=settings)
    assert len(refused) > 1000
    assert {warned.get(at) for at in refused} == {"moved"}
    assert set(tally.by_pool) == {"here"}


def test_nothing_is_held_back_while_watched(watched):
    tally, warned, _ = watched(Pool(), agents=50)
    assert warned
    assert all(wait == 0 for _, wait in tally.waits)
