"""Twenty processes, one quota, one real Redis, virtual time: the quota is used, and not overrun."""

import math

import pytest

from penstock.limiter import PoolSettings
from penstock.simulator.scenario import Pool

RATE = 500 / 60
LIVE = 45


def admitted(seconds, depth=10.0, rate=RATE):
    return rate * seconds + depth * rate


@pytest.mark.parametrize(
    ("name", "pool", "goodput", "refused"),
    [
        ("headers", Pool(), 0.98, 2),
        ("a one-second bucket", Pool(bucket_seconds=1.0), 0.96, 10),
        ("a bucket of a minute", Pool(bucket_seconds=60.0), 0.97, 2),
        ("no headers, no Retry-After", Pool(headers="none", retry_after="none"), 0.96, 25),
    ],
)
def test_twenty_processes_share_one_quota(world, name, pool, goodput, refused):
    tally = world([pool], agents=60).run(200.0)
    assert tally.answered + LIVE >= goodput * admitted(200.0, pool.bucket_seconds), name
    assert tally.refused <= refused * tally.attempts / 1000 + 2, name
    assert tally.failed == 0


def test_tokens_are_shared_too(world):
    pool = Pool(requests_per_minute=0, tokens_per_minute=300_000)
    tally = world([pool], agents=60).run(200.0)
    assert tally.tokens >= 0.93 * 5000 * 200
    assert tally.refused <= 2 * tally.attempts / 1000 + 2


def test_a_fixed_window_is_shared(world):
    tally = world([Pool(algorithm="fixed_window")], agents=60, processes=10).run(200.0)
    assert tally.answered >= 0.97 * 3 * 500
    assert tally.refused <= 20 * tally.attempts / 1000


def test_a_concurrency_limit_is_shared(world):
    pool = Pool(requests_per_minute=0, concurrency=10)
    alone = world([pool], agents=30, processes=1).run(120.0)
    tally = world([pool], agents=30, processes=10).run(120.0)
    assert tally.answered >= 0.85 * alone.answered
    assert tally.refused <= 40 * tally.attempts / 1000


def test_a_cap_holds_from_the_first_slot_though_threads_are_slow_to_start(world):
    stated = {"primary": PoolSettings(max_concurrency=20, max_wait_seconds=math.inf)}
    crowd = world([Pool(name="primary", requests_per_minute=0)], agents=80, settings=stated)
    for number, fleet in enumerate(crowd.fleets):
        fleet.starts_late = 0.03 * number
    live = crowd.watch()
    crowd.run(20.0)
    assert max(live) == 20
    assert sum(live[20:]) / len(live[20:]) >= 18


def test_a_thousand_that_wait_ask_no_more_than_two_thousand_times_a_second(world):
    crowd, told = world([Pool(concurrency=10)], agents=1, processes=1), []
    ask = crowd.store._ask
    crowd.store._ask = lambda pool, report: told.append(report) or ask(pool, report)
    crowd.run(5.0)
    waits = {**told[-1], "demand": [[2, "default", 2]], "queued": 2, "cap": 10}
    agains = [ask(crowd.home, {**waits, "id": f"{number:x}"})["again"] for number in range(1000)]
    assert min(agains) < 0.2
    assert agains[-1] >= 0.5


def test_one_mirror_that_takes_the_others_sends_for_a_window_moves_nobody(world):
    crowd, told = world([Pool()], agents=60), []
    ask = crowd.store._ask
    crowd.store._ask = lambda pool, report: told.append(report) or ask(pool, report)
    crowd.run(60.0)
    rate, _, level, *_ = told[-1]["facts"]["requests"]
    mistaken = {**told[-1], "facts": {"requests": [rate, 60 * rate, level, 60.0, 0.0, 0.0]}}
    before = crowd.look()["quota"]["requests"]
    for _ in range(3):
        ask(crowd.home, mistaken)
    after = crowd.look()["quota"]["requests"]
    assert after[1] == before[1]
    assert after[2] <= before[2] + 1.0


def test_one_process_with_nearly_all_the_load_gets_nearly_all_the_quota(world):
    crowd = world([Pool()], agents=20)
    for agent in range(20, 80):
        crowd.time.call_at(
            0.0, lambda agent=agent: crowd._task(20 * agent)
        )  # sixty more on the first process
    tally = crowd.run(120.0)
    assert tally.answered + 80 >= 0.97 * admitted(120.0)
    assert tally.refused <= 2 * tally.attempts / 1000 + 1


def test_processes_that_come_later_add_callers_and_no_quota(world):
    crowd = world([Pool()], agents=0)
    for agent in range(60):
        when = 0.0 if agent % 20 < 2 else 60.0  # two processes, then twenty
        crowd.time.call_at(when, lambda agent=agent: crowd._task(agent))
    tally = crowd.run(160.0)
    assert tally.refused <= 2 * tally.attempts / 1000 + 1
    late = [at for at in tally.sends if at >= 60.0]
    assert len(late) >= 0.98 * RATE * 100
    assert crowd.look()["members"] == 20


def test_wrong_clocks_change_nothing(world):
    tally = world([Pool()], agents=60, skew=300.0).run(120.0)
    assert tally.answered + LIVE >= 0.98 * admitted(120.0)
    assert tally.refused <= 2 * tally.attempts / 1000 + 1


def test_a_higher_stated_cap_holds_at_once_and_is_not_taken_for_one_to_be_tried_out(world):
    def stated(cap):
        return PoolSettings(max_concurrency=cap, max_wait_seconds=math.inf)

    crowd = world([Pool(requests_per_minute=0)], agents=40, processes=2, settings={"primary": stated(4)})
    crowd.run(3.0)
    live = crowd.watch()
    crowd.run(1.0)
    assert max(live) == 4
    for limiter in crowd.limiters:
        limiter.configure("primary", stated(12))
    crowd.run(3.0)
    assert max(live) == 12
