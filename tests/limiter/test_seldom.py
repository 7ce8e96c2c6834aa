"""What seldom happens to a limiter, and must be right when it does."""

import asyncio
import contextlib
import math

import pytest

from penstock.errors import Backpressure, UsageError
from penstock.limiter import Fallback, Limiter, Would, parse_settings
from penstock.limiter._gate import Gate, GateState
from penstock.limiter._router import Router
from penstock.providers import Quota, Usage, Window
from penstock.telemetry.interceptor import Answer, Granted, Next, Refused, Settlement


def answered(limiter, ticket, now, usage=None, **facts):
    limiter.answer(ticket, Answer(sent_at=now, at=now, status=200, **facts))
    limiter.settle(ticket, Settlement(at=now, end="eof", usage=usage))


def refused(limiter, ticket, now, verdict, **facts):
    return limiter.answer(ticket, Answer(sent_at=now, at=now, status=429, verdict=verdict, **facts))


def window(remaining, limit=1000.0):
    return Window(limit=limit, remaining=remaining, reset_seconds=60.0 * (limit - remaining) / limit)


def test_input_and_output_tokens_are_two_windows_of_which_the_fuller_one_holds(limiter, call, time):
    lim = limiter(p={"max_wait_seconds": math.inf})
    told = Quota(
        requests=window(60.0, 60.0),
        tokens=window(20.0),
        input_tokens=window(900.0),
        output_tokens=window(20.0),
    )
    first = lim.admit(call(input_tokens=50, max_output_tokens=50))
    answered(lim, first, time.now, Usage(input=50, output=50), quota=told)
    limits = lim.snapshot()["p"].limits
    assert set(limits) >= {"input_tokens", "output_tokens"}
    assert "tokens" not in limits
    small = lim.admit(call(input_tokens=50, max_output_tokens=10))
    answered(lim, small, time.now, Usage(input=50, output=10), quota=told)
    large = lim.admit(call(input_tokens=50, max_output_tokens=600))
    assert large.admission is None
    time.pass_(60.0)
    assert isinstance(large.admission, Granted)


def test_a_refusal_that_names_input_tokens_empties_that_window_alone(limiter, call, time, say):
    lim = limiter(p={"max_wait_seconds": math.inf})
    told = Quota(requests=window(60.0, 60.0), input_tokens=window(900.0), output_tokens=window(900.0))
    answered(lim, lim.admit(call(input_tokens=10)), time.now, Usage(input=10, output=10), quota=told)
    verdict = say("rate_limit", limit_dimension="input_tokens_per_minute")
    ticket = lim.admit(call(input_tokens=400, max_output_tokens=10))
    assert refused(lim, ticket, time.now, verdict) is Next.RETRY
    assert ticket.admission is None
    left = {name: remaining for name, (_, remaining) in lim.snapshot()["p"].limits.items()}
    assert left["input_tokens"] < 400
    assert left["output_tokens"] > 400
    time.pass_(60.0)
    assert isinstance(ticket.admission, Granted)


def test_what_a_permit_reports_is_learnt(limiter):
    lim = limiter()
    with lim.pool("p").permit(tokens=100) as permit:
        permit.report(usage=Usage(input=900, output=50), quota=Quota(tokens=window(40.0)))
    assert lim.snapshot()["p"].limits["tokens"][0] == 1000.0


def test_knobs_can_be_set_on_a_pool_at_work(limiter, call):
    lim = limiter(p={"max_concurrency": 3})
    lim.admit(call())
    pool = lim.pool("p", max_concurrency=1)
    assert pool.headroom() == 0
    assert lim.admit(call()).admission is None
    with pytest.raises(UsageError, match="'rpm'"):
        lim.pool("p", rpm=3)


def test_a_closed_limiter_lets_nobody_wait(limiter, call):
    lim = limiter(p={"max_concurrency": 1})
    lim.admit(call())
    ticket = lim.admit(call())
    lim.close()
    assert isinstance(ticket.admission, Refused)
    assert ticket.admission.reason == "closed"


def test_a_child_owns_none_of_its_parents_calls_or_waiters(limiter, call, time):
    lim = limiter(p={"max_concurrency": 1})
    lim.admit(call())
    waits = lim.admit(call())
    lim.after_fork()
    assert isinstance(lim.admit(call()).admission, Granted)
    time.pass_(1.0)
    assert waits.admission is None
    assert lim.snapshot()["p"].in_flight == 1


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"timeout_seconds": 2.0}, "timeout"), ({"deadline": 1002.0}, "deadline"), ({}, "max_wait")],
)
def test_a_refusal_names_the_bound_that_ended_the_wait(limiter, call, time, facts, reason):
    lim = limiter(p={"max_concurrency": 1, "max_wait_seconds": 2.0 if not facts else 60.0})
    lim.admit(call())
    ticket = lim.admit(call(**facts))
    time.pass_(3.0)
    assert isinstance(ticket.admission, Refused)
    assert ticket.admission.reason == reason


def test_observing_says_who_would_have_moved_and_who_refused(limiter, call):
    events = []
    lim = limiter(
        mode="observe",
        on_event=events.append,
        p={
            "requests_per_minute": 1.0,
            "max_wait_seconds": math.inf,
            "wait_up_to_seconds": 1.0,
            "fallback": (Fallback(pool="q"),),
        },
        r={"requests_per_minute": 1.0, "max_wait_seconds": 1.0},
    )
    for pool in "pr":
        for _ in range(3):
            lim.admit(call(pool=pool))
    told = [(event.pool, event.action) for event in events if isinstance(event, Would)]
    assert ("p", "moved") in told
    assert ("r", "refused") in told


def test_a_call_stays_where_moving_would_lose_more_than_waiting(limiter, call, time):
    def limited(cost):
        lim = limiter(
            p={
                "tokens_per_minute": 6000.0,
                "max_concurrency": 1,
                "wait_up_to_seconds": 4.0,
                "fallback": (Fallback(pool="q"),),
            },
            q={"tokens_per_minute": 6000.0},
        )
        lim.move_cost = lambda call, pool, per_second: cost
        lim.admit(call())
        return lim.admit(call())

    cheap, dear = limited(0.0), limited(100.0)
    time.pass_(6.0)
    assert isinstance(cheap.admission, Granted)
    assert dear.admission is None
    time.pass_(4.0)
    assert isinstance(dear.admission, Granted)


def test_who_wants_the_primary_alone_never_moves(limiter, call, time):
    lim = limiter(
        p={
            "max_concurrency": 1,
            "wait_up_to_seconds": 0.0,
            "fallback": (Fallback(pool="q"), Fallback(pool="p")),
        }
    )
    lim.admit(call())
    ticket = lim.admit(call(primary_only=True))
    time.pass_(5.0)
    assert ticket.admission is None


@pytest.mark.parametrize(
    ("body", "can", "moves"),
    [
        (b'{"response_format": {"type": "json_object"}}', ("json",), True),
        (b'{"response_format": {"type": "json_object"}}', ("tools",), False),
        (b'{"messages": [{"type": "image_url", "image_url": {}}]}', ("tools",), False),
        (b'{"messages": [{"type": "image"}]}', ("images",), True),
        (b"[1]", ("tools",), True),
        (b"no json", ("tools",), True),
    ],
)
def test_what_a_body_asks_for_must_be_among_a_fallbacks_capabilities(limiter, call, time, body, can, moves):
    lim = limiter(
        p={"max_concurrency": 1, "wait_up_to_seconds": 0.0, "fallback": (Fallback(pool="q"),)},
        q={"capabilities": can},
    )
    lim.admit(call())
    ticket = lim.admit(call(body=body))
    time.pass_(2.0)
    assert (ticket.admission is not None) is moves


def test_calls_come_home_when_the_primary_has_been_calm(limiter, call, time):
    lim = limiter(p={"max_concurrency": 1, "wait_up_to_seconds": 0.0, "fallback": (Fallback(pool="q"),)})
    home = lim.admit(call())
    away = lim.admit(call())
    time.pass_(1.0)
    assert away.admission.route.pool == "q"
    answered(lim, home, time.now)
    answered(lim, away, time.now)
    for _ in range(15):
        time.pass_(1.0)
        ticket = lim.admit(call())
        assert ticket.admission.route is None
        answered(lim, ticket, time.now)


def test_a_pool_of_the_file_takes_every_option():
    table = {
        "requests_per_minute": 60, "tokens_per_minute": 6000, "max_concurrency": 4, "headroom_ratio": 0.2,
        "wait_up_to_seconds": 2, "max_wait_seconds": float("inf"), "queue_limit": 7, "provider": "azure",
        "model": "m", "base_url": "https://x", "api_key_env": "KEY", "wire": "openai", "region": "eu",
        "context_tokens": 1000, "capabilities": ["tools"],
        "fallback": [{"pool": "b", "min_context_tokens": 5, "capabilities": ["json"]}, Fallback(pool="c")],
    }  # fmt: skip
    pool = parse_settings({"pools": {"a": table}}).of("a")
    assert (pool.region, pool.capabilities, pool.queue_limit) == ("eu", ("tools",), 7)
    assert pool.fallback == (
        Fallback(pool="b", min_context_tokens=5, capabilities=("json",)), Fallback(pool="c")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("knob", "value", "says"),
    [
        ("max_wait_seconds", -1, "0 or more seconds"),
        ("requests_per_minute", float("inf"), "finite"),
        ("queue_limit", float("inf"), "whole number"),
        ("region", "", "a text"),
        ("capabilities", "tools", "a list"),
        ("fallback", [5], "a pool's name or a table"),
        ("max_concurrency", True, "a number"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(knob, value, says):
    with pytest.raises(UsageError, match=says):
        parse_settings({"pools": {"a": {knob: value}}})


def test_an_option_of_nothing_is_the_default():
    assert parse_settings({"pools": {"a": {"max_concurrency": None}}}).of("a").max_concurrency is None


def test_a_later_end_of_a_wait_wins_and_an_earlier_one_takes_the_probe_back():
    gate, probe = Gate(), object()
    assert gate.close(10.0, 0.0)
    assert not gate.close(5.0, 0.0)
    assert gate.when(3.0) == 10.0
    gate.sent(probe)
    gate.lost(probe, 10.5)
    assert (gate.state, gate.when(10.5)) == (GateState.CLOSED, 10.5)
    gate.sent(probe)
    assert not gate.close(-1.0, 10.5)
    assert gate.state is GateState.CLOSED
    gate.sent(probe)
    gate.forget()
    assert gate.state is GateState.CLOSED


def test_back_off_doubles_with_each_failed_probe_and_old_calls_say_nothing_new():
    gate = Gate()
    assert gate.back_off(0.0, 0.0, 0.5, longest=4.0)
    assert not gate.back_off(0.5, -1.0, 0.5, longest=4.0)
    lengths = []
    now = 10.0
    for _ in range(5):
        gate.sent(object())
        gate.back_off(now, now, 0.5, longest=4.0)
        lengths.append(gate.until - now)
        now = gate.until
    assert lengths == sorted(lengths)
    assert lengths[-1] == 4.0
    assert gate.succeeded(object()) is False


def test_code_without_a_limit_to_wait_for_is_refused_at_once_when_the_queue_is_full(limiter):
    lim = limiter(p={"max_concurrency": 1, "queue_limit": 1})
    pool = lim.pool("p")
    with pool.permit():
        waiting = lim.admit(pool.permit()._call)
        with pytest.raises(Backpressure):
            pool.permit().__enter__()
        lim.abandon(waiting)


@pytest.mark.parametrize("others", [{}, {"queue_limit": 7}])
def test_saying_a_stated_quota_again_gives_no_new_one(limiter, time, others):
    lim = limiter()
    for number in range(40):
        knobs = {"requests_per_minute": 60, "max_wait_seconds": 0, **(others if number % 2 else {})}
        with contextlib.suppress(Backpressure):
            lim.pool("tool", **knobs).permit().__enter__()
        time.pass_(0.1)
    assert lim.snapshot()["tool"].in_flight <= 6 + 4  # a burst of a tenth, and what four seconds earn


def test_the_budget_for_repeats_is_not_spent_on_a_repeat_that_is_not_made(limiter, call, time, say):
    lim = limiter(p={"max_wait_seconds": 0.1})
    ticket = lim.admit(call(idempotency_key="k"))
    assert refused(lim, ticket, time.now, say("timeout")) is Next.PASS
    for _ in range(10):
        assert lim._retries.budget.spend()


def test_a_call_that_was_refused_is_promoted_as_it_would_have_been(limiter, call, time, say):
    lim = limiter(p={"max_concurrency": 1, "max_wait_seconds": math.inf})
    old = lim.admit(call(priority="batch"))
    time.pass_(100.0)
    younger = lim.admit(call(priority="normal"))
    assert refused(lim, old, time.now, say("rate_limit", retry_after=0.5)) is Next.RETRY
    while old.admission is None and younger.admission is None:
        time.pass_(0.1)
    assert old.admission is not None


def test_a_parking_is_not_cut_short_by_who_names_no_end(limiter, call, time, say):
    lim = limiter(p={"fallback": (Fallback(pool="q"),)})
    first, second = lim.admit(call()), lim.admit(call())
    refused(lim, first, time.now, say("quota", retry_after=3600.0))
    refused(lim, second, time.now, say("quota"))
    assert lim.snapshot()["p"].parked_seconds > 3500


def test_a_fallback_without_money_is_not_asked_again_and_again(limiter, call, time, say):
    lim = limiter(p={"max_concurrency": 1, "wait_up_to_seconds": 0.0, "fallback": (Fallback(pool="q"),)})
    lim.admit(call())
    ticket = lim.admit(call())
    asked = 0
    for _ in range(300):
        time.pass_(0.1)
        if ticket.admission is not None:
            assert ticket.admission.route.pool == "q"
            asked += 1
            assert refused(lim, ticket, time.now, say("quota", reason="insufficient_quota")) is Next.RETRY
    assert asked == 1


def test_a_fallback_whose_key_is_not_there_is_not_given_the_primarys(
    limiter, call, time, monkeypatch, caplog
):
    lim = limiter(
        p={"max_concurrency": 1, "wait_up_to_seconds": 0.0, "fallback": (Fallback(pool="q"),)},
        q={"base_url": "https://elsewhere.test/v1", "api_key_env": "ELSEWHERE_KEY"},
    )
    monkeypatch.delenv("ELSEWHERE_KEY", raising=False)
    lim.admit(call())
    ticket = lim.admit(call())
    time.pass_(2.0)
    assert ticket.admission is None
    assert caplog.text.count("ELSEWHERE_KEY") == 1
    monkeypatch.setenv("ELSEWHERE_KEY", "elsewhere's")
    time.pass_(2.0)
    assert ticket.admission.route.api_key == "elsewhere's"


class Counted(bytes):
    """A request body that counts how often it is read."""

    read = 0

    def decode(self, *how):
        Counted.read += 1
        return super().decode(*how)


def test_what_a_waiting_call_asks_for_is_read_at_most_once(limiter, call, time):
    lim = limiter(
        p={"max_concurrency": 1, "wait_up_to_seconds": 0.0, "fallback": (Fallback(pool="q"),)},
        q={"capabilities": ("tools",)},
    )
    lim.admit(call())
    lim.admit(call(body=Counted(b'{"response_format": {"type": "json_object"}}')))
    time.pass_(5.0)
    assert Counted.read <= 1


def test_a_body_nested_beyond_measure_stops_no_queue(limiter, call, time):
    lim = limiter(
        p={"max_concurrency": 1, "wait_up_to_seconds": 0.0, "fallback": (Fallback(pool="q"),)},
        q={"capabilities": ("tools",)},
    )
    lim.admit(call())
    deep = lim.admit(call(body=b'{"tools":' + 100_000 * b"[" + 100_000 * b"]" + b"}"))
    time.pass_(5.0)
    assert deep.admission is not None


def test_who_gave_up_inside_a_permit_says_nothing_of_the_provider(limiter, call, time, say):
    lim = limiter()
    first = lim.admit(call())
    refused(lim, first, time.now, say("rate_limit", retry_after=5.0))
    lim.abandon(first)
    time.pass_(5.0)
    with pytest.raises(asyncio.CancelledError), lim.pool("p").permit():
        raise asyncio.CancelledError
    assert lim.snapshot()["p"].gate is GateState.CLOSED
    assert lim.snapshot()["p"].in_flight == 0


def test_a_judge_that_raises_costs_no_permit_and_not_the_apps_error(time, caplog):
    def judge(error):
        raise RuntimeError("of ours")

    lim = Limiter(clock=time, scheduler=time, judge=judge)
    with pytest.raises(KeyError), lim.pool("p").permit():
        raise KeyError
    assert lim.snapshot()["p"].in_flight == 0
    assert "judge" in caplog.text


@pytest.mark.parametrize(
    "knob", ["headroom_ratio", "queue_limit", "max_wait_seconds", "fallback", "capabilities"]
)
def test_an_option_of_nothing_is_the_default_also_where_nothing_is_no_value(knob):
    assert getattr(parse_settings({"pools": {"a": {knob: None}}}).of("a"), knob) is not None


@pytest.mark.parametrize("facts", [{"tokens": -1}, {"max_output_tokens": -5}, {"priority": "urgent"}])
def test_a_permit_that_makes_no_sense_is_named(limiter, facts):
    with pytest.raises(UsageError, match=str(next(iter(facts.values())))):
        limiter().pool("p").permit(**facts)


def test_tokens_that_nobody_counted_are_not_given_back(limiter, call, time):
    lim = limiter(p={"tokens_per_minute": 1000, "headroom_ratio": 0.5, "max_wait_seconds": 0.0})
    answered(lim, lim.admit(call(max_output_tokens=400)), time.now, Usage(input=0))
    assert isinstance(lim.admit(call(max_output_tokens=400)).admission, Refused)


def test_of_too_many_conversations_the_one_that_was_silent_longest_is_forgotten():
    router = Router(lambda name: pytest.fail(name))
    for number in range(10_000):
        router.remember(f"c{number}", "q")
    router.remember("c1", "q")
    assert router.stuck_to("c0") == "q"
    router.remember("new", "q")
    router.remember("newer", "q")
    assert [router.stuck_to(name) for name in ("c0", "c1", "c2", "new")] == [None, "q", None, "q"]
