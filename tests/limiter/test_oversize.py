"""Calls larger than their whole token window: no wait can cure them, and nobody waits behind them."""

import math

import pytest

from penstock.errors import Backpressure
from penstock.limiter import Fallback
from penstock.providers import Quota, Usage, Window
from penstock.simulator.scenario import Pool
from penstock.telemetry.interceptor import Answer, Granted, Next, Refused, Settlement

FULL = Quota(tokens=Window(limit=1000.0, remaining=1000.0))
HALF = Quota(tokens=Window(limit=1000.0, remaining=500.0))


@pytest.fixture
def patient(limiter, call, time):
    """Make a limiter whose pool `p` knows from headers that its window holds 1000 tokens."""
    lim = limiter(p={"max_wait_seconds": math.inf})
    small = lim.admit(call(input_tokens=10))
    lim.answer(small, Answer(sent_at=time.now, at=time.now, status=200, quota=FULL))
    lim.settle(small, Settlement(at=time.now, end="eof", usage=Usage(input=10, output=0)))
    return lim


@pytest.fixture
def sent(time):
    """Send a call and hear what the provider says of it."""

    def send(lim, ticket, verdict, quota=FULL):
        at = time.now
        time.pass_(0.1)
        step = lim.answer(
            ticket,
            Answer(
                sent_at=at, at=time.now, status=200 if verdict is None else 429, quota=quota, verdict=verdict
            ),
        )
        if step is Next.PASS:
            lim.settle(ticket, Settlement(at=time.now, end="eof", usage=Usage(input=10, output=0)))
        return step

    return send


@pytest.fixture
def too_large(say):
    return say(
        "rate_limit", reason="request_too_large_for_tpm", limit_dimension="tokens_per_minute", retryable=False
    )


def test_the_provider_says_so_once_and_what_is_as_large_is_then_refused_at_once(
    patient, call, time, sent, too_large
):
    first = patient.admit(call(input_tokens=5000))
    assert isinstance(first.admission, Granted)
    assert sent(patient, first, too_large) is Next.PASS
    second = patient.admit(call(input_tokens=5000))
    assert isinstance(second.admission, Refused)
    assert second.admission.reason == "too_large"
    fits = patient.admit(call(input_tokens=500))
    time.pass_(5.0)
    assert isinstance(fits.admission, Granted)


def test_a_refusal_for_rate_by_a_full_window_is_not_repeated(patient, call, sent, say):
    tokens = say("rate_limit", limit_dimension="input_tokens_per_minute")
    assert sent(patient, patient.admit(call(input_tokens=5000)), tokens) is Next.PASS
    assert patient.admit(call(input_tokens=6000)).admission.reason == "too_large"


@pytest.mark.parametrize(("quota", "dimension"), [(HALF, "tokens_per_minute"), (FULL, "requests_per_second")])
def test_a_refusal_that_has_another_cause_is_repeated(patient, call, sent, say, quota, dimension):
    refusal = say("rate_limit", limit_dimension=dimension)
    assert sent(patient, patient.admit(call(input_tokens=5000)), refusal, quota) is Next.RETRY


def test_a_call_that_only_seemed_too_large_goes(patient, call, sent, too_large):
    assert sent(patient, patient.admit(call(input_tokens=3000)), None) is Next.PASS
    again = patient.admit(call(input_tokens=3000))
    assert not isinstance(again.admission, Refused)


def test_a_larger_window_is_noticed(patient, call, time, sent, too_large):
    sent(patient, patient.admit(call(input_tokens=5000)), too_large)
    time.pass_(601.0)
    assert isinstance(patient.admit(call(input_tokens=5000)).admission, Granted)


def test_the_queue_behind_an_impossible_call_does_not_stand(patient, call, time, sent, too_large):
    trial = patient.admit(call(input_tokens=5000, task_started=1.0))
    stuck = patient.admit(call(input_tokens=5000, task_started=2.0))
    small = patient.admit(call(input_tokens=900, task_started=3.0))
    sent(patient, trial, too_large)
    time.pass_(1.0)
    assert isinstance(stuck.admission, Refused)
    assert stuck.admission.reason == "too_large"
    time.pass_(60.0)
    assert isinstance(small.admission, Granted)


def test_a_fallback_with_a_larger_window_keeps_its_chance(limiter, call, time, sent, too_large):
    lim = limiter(p={"fallback": (Fallback(pool="q"),), "wait_up_to_seconds": 0.0}, q={})
    sent(lim, lim.admit(call(input_tokens=5000)), too_large)
    assert not isinstance(lim.admit(call(input_tokens=5000)).admission, Refused)


def test_what_its_pool_never_holds_waits_with_the_first_fallback_that_does(limiter, call, time):
    lim = limiter(
        p={
            "tokens_per_minute": 1000.0,
            "wait_up_to_seconds": math.inf,
            "fallback": (Fallback(pool="small"), Fallback(pool="q")),
        },
        small={"tokens_per_minute": 2000.0},
        q={"max_concurrency": 1},
    )
    large = [lim.admit(call(input_tokens=5000)) for _ in range(2)]
    time.pass_(1.0)
    assert [ticket.admission is not None for ticket in large] == [True, False]  # it waits for q's one place
    ordinary = lim.admit(call(input_tokens=100))
    assert ordinary.admission.route is None  # and nobody at home waits behind it
    lim.settle(large[0], Settlement(at=time.now, end="eof", usage=Usage(input=5000, output=10)))
    time.pass_(1.0)
    for ticket in large:
        route = ticket.admission.route
        assert (route.pool, route.trust, route.tier, route.reason) == ("q", "fallback", 2, "too_large")


def test_where_the_fallback_turns_out_too_small_the_next_one_is_taken(limiter, call, time, sent, too_large):
    lim = limiter(
        p={"tokens_per_minute": 1000.0, "fallback": (Fallback(pool="small"), Fallback(pool="q"))},
        small={"max_concurrency": 1},
        q={},
    )
    first, waits = (lim.admit(call(input_tokens=5000)) for _ in range(2))
    assert (first.admission.route.pool, waits.admission) == ("small", None)
    assert sent(lim, first, too_large) is Next.RETRY
    time.pass_(1.0)
    assert [ticket.admission.route.pool for ticket in (first, waits)] == ["q", "q"]


def test_what_its_pool_refuses_for_its_size_goes_on_to_the_first_fallback_that_may_hold_it(
    limiter, call, time, sent, too_large
):
    lim = limiter(
        p={"wait_up_to_seconds": math.inf, "fallback": (Fallback(pool="small"), Fallback(pool="q"))},
        small={"tokens_per_minute": 2000.0},
        q={"max_concurrency": 1},
    )
    first, second = (lim.admit(call(input_tokens=5000)) for _ in range(2))
    assert sent(lim, first, too_large) is Next.RETRY
    assert (first.admission.route.pool, first.admission.route.reason) == ("q", "too_large")
    assert sent(lim, second, too_large) is Next.RETRY
    assert second.admission is None  # it waits for q's one place
    assert sent(lim, first, None) is Next.PASS
    assert second.admission.route.pool == "q"
    assert sent(lim, second, too_large) is Next.PASS  # q's own words, as there is no other


def test_a_call_that_no_fallback_holds_keeps_its_providers_own_refusal(limiter, call, sent, too_large):
    lim = limiter(p={"fallback": (Fallback(pool="q"),)}, q={"tokens_per_minute": 2000.0})
    assert sent(lim, lim.admit(call(input_tokens=5000)), too_large) is Next.PASS
    lim = limiter(p={"fallback": (Fallback(pool="q"),)}, q={})
    assert sent(lim, lim.admit(call(input_tokens=5000, primary_only=True)), too_large) is Next.PASS


def test_what_no_pool_holds_is_refused_at_once(limiter, call):
    lim = limiter(
        p={"tokens_per_minute": 1000.0, "fallback": (Fallback(pool="q"),)}, q={"tokens_per_minute": 2000.0}
    )
    assert lim.admit(call(input_tokens=5000)).admission.reason == "too_large"
    assert lim.admit(call(input_tokens=1500, primary_only=True)).admission.reason == "too_large"
    assert lim.admit(call(input_tokens=1500)).admission.route.pool == "q"


def test_an_excess_never_moves_to_a_pool_that_cannot_hold_it(limiter, call, time):
    lim = limiter(
        p={"max_concurrency": 1, "wait_up_to_seconds": 0.0, "fallback": (Fallback(pool="q"),)},
        q={"tokens_per_minute": 1000.0},
    )
    lim.admit(call(input_tokens=5000))
    waits = lim.admit(call(input_tokens=5000))
    moves = lim.admit(call(input_tokens=50))
    time.pass_(5.0)
    assert waits.admission is None
    assert moves.admission.route.pool == "q"


def test_code_is_told_that_the_call_is_too_large(patient, call, sent, too_large):
    sent(patient, patient.admit(call(input_tokens=5000)), too_large)
    with (
        pytest.raises(Backpressure, match="larger than its token window"),
        patient.pool("p").permit(tokens=5000),
    ):
        pass


def test_agents_whose_every_call_is_too_large_fail_instead_of_waiting_for_ever(fleet):
    crowd = fleet([Pool(tokens_per_minute=100.0)], agents=5)
    tally = crowd.run(60.0)
    assert tally.failed > 100
    assert tally.attempts < tally.failed / 2
