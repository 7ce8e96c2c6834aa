"""Quotas that a limiter's own idea of them once made worse: storms, collapses, caps that stayed down."""

import pytest

from penstock.limiter import Fallback, PoolSettings
from penstock.simulator.scenario import ErrorRates, Event, Neighbour, Pool
from penstock.telemetry.interceptor import Answer, Granted, Next

RATE = 500 / 60
BURST = 10 * RATE
LIVE = 45


@pytest.mark.parametrize("retry_after", ["seconds", "none"])
def test_refusals_that_are_charged_do_not_feed_on_themselves(fleet, retry_after):
    pool = Pool(headers="none", charge_rejected=True, retry_after=retry_after)
    tally = fleet([pool]).run(240.0)
    assert tally.answered + LIVE >= 0.95 * (RATE * 240 + BURST)
    assert tally.refused <= 25 * tally.attempts / 1000


@pytest.mark.parametrize(("headers", "share"), [("openai", 0.7), ("none", 0.75)])
def test_a_neighbour_who_takes_what_nobody_claims_does_not_get_all(fleet, headers, share):
    events = (Event(0.0, {}, neighbour=Neighbour(0.5, 20.0, 20.0, competes=True)),)
    tally = fleet([Pool(headers=headers, events=events)]).run(400.0)
    assert tally.answered + LIVE >= share * 0.75 * RATE * 400
    assert tally.refused <= 40 * tally.attempts / 1000


def test_a_window_shorter_than_its_headers_say_is_used_up_each_time(fleet):
    tally = fleet([Pool(algorithm="fixed_window", window_seconds=10.0)]).run(240.0)
    assert tally.answered + LIVE >= 0.93 * RATE * 240
    assert tally.refused <= 4 * tally.attempts / 1000 + 2


def test_an_empty_window_without_a_hint_is_not_taken_for_a_low_rate(fleet):
    pool = Pool(
        algorithm="fixed_window", requests_per_minute=0.0, tokens_per_minute=600_000.0,
        headers="none", retry_after="none",
    )  # fmt: skip
    tally = fleet([pool]).run(480.0)
    assert tally.tokens >= 0.8 * 600_000 * 8
    assert tally.refused <= 70 * tally.attempts / 1000


def test_a_pool_is_itself_again_soon_after_an_outage(fleet):
    pool = Pool(events=(Event(100.0, {}, outage_seconds=60.0, outage_status=529),))
    crowd = fleet([pool])
    crowd.run(168.0)
    before = crowd.tally.answered
    tally = crowd.run(60.0)
    assert tally.answered - before >= 0.97 * RATE * 60


def test_overloads_that_no_cap_would_cure_do_not_shrink_the_pool(fleet):
    tally = fleet([Pool(error_rates=ErrorRates(overloaded=0.12))]).run(240.0)
    assert tally.answered + LIVE >= 0.95 * (RATE * 240 + BURST)


def test_a_concurrency_limit_that_moves_is_followed(fleet):
    events = (Event(60.0, {"concurrency": 5.0}), Event(120.0, {"concurrency": 30.0}))
    pool = Pool(
        requests_per_minute=0.0, concurrency=20.0, headers="none", retry_after="none", events=events
    )  # fmt: skip
    crowd = fleet([pool])
    crowd.run(110.0)
    assert crowd.limiters[0].snapshot()["primary"].cap <= 6
    crowd.run(130.0)
    assert 28 <= crowd.limiters[0].snapshot()["primary"].cap <= 34
    assert crowd.tally.failed == 0


def test_a_stated_quota_needs_no_slow_start(limiter, call, time):
    lim = limiter(p={"requests_per_minute": 6000.0, "headroom_ratio": 0.1})
    tickets = [lim.admit(call()) for _ in range(200)]
    time.pass_(1.0)
    assert sum(isinstance(ticket.admission, Granted) for ticket in tickets) >= 120


def test_a_stated_quota_may_burst_as_its_headers_show(fleet):
    stated = {"primary": PoolSettings(requests_per_minute=500.0, headroom_ratio=0.0, max_wait_seconds=1e9)}
    tally = fleet([Pool(bucket_seconds=30.0)], settings=stated).run(60.0)
    assert tally.attempts >= 0.95 * (RATE * 60 + 30 * RATE)
    assert tally.refused == 0


def test_a_call_too_large_for_a_fallback_waits_at_home_and_its_like_is_not_sent_there(
    limiter, call, time, say
):
    lim = limiter(
        home={"max_concurrency": 1, "wait_up_to_seconds": 0.0, "fallback": (Fallback(pool="small"),)},
        small={"max_wait_seconds": 60.0},
    )
    lim.admit(call(pool="home"))
    second = lim.admit(call(pool="home", input_tokens=9000))
    time.pass_(1.0)
    assert second.admission is not None
    assert second.admission.route.pool == "small"
    too_large = say("rate_limit", reason="request_too_large", limit_dimension="tokens_per_minute")
    heard = lim.answer(second, Answer(sent_at=time.now, at=time.now, status=413, verdict=too_large))
    third = lim.admit(call(pool="home", input_tokens=9000))
    time.pass_(5.0)
    assert heard is Next.RETRY
    assert (second.admission, third.admission) == (None, None)
