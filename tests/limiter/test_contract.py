"""What the app may notice of the limiter, and what it may not."""

import math

import pytest

from penstock.classifiers import SideEffects
from penstock.errors import Backpressure, UsageError, WouldExceedDeadline
from penstock.limiter import Change, Fallback, Would, parse_settings
from penstock.providers import Quota, Usage, Window
from penstock.telemetry.interceptor import Answer, Granted, Next, Refused, Settlement


def served(limiter, ticket, at, **facts):
    limiter.answer(ticket, Answer(sent_at=at, at=at, status=200, **facts))
    limiter.settle(ticket, Settlement(at=at, end="eof", usage=Usage(input=10, output=10)))


def failed(limiter, ticket, at, verdict, status=429, **facts):
    return limiter.answer(ticket, Answer(sent_at=at, at=at, status=status, verdict=verdict, **facts))


def test_static_limits_with_headroom_hold_from_the_first_call(limiter, call, time):
    lim = limiter(p={"requests_per_minute": 60.0, "max_wait_seconds": math.inf})
    sent = 0
    for _ in range(120):
        ticket = lim.admit(call())
        if isinstance(ticket.admission, Granted):
            served(lim, ticket, time.now)
            sent += 1
    assert sent == 6
    queued = lim.depth("p")
    time.pass_(60.0)
    assert queued - lim.depth("p") + sent <= 60


def test_the_users_cap_is_never_exceeded(limiter, call, time):
    lim = limiter(p={"max_concurrency": 3})
    tickets = [lim.admit(call()) for _ in range(10)]
    time.pass_(2.0)
    assert sum(isinstance(t.admission, Granted) for t in tickets) == 3
    assert lim.snapshot()["p"].queued == 7


@pytest.mark.parametrize(
    ("facts", "seconds", "reason"),
    [
        ({"timeout_seconds": 0.5}, 0.5, "timeout"),
        ({"deadline": 1003.0}, 3.0, "deadline"),
        ({}, 20.0, "max_wait"),
    ],
)
def test_queueing_fits_the_shortest_of_deadline_timeout_and_longest_wait(
    limiter, call, time, facts, seconds, reason
):
    lim = limiter(p={"max_concurrency": 1, "max_wait_seconds": 20.0})
    lim.admit(call())
    ticket = lim.admit(call(**facts))
    time.pass_(seconds - 0.01)
    assert ticket.admission is None
    time.pass_(0.02)
    assert isinstance(ticket.admission, Refused)
    assert ticket.admission.reason == reason
    assert ticket.admission.queued_seconds == pytest.approx(seconds, abs=0.02)


def test_a_full_queue_refuses_at_once(limiter, call):
    lim = limiter(p={"max_concurrency": 1, "queue_limit": 2})
    kept = [lim.admit(call()) for _ in range(3)]
    late = lim.admit(call())
    assert isinstance(late.admission, Refused)
    assert late.admission.reason == "queue_full"
    assert [t.admission is None for t in kept] == [False, True, True]


def test_a_call_that_can_never_fit_the_stated_tokens_is_refused_at_once(limiter, call):
    lim = limiter(p={"tokens_per_minute": 1000.0})
    ticket = lim.admit(call(input_tokens=2000))
    assert isinstance(ticket.admission, Refused)
    assert ticket.admission.reason == "too_large"


def test_a_refusal_for_rate_is_absorbed_and_sent_again_at_its_old_place(limiter, call, time, say):
    lim = limiter(p={"max_concurrency": 1})
    first = lim.admit(call(task_started=1.0))
    second = lim.admit(call(task_started=2.0))
    assert failed(lim, first, time.now, say("rate_limit", retry_after=2.0)) is Next.RETRY
    assert first.admission is None
    assert second.admission is None
    time.pass_(1.9)
    assert first.admission is None
    time.pass_(0.2)
    assert isinstance(first.admission, Granted)
    assert second.admission is None


@pytest.mark.parametrize(
    ("error_class", "status"),
    [
        ("auth", 401), ("invalid_request", 400), ("context_length", 400), ("content_filter", 400),
        ("model", 200), ("quota", 429), ("unknown", 418),
    ],
)  # fmt: skip
def test_what_waiting_cannot_cure_passes_to_the_app(limiter, call, time, say, error_class, status):
    lim = limiter()
    ticket = lim.admit(call())
    assert failed(lim, ticket, time.now, say(error_class), status) is Next.PASS


def test_a_request_too_large_for_its_window_is_not_repeated(limiter, call, time, say):
    lim = limiter()
    verdict = say("rate_limit", reason="request_too_large_for_tpm", limit_dimension="tokens_per_minute")
    assert failed(lim, lim.admit(call()), time.now, verdict) is Next.PASS
    assert lim.snapshot()["p"].gate.value == 0


@pytest.mark.parametrize("error_class", ["timeout", "network", "server_error"])
def test_work_that_may_have_been_done_is_repeated_only_under_a_key(limiter, call, time, say, error_class):
    lim = limiter()
    assert failed(lim, lim.admit(call()), time.now, say(error_class), None) is Next.PASS
    keyed = lim.admit(call(idempotency_key="k"))
    assert failed(lim, keyed, time.now, say(error_class), None) is Next.RETRY
    time.pass_(5.0)
    harmless = lim.admit(call())
    safe = say(error_class, side_effects=SideEffects.NONE)
    assert failed(lim, harmless, time.now, safe, None) is Next.RETRY


def test_repeats_of_unsafe_calls_are_bounded_by_a_budget(limiter, call, time, say):
    lim = limiter(p={"max_wait_seconds": math.inf})
    ticket = lim.admit(call(idempotency_key="k"))
    repeats = 0
    while failed(lim, ticket, time.now, say("timeout"), None) is Next.RETRY:
        repeats += 1
        time.pass_(60.0)
    assert repeats == 10


def test_the_clients_wait_is_not_prolonged_by_absorbing(limiter, call, time, say):
    lim = limiter(p={"max_wait_seconds": 5.0})
    ticket = lim.admit(call())
    assert failed(lim, ticket, time.now, say("rate_limit", retry_after=30.0)) is Next.PASS


def test_settling_is_idempotent_and_frees_the_slot_once(limiter, call, time):
    lim = limiter(p={"max_concurrency": 1})
    ticket = lim.admit(call())
    waiting = lim.admit(call())
    for _ in range(3):
        lim.settle(ticket, Settlement(at=time.now, end="eof"))
    assert isinstance(waiting.admission, Granted)
    assert lim.snapshot()["p"].in_flight == 1


def test_observing_lets_every_call_pass_and_says_what_would_have_been(limiter, call, time, say):
    events = []
    lim = limiter(mode="observe", on_event=events.append, p={"max_concurrency": 1, "max_wait_seconds": 5.0})
    tickets = [lim.admit(call()) for _ in range(4)]
    assert all(isinstance(t.admission, Granted) for t in tickets)
    assert all(t.admission.queued_seconds == 0 and t.admission.route is None for t in tickets)
    assert sum(isinstance(e, Would) and e.action in {"waited", "refused"} for e in events) == 3
    assert failed(lim, tickets[0], time.now, say("rate_limit", retry_after=1.0)) is Next.PASS


def test_a_pool_whose_money_is_gone_is_left_for_its_fallback_until_it_resets(limiter, call, time, say):
    lim = limiter(p={"fallback": (Fallback(pool="q"),), "wait_up_to_seconds": 5.0}, q={"model": "small"})
    ticket = lim.admit(call())
    verdict = say("quota", reason="insufficient_quota", retry_after=3600.0)
    assert failed(lim, ticket, time.now, verdict) is Next.RETRY
    time.pass_(0.5)
    assert isinstance(ticket.admission, Granted)
    assert ticket.admission.route.pool == "q"
    assert ticket.admission.route.model == "small"
    assert ticket.admission.route.trust == "fallback"
    assert lim.snapshot()["p"].parked_seconds == pytest.approx(3600, abs=1)


def test_a_parked_pool_without_fallback_refuses_with_its_reset(limiter, call, time, say):
    lim = limiter()
    verdict = say("rate_limit", retry_after=7200.0, limit_dimension="requests_per_day")
    assert failed(lim, lim.admit(call()), time.now, verdict) is Next.PASS
    ticket = lim.admit(call())
    assert isinstance(ticket.admission, Refused)
    assert ticket.admission.reason == "exhausted"
    assert ticket.admission.eta_seconds == pytest.approx(7200, rel=0.01)


def test_what_was_learnt_and_parked_survives_a_restart(limiter, call, time, say):
    before = limiter()
    verdict = say("rate_limit", retry_after=7200.0, limit_dimension="tokens_per_day")
    failed(before, before.admit(call()), time.now, verdict)
    saved = before.remember()
    time.pass_(3600.0)
    after = limiter()
    after.recall(saved)
    ticket = after.admit(call())
    assert isinstance(ticket.admission, Refused)
    assert ticket.admission.eta_seconds == pytest.approx(3600, rel=0.01)


@pytest.mark.parametrize(
    "data",
    [{"p": 3}, {"p": {"at": "x", "rate_per_second": "y"}}, {"p": {"parked_until": 10**400}}, {"p": {}}, {}],
)
def test_odd_memory_is_ignored(limiter, call, data):
    lim = limiter()
    lim.recall(data)
    assert isinstance(lim.admit(call()).admission, Granted)


@pytest.mark.parametrize(
    ("scope", "target", "fits"),
    [
        (Fallback(pool="q"), {}, True),
        (Fallback(pool="q", regions=("eu",)), {"region": "eu"}, True),
        (Fallback(pool="q", regions=("eu",)), {"region": "us"}, False),
        (Fallback(pool="q", regions=("eu",)), {}, False),
        (Fallback(pool="q", min_context_tokens=100_000), {"context_tokens": 128_000}, True),
        (Fallback(pool="q", min_context_tokens=100_000), {}, False),
        (Fallback(pool="q", capabilities=("tools",)), {"capabilities": ("tools", "json")}, True),
        (Fallback(pool="q", capabilities=("tools",)), {}, False),
        (Fallback(pool="q"), {"context_tokens": 50}, False),
        (Fallback(pool="q"), {"capabilities": ("json",)}, False),
        (Fallback(pool="q"), {"capabilities": ("tools",)}, True),
        (Fallback(pool="q"), {"wire": "anthropic.messages"}, False),
    ],
)
def test_a_fallback_that_does_not_declare_what_is_needed_is_closed(limiter, call, time, scope, target, fits):
    lim = limiter(p={"fallback": (scope,), "wait_up_to_seconds": 0.0, "max_concurrency": 1}, q=target)
    lim.admit(call())
    ticket = lim.admit(call(input_tokens=100, wire="openai.chat", body=b'{"tools": [{}]}'))
    time.pass_(2.0)
    assert (ticket.admission is not None) is fits


def test_the_fallback_waits_its_turn_for_as_long_as_the_user_said(limiter, call, time):
    lim = limiter(p={"fallback": (Fallback(pool="q"),), "wait_up_to_seconds": 8.0, "max_concurrency": 1})
    lim.admit(call())
    ticket = lim.admit(call())
    time.pass_(6.0)
    assert ticket.admission is None
    time.pass_(3.0)
    assert ticket.admission is not None
    assert ticket.admission.route.pool == "q"


def test_a_conversation_stays_with_the_pool_that_served_it_first(limiter, call, time):
    lim = limiter(
        p={
            "fallback": (Fallback(pool="q"), Fallback(pool="r")),
            "wait_up_to_seconds": 0.0,
            "max_concurrency": 1,
        },
        q={"max_concurrency": 1},
    )
    lim.admit(call())
    blocker = lim.admit(call())
    time.pass_(1.0)
    assert blocker.admission.route.pool == "q"
    talk = lim.admit(call(conversation="c"))
    time.pass_(1.0)
    assert talk.admission.route.pool == "r"
    served(lim, talk, time.now)
    served(lim, blocker, time.now)
    again = lim.admit(call(conversation="c"))
    time.pass_(1.0)
    assert again.admission.route.pool == "r"


def test_each_move_of_a_cap_rate_or_gate_is_told_with_its_reason(limiter, call, time, say):
    events = []
    lim = limiter(on_event=events.append)
    tickets = [lim.admit(call()) for _ in range(2)]
    failed(lim, tickets[0], time.now, say("rate_limit", retry_after=9.0, limit_dimension="concurrency"))
    changes = [e for e in events if isinstance(e, Change)]
    assert {(c.pool, c.what, c.direction, c.reason) for c in changes} >= {
        ("p", "cap", "down", "concurrency"),
        ("p", "gate", "down", "concurrency"),
    }


def test_a_listener_that_raises_is_not_the_apps_problem(limiter, call, time, say, caplog):
    def broken(event):
        raise RuntimeError("listener")

    lim = limiter(on_event=broken)
    assert failed(lim, lim.admit(call()), time.now, say("rate_limit", retry_after=9.0)) is Next.RETRY
    assert "listener" in caplog.text


def test_code_is_told_when_it_would_start(limiter, time):
    lim = limiter(p={"max_concurrency": 1, "queue_limit": 1, "max_wait_seconds": 10.0})
    pool = lim.pool("p")
    with pool.permit():
        lim.admit(pool.permit()._call)
        with pytest.raises(Backpressure) as full, pool.permit():
            pass
    assert full.value.depth == 1
    assert full.value.eta_seconds >= 0


def test_code_whose_deadline_cannot_be_met_is_told_so_at_once(limiter, call, time, say):
    lim = limiter()
    failed(lim, lim.admit(call()), time.now, say("rate_limit", retry_after=50.0))
    with pytest.raises(WouldExceedDeadline) as late, lim.pool("p").permit(deadline_seconds=5.0):
        pass
    assert late.value.eta_seconds == pytest.approx(50.0, rel=0.2)


def test_an_error_inside_a_permit_is_raised_as_it_is_and_learnt_from(limiter, say):
    class RateLimitError(Exception):
        status_code = 429

    lim = limiter()
    with pytest.raises(RateLimitError), lim.pool("p").permit():
        raise RateLimitError("slow down")
    assert lim.snapshot()["p"].in_flight == 0
    assert lim.snapshot()["p"].refused_per_1000 == 1000


def test_headroom_says_how_many_more_calls_fit(limiter, call):
    lim = limiter(p={"max_concurrency": 5})
    assert lim.headroom("p") == 5
    lim.admit(call())
    assert lim.headroom("p") == 4


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"pools": {"a": {"rpm": 5}}}, "'rpm' of pool 'a'"),
        ({"queue": 5}, "'queue'"),
        ({"pools": {"a": {"requests_per_minute": -1}}}, "above 0, not -1"),
        ({"pools": {"a": {"requests_per_minute": "many"}}}, "a number, not 'many'"),
        ({"pools": {"a": {"max_concurrency": 2.5}}}, "whole number"),
        ({"pools": {"a": {"headroom_ratio": 1}}}, "below 1"),
        ({"pools": {"a": {"fallback": "b"}}}, "a list"),
        ({"pools": {"a": {"fallback": [{"pool": "b", "x": 1}]}}}, "'x'"),
        ({"pools": {"a": 5}}, "'a' must be a table"),
        ({"pools": 5}, "table of pools"),
    ],
)
def test_a_wrong_setting_is_named(data, says):
    with pytest.raises(UsageError, match=says):
        parse_settings(data)


def test_settings_of_a_pool_start_from_the_defaults():
    settings = parse_settings(
        {
            "max_wait_seconds": 9,
            "pools": {
                "openai:gpt-5": {
                    "requests_per_minute": 500,
                    "fallback": ["b", {"pool": "c", "regions": ["eu"]}],
                }
            },
        }
    )
    pool = settings.of("openai:gpt-5")
    assert (pool.requests_per_minute, pool.max_wait_seconds) == (500, 9)
    assert pool.fallback == (Fallback(pool="b"), Fallback(pool="c", regions=("eu",)))
    assert settings.of("other").max_wait_seconds == 9


def test_quota_headers_are_believed_over_slow_start(limiter, call, time):
    lim = limiter(p={"max_wait_seconds": math.inf})
    told = Quota(requests=Window(limit=600.0, remaining=599.0, reset_seconds=0.1))
    served(lim, lim.admit(call()), time.now, quota=told)
    snapshot = lim.snapshot()["p"]
    assert snapshot.rate_per_second == pytest.approx(10.0)
    assert snapshot.limits["requests"] == (600.0, 599.0)


@pytest.mark.parametrize(
    ("dimension", "slower"), [("tokens_per_minute", False), ("requests_per_minute", True)]
)
def test_missing_tokens_that_headers_count_do_not_slow_the_calls_per_second(
    limiter, call, time, say, dimension, slower
):
    events = []
    lim = limiter(on_event=events.append, p={"max_wait_seconds": math.inf})
    told = Quota(tokens=Window(limit=6000.0, remaining=3000.0))
    served(lim, lim.admit(call(input_tokens=10)), time.now, quota=told)
    ticket = lim.admit(call(input_tokens=10))
    refused = say("rate_limit", retry_after=0.5, limit_dimension=dimension)
    assert failed(lim, ticket, time.now, refused, quota=told) is Next.RETRY
    assert any(e.what == "rate" and e.direction == "down" for e in events) is slower
