"""The store goes, comes back empty, or with old writes: never open, never closed, soon together again."""

import math
from itertools import pairwise

import pytest

from penstock.limiter import PoolSettings
from penstock.limiter.fleet import Standing, StoreError
from penstock.simulator.scenario import Event, Neighbour, Pool
from penstock.telemetry.interceptor import Answer, Granted
from tests.limiter.conftest import verdict

RATE = 500 / 60


def standings(crowd):
    return {share.standing for fleet in crowd.fleets for share in fleet.shares.values()}


def sends_between(tally, start, stop):
    return sum(start <= at < stop for at in tally.sends)


def test_without_the_store_nine_tenths_of_the_last_share_go_on(world):
    crowd = world([Pool()], agents=60)
    crowd.run(60.0)
    crowd.store.down = True
    before = crowd.tally.refused
    crowd.run(120.0)
    assert standings(crowd) == {Standing.LOST}
    sent = sends_between(crowd.tally, 70.0, 180.0)
    assert 0.8 * RATE * 110 <= sent <= RATE * 110 * 1.05
    assert crowd.tally.refused - before <= 60 * sent / 1000
    crowd.store.down = False
    crowd.run(6.0)
    assert standings(crowd) == {Standing.HELD}
    assert {event.reason for event in crowd.events if getattr(event, "what", "") == "mode"} == {
        "store_lost",
        "store_back",
    }


def test_a_store_that_was_never_there_leaves_each_to_itself(world):
    crowd = world([Pool()], agents=60)
    crowd.store.down = True
    crowd.run(40.0)  # everyone finds the quota by himself
    before = crowd.tally.refused
    tally = crowd.run(160.0)
    sent = sends_between(tally, 40.0, 200.0)
    assert tally.refused - before <= 65 * sent / 1000
    assert sent >= 0.95 * RATE * 160
    assert tally.failed == 0


def test_a_store_that_forgot_everything_learns_it_again(world, redis_server):
    crowd = world([Pool()], agents=60)
    crowd.run(60.0)
    before = crowd.tally.refused
    redis_server.client.flushall()
    redis_server.client.script_flush()
    crowd.run(60.0)
    sent = sends_between(crowd.tally, 60.0, 120.0)
    assert sent >= 0.95 * RATE * 60
    assert crowd.tally.refused - before <= 60 * sent / 1000
    assert crowd.look()["members"] == 20


def test_what_headers_said_of_a_forgotten_bucket_is_forgotten(world, redis_server):
    """Corrections add up while a neighbour takes half the quota: told to another bucket they are a debt."""
    neighbour = Event(10.0, {}, neighbour=Neighbour(share=0.5, on_seconds=1000.0, off_seconds=0.0))
    crowd = world([Pool(events=(neighbour,))], agents=60)
    crowd.run(200.0)
    before = crowd.tally.refused
    redis_server.client.flushall()
    crowd.run(30.0)
    sends = [at for at in crowd.tally.sends if at >= 199.0]
    assert max(later - at for at, later in pairwise(sends)) < 3.0
    assert len(sends) >= 0.85 * RATE / 2 * 31
    assert crowd.tally.refused - before <= 60 * len(sends) / 1000


def test_a_failover_that_lost_writes_does_little(world, redis_server):
    crowd = world([Pool()], agents=60)
    crowd.run(60.0)
    keys = redis_server.client.keys("*:state") + redis_server.client.keys("*:members")
    old = {key: redis_server.client.dump(key) for key in keys}
    crowd.run(10.0)
    before = crowd.tally.refused
    for key, value in old.items():
        redis_server.client.restore(key, 0, value, replace=True)
    crowd.run(50.0)
    sent = sends_between(crowd.tally, 70.0, 120.0)
    assert sent >= 0.95 * RATE * 50
    assert crowd.tally.refused - before <= 60 * sent / 1000


@pytest.mark.parametrize(
    ("bucket_seconds", "seconds", "delivered"),
    [(1.0, 3.0, False), (10.0, 3.0, True), (1.0, 10.0, True), (10.0, 10.0, True)],
)
def test_nobody_pays_for_what_was_sent_while_the_store_was_cut_off(world, bucket_seconds, seconds, delivered):
    """It was earned meanwhile. Nor do reports count that a network kept, and their members gave up."""
    crowd = world([Pool(bucket_seconds=bucket_seconds)], agents=60)
    crowd.run(60.0)
    crowd.store.down = True
    crowd.run(seconds)
    before = crowd.tally.refused
    if delivered:
        crowd.store.deliver()
    crowd.store.down = False
    crowd.run(20.0)
    sends = [at for at in crowd.tally.sends if at >= 59.0]
    assert max(later - at for at, later in pairwise(sends)) < 3.0
    assert len(sends) >= 0.9 * RATE * (seconds + 20.0)
    assert crowd.tally.refused - before <= 60 * RATE * 20.0 / 1000


def test_a_call_with_room_does_not_wait_for_what_a_failover_lost(world, redis_server):
    """The pacer holds a quarter of a second: two seconds of calls, counted at once, would be its debt."""
    crowd = world([Pool(requests_per_minute=0)], agents=0, processes=1)
    (limiter,) = crowd.limiters
    waits = []

    def call():
        asked, ticket = crowd.time.now, limiter.admit(crowd.describe())

        def sent():
            waits.append(crowd.time.now - asked)
            crowd.time.after(0.01, lambda: limiter.settle(ticket, crowd.given_up()))

        if ticket.admission is None:
            ticket.wake = sent
        else:
            sent()
        crowd.time.after(0.2, call)

    call()
    crowd.run(28.0)
    keys = redis_server.client.keys("*:state") + redis_server.client.keys("*:members")
    old = {key: redis_server.client.dump(key) for key in keys}
    crowd.run(2.0)
    for key, value in old.items():
        redis_server.client.restore(key, 0, value, replace=True)
    before = len(waits)
    crowd.run(12.0)
    assert len(waits) - before >= 59
    assert max(waits[before:]) < 0.05


@pytest.mark.parametrize("since_report", [0.001, 0.5])
def test_a_call_waits_for_a_silent_store_less_than_50_ms_whenever_it_comes(world, since_report):
    crowd = world([Pool()], agents=0, processes=1)
    (limiter,), (fleet,) = crowd.limiters, crowd.fleets
    limiter.settle(limiter.admit(crowd.describe()), crowd.given_up())
    crowd.run(10.0)
    fleet._round()
    fleet.dead = True
    crowd.run(since_report)
    ticket = limiter.admit(crowd.describe())
    assert ticket.admission is None
    crowd.run(0.046)
    assert isinstance(ticket.admission, Granted)


@pytest.mark.parametrize("seconds", [-300.0, 300.0])
def test_a_failover_to_a_server_with_another_clock_does_little(world, seconds):
    crowd = world([Pool()], agents=60)
    crowd.run(60.0)
    before = crowd.tally.refused
    crowd.store.ahead = seconds
    crowd.run(50.0)
    sent = sends_between(crowd.tally, 60.0, 110.0)
    assert sent >= 0.95 * RATE * 50
    assert crowd.tally.refused - before <= 60 * sent / 1000
    assert crowd.look()["members"] == 20
    assert standings(crowd) == {Standing.HELD}


def test_slots_of_the_dead_come_back_and_are_never_negative(world):
    crowd = world([Pool(requests_per_minute=0, concurrency=20)], agents=60)
    crowd.run(60.0)
    for _ in range(5):
        for fleet in crowd.fleets[:10]:
            fleet.dead = True
        crowd.run(6.0)
        told = crowd.look()
        assert told["members"] == 10
        assert 0 <= told["slots"] <= 20
        assert told["live"] >= 0
        for fleet in crowd.fleets[:10]:
            fleet.dead = False
            fleet._wake()
        crowd.run(3.0)
        assert crowd.look()["members"] == 20


@pytest.mark.parametrize("seconds", [0.0, 20.0])
def test_the_cap_holds_when_the_store_forgets_who_has_slots(world, redis_server, seconds):
    stated = {"primary": PoolSettings(max_concurrency=20, max_wait_seconds=math.inf)}
    crowd = world([Pool(name="primary", requests_per_minute=0)], agents=60, settings=stated)
    crowd.run(30.0)
    live = crowd.watch()
    crowd.run(10.0)
    assert max(live) <= 20
    crowd.store.down = bool(seconds)
    crowd.run(seconds)
    crowd.store.down = False
    redis_server.client.flushall()
    crowd.run(8.0)
    assert max(live) <= 20 + 4
    live.clear()
    crowd.run(20.0)
    assert sum(live) / len(live) >= 18
    assert max(live) <= 20


def test_a_store_that_is_away_for_an_hour_is_looked_for_as_calmly_as_one_that_is_away_for_a_minute(
    world, caplog
):
    crowd = world([Pool()], agents=0, processes=1)
    crowd.limiters[0].headroom("primary")
    crowd.store.down = True
    crowd.run(3600.0)
    assert 3600 / 2.2 - 1 <= crowd.store.asked <= 3600 / 0.3
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert standings(crowd) == {Standing.LOST}


@pytest.mark.parametrize("lost", ["state", "members", "seen"])
def test_a_store_that_evicts_one_of_its_keys_counts_no_less_than_nothing(world, redis_server, lost):
    stated = {"primary": PoolSettings(max_concurrency=20, max_wait_seconds=math.inf)}
    crowd = world([Pool(name="primary", requests_per_minute=0)], agents=60, settings=stated)
    crowd.run(20.0)
    (key,) = redis_server.client.keys(f"*:{lost}")
    redis_server.client.delete(key)
    live, counts = crowd.watch(), []
    for _ in range(40):
        crowd.run(0.25)
        told = crowd.look()
        counts.append(min(told["slots"], told["live"], told["queued"]))
    assert min(counts) >= 0
    assert max(live) <= 20 + 20
    live.clear()
    crowd.run(10.0)
    assert max(live) <= 20
    assert crowd.look()["members"] == 20


class Deaf:
    """A store that a member reaches, and whose answers do not reach the member."""

    def __init__(self, store):
        self._store = store

    def exchange(self, pool, report):
        self._store.exchange(pool, report)
        raise StoreError("no answer in time")


def test_slots_given_back_in_a_report_without_an_answer_are_not_used_too(world):
    stated = {"primary": PoolSettings(max_concurrency=10, max_wait_seconds=math.inf)}
    crowd = world([Pool(requests_per_minute=0)], agents=0, processes=2, settings=stated)
    (one, other), (fleet, _) = crowd.limiters, crowd.fleets
    held = [one.admit(crowd.describe()) for _ in range(10)]
    crowd.run(2.0)
    assert all(isinstance(ticket.admission, Granted) for ticket in held)
    for limiter in (one, other):
        for _ in range(10):
            limiter.admit(crowd.describe())
    crowd.run(2.0)
    assert crowd.live() == 10
    fleet._store = Deaf(crowd.store)
    for ticket in held[1:]:
        one.settle(ticket, crowd.given_up())
    crowd.run(0.5)
    assert standings(crowd) == {Standing.LOST, Standing.HELD}
    assert 10 <= crowd.live() <= 10 + 1


class Parted:
    """A store that a member does not reach."""

    def exchange(self, pool, report):
        raise StoreError("no way there")


@pytest.mark.parametrize("said", ["gate", "parked"])
def test_a_refusal_that_the_store_did_not_hear_of_is_told_when_it_is_back(world, said):
    stated = {"primary": PoolSettings(max_wait_seconds=math.inf)}
    crowd = world([Pool()], agents=0, processes=2, settings=stated)
    (one, other), (fleet, _) = crowd.limiters, crowd.fleets
    tickets = [limiter.admit(crowd.describe()) for limiter in (one, other)]
    crowd.run(2.0)
    store, fleet._store = fleet._store, Parted()
    told = verdict("rate_limit" if said == "gate" else "quota", retry_after=300.0)
    one.answer(tickets[0], Answer(sent_at=crowd.time.now, at=crowd.time.now, status=429, verdict=told))
    crowd.run(2.0)
    fleet._store = store
    crowd.run(6.0)
    seen = other.snapshot()["primary"]
    assert max(seen.gate_seconds, seen.parked_seconds) > 280
