"""Who gets what across a fleet: priorities first, tenants alike, and no process starves another."""

import pytest

from penstock.simulator.scenario import Pool

RATE = 500 / 60
SECONDS = 150.0


def test_interactive_processes_go_before_batch(world):
    def facts(process):
        return {"priority": "interactive" if process < 5 else "batch"}

    crowd = world([Pool()], processes=20, agents=60, facts=facts)  # 15 agents ask 5/s, 45 ask 15/s
    crowd.run(SECONDS)
    alone = world([Pool()], processes=5, agents=15)
    alone.run(SECONDS)
    sends = crowd.sends()
    assert sum(sends[:5]) >= 0.82 * sum(alone.sends())  # nearly as if the others were not there
    assert sum(sends) >= 0.97 * RATE * SECONDS  # who get what is left


def test_tenants_share_alike_however_many_processes_they_have(world):
    def facts(process):
        return {"tenant": "small" if process < 2 else "large"}

    crowd = world([Pool()], processes=20, agents=120, facts=facts)
    for agent in range(24):  # as much as half the quota and more
        crowd.time.call_at(0.0, lambda agent=agent: crowd._task(20 * agent + agent % 2))
    crowd.run(SECONDS)
    sends = crowd.sends()
    assert sum(sends[:2]) / sum(sends) == pytest.approx(0.5, abs=0.06)


def test_a_burst_of_one_process_does_not_starve_the_others(world):
    crowd = world([Pool()], processes=10, agents=10)  # each a little: 3/s of 8.3/s
    crowd.run(60.0)
    before = crowd.sends()
    for agent in range(300):
        crowd.time.call_at(crowd.time.now, lambda agent=agent: crowd._task(10 * agent))
    crowd.run(60.0)
    during = [after - earlier for after, earlier in zip(crowd.sends(), before, strict=True)]
    assert sum(during) >= 0.97 * RATE * 60
    assert sum(during[1:]) >= 0.8 * sum(before[1:])
