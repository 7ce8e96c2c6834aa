"""An ETA is a promise: how far it is from what happens."""

import statistics

import pytest

from penstock.simulator.scenario import Pool


@pytest.mark.parametrize("pool", [Pool(), Pool(headers="none"), Pool(requests_per_minute=120.0)])
def test_the_expected_wait_of_a_queued_call_is_right_within_a_fifth(fleet, pool):
    crowd = fleet([pool], agents=50)
    crowd.run(120.0)
    limiter = crowd.limiters[0]
    misses = []
    home = crowd.home
    for _ in range(20):
        crowd.run(7.0)
        ticket = limiter.admit(crowd.describe())
        if ticket.admission is not None:
            limiter.settle(ticket, crowd.given_up())
            continue
        told = limiter.snapshot()[home].expected_wait_seconds
        began = crowd.time.now
        while ticket.admission is None:
            crowd.run(0.1)
        limiter.settle(ticket, crowd.given_up())
        misses.append(abs(crowd.time.now - began - told) / max(1.0, told))
    assert statistics.median(misses) <= 0.2
