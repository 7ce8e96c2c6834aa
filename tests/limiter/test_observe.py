"""What observing says would have been, against what the provider then did."""

import pytest

from penstock.limiter import Would
from penstock.simulator.scenario import Pool

WARM = 20.0


@pytest.fixture
def watched(fleet):
    """Let agents loose on a pool that is only watched; give the times of warnings and of refusals."""

    def run(pool, agents):
        crowd = fleet([pool], agents=agents, mode="observe")
        tally = crowd.run(200.0)
        warned = {event.at for event in crowd.events if isinstance(event, Would) and event.at > WARM}
        return tally, warned, {at for at in tally.refusals if at > WARM}

    return run


@pytest.mark.parametrize("headers", ["openai", "none"])
def test_every_call_that_was_refused_would_have_waited(watched, headers):
    _, warned, refused = watched(Pool(headers=headers), agents=50)
    assert len(refused) > 1000
    assert refused <= warned


def test_below_the_quota_nothing_would_have_waited(watched):
    tally, warned, refused = watched(Pool(), agents=20)
    assert tally.attempts > 1000
    assert (warned, refused) == (set(), set())


def test_nothing_is_held_back_while_watched(watched):
    tally, warned, _ = watched(Pool(), agents=50)
    assert warned
    assert all(wait == 0 for _, wait in tally.waits)
