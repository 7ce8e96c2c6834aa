"""What a move would lose in the provider's prompt cache, and that the router counts it."""

import pytest

from penstock.limiter import Limiter, parse_settings
from penstock.providers import Usage
from penstock.telemetry.interceptor import Settlement
from penstock.trust import Lineage, PromptCache, TrustRoom


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class NoTimers:
    def call_at(self, when, run):
        """Time stands still here."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_moving_a_warm_conversation_costs_what_must_be_read_anew(clock):
    warm = PromptCache(clock=clock)
    warm.observe("big", "c1", Usage(input=9000, cache_read=6000, cache_write=2000))
    warm.observe("small", "c1", Usage(input=900, cache_read=500))
    warm.observe("big", "c2", Usage(input=9000))
    warm.observe("big", None, Usage(cache_read=5))
    assert warm.penalty_seconds("big", "small", "c1", tokens_per_second=500) == 15.0
    assert warm.penalty_seconds("small", "big", "c1", tokens_per_second=500) == 0.0
    assert warm.penalty_seconds("big", "small", "c2", tokens_per_second=500) == 0.0
    assert warm.penalty_seconds("big", "small", "c1", tokens_per_second=0) == 0.0
    clock.now += 301
    assert warm.penalty_seconds("big", "small", "c1", tokens_per_second=500) == 0.0


def test_it_is_measured_from_answers_usage(inner, call_of):
    warm = PromptCache()
    transport = Lineage(inner, prompt_cache=warm)
    ticket = transport.admit(call_of(conversation="c1"))
    ticket.wait()
    transport.settle(ticket, Settlement(at=0, end="eof", usage=Usage(input=2000, cache_read=1024)))
    assert warm.warm_tokens("openai:gpt-5", "c1") == 1024
    assert warm.warm_tokens("openai:gpt-5", "c9") == 0


POOLS = {
    "pools": {
        "openai:gpt-5": {"requests_per_minute": 5, "wait_up_to_seconds": 8, "fallback": ["openai:mini"]},
        "openai:mini": {"tokens_per_minute": 60_000},
    }
}


def moved(clock, call_of, *, warm: bool) -> int:
    """Send two calls at once, where the quota allows one in twelve seconds; how many moved?"""
    limiter = Limiter(parse_settings(POOLS), clock=clock, scheduler=NoTimers(), seed=1)
    room = TrustRoom({}, limiter)
    try:
        limiter.move_cost = room.move_cost
        if warm:
            room.prompt_cache.observe("openai:gpt-5", "c1", Usage(input=9000, cache_read=8000))
        tickets = [limiter.admit(call_of(conversation="c1")) for _ in range(2)]
        granted = [t.admission for t in tickets if t.admission is not None]
        return sum(admission.route is not None for admission in granted)
    finally:
        room.close()
        limiter.close()


def test_a_call_whose_prompt_is_cached_here_waits_longer_before_it_moves(clock, call_of):
    assert moved(clock, call_of, warm=False) == 1
    assert moved(clock, call_of, warm=True) == 0
