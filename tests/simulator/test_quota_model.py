"""The quota model refuses what it should, and no more."""

import dataclasses
import math
import random
from itertools import pairwise

import pytest

from penstock.providers import Usage
from penstock.simulator import Accepted, Dimension, Event, Fault, Pool, Quota, Refusal, Refused, Request
from penstock.simulator.scenario import Distribution, ErrorRates, Neighbour


def pool(**keys):
    return Pool(**keys)


ANY = Request()


def greedy(quota, seconds, request=ANY, start=0.0):
    """Take whatever is there, at once, asking again when the quota says it makes sense."""
    now, taken = start, 0
    while now < start + seconds:
        if quota.would_accept(now, request):
            accepted = quota.ask(now, request)
            assert isinstance(accepted, Accepted)
            quota.finish(now, accepted.id)
            taken += 1
        else:
            later = quota.next_possible(now, request)
            assert later > now
            now = later
    return taken


@pytest.mark.parametrize("algorithm", ["continuous", "fixed_window", "sliced"])
def test_the_quota_is_granted_in_full_and_not_exceeded(algorithm):
    quota = Quota(pool(algorithm=algorithm, requests_per_minute=500))
    taken = greedy(quota, 600)
    burst = {"continuous": 500 / 60 * 10, "fixed_window": 0, "sliced": 0}[algorithm]
    assert 5000 - 1 <= taken <= 5000 + burst + 1


def test_next_possible_is_exact_for_a_continuous_bucket():
    quota = Quota(pool(requests_per_minute=60, bucket_seconds=1))
    assert isinstance(quota.ask(0.0, Request()), Accepted)
    later = quota.next_possible(0.0, Request())
    assert later == pytest.approx(1.0)
    assert not quota.would_accept(later - 0.01, Request())
    assert quota.would_accept(later, Request())


def test_retry_after_is_the_time_until_one_call_fits():
    quota = Quota(pool(requests_per_minute=60, bucket_seconds=1))
    quota.ask(0.0, Request())
    refused = quota.ask(0.25, Request())
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.status) == (Refusal.REQUESTS, 429)
    assert refused.retry_after == pytest.approx(0.75)


def test_tokens_are_reserved_at_start_and_settled_at_the_end():
    quota = Quota(pool(requests_per_minute=0, tokens_per_minute=6000))
    accepted = quota.ask(0.0, Request(input_tokens=1000, output_tokens=10, max_tokens=4000))
    assert isinstance(accepted, Accepted)
    assert accepted.charged_tokens == 5000
    assert quota.windows(0.0)[Dimension.TOKENS].remaining == pytest.approx(1000)
    quota.finish(0.0, accepted.id, Usage(input=1000, output=10))
    assert quota.windows(0.0)[Dimension.TOKENS].remaining == pytest.approx(4990)


def test_actual_accounting_meters_output_when_it_was_produced():
    quota = Quota(pool(requests_per_minute=0, output_tokens_per_minute=600, token_accounting="actual"))
    accepted = quota.ask(0.0, Request(output_tokens=900, max_tokens=100_000))
    quota.finish(0.0, accepted.id)
    assert quota.windows(0.0)[Dimension.OUTPUT_TOKENS].remaining == pytest.approx(-300)
    refused = quota.ask(0.0, Request(output_tokens=1))
    assert refused.kind is Refusal.OUTPUT_TOKENS
    assert quota.would_accept(30.2, Request(output_tokens=1))


def test_cache_reads_are_free_where_they_do_not_count():
    free = Quota(pool(requests_per_minute=0, input_tokens_per_minute=6000, cached_input_counts=False))
    free.ask(0.0, Request(input_tokens=5000, cached_tokens=4000))
    assert free.windows(0.0)[Dimension.INPUT_TOKENS].remaining == pytest.approx(5000)


def test_what_no_bucket_can_hold_is_refused_for_good():
    quota = Quota(pool(tokens_per_minute=1000))
    refused = quota.ask(0.0, Request(input_tokens=2000))
    assert (refused.kind, refused.retry_after) == (Refusal.TOO_LARGE, None)
    assert quota.too_large(0.0, Request(input_tokens=2000))
    assert quota.windows(0.0)[Dimension.TOKENS].remaining == pytest.approx(1000)


def test_concurrency_frees_a_slot_when_a_call_ends():
    quota = Quota(pool(requests_per_minute=0, concurrency=2))
    first, _ = quota.ask(0.0, Request()), quota.ask(0.0, Request())
    assert quota.ask(0.0, Request()).kind is Refusal.CONCURRENCY
    assert quota.next_possible(0.0, Request()) == math.inf
    quota.finish(1.0, first.id)
    assert isinstance(quota.ask(1.0, Request()), Accepted)


def test_charged_refusals_keep_a_hammering_client_out():
    charged = Quota(pool(charge_rejected=True))
    patient = Quota(pool(charge_rejected=False))
    hits = {}
    for name, quota in (("charged", charged), ("patient", patient)):
        hits[name] = sum(isinstance(quota.ask(t / 50, Request()), Accepted) for t in range(50 * 120))
    assert hits["patient"] >= 1000
    assert hits["charged"] < 0.2 * hits["patient"]


def test_growth_beyond_the_slope_is_refused_until_it_is_earned():
    quota = Quota(pool(requests_per_minute=6000, slope_percent_per_15s=20))
    per_15s = [greedy(quota, 15, start=window * 15.0) for window in range(20)]
    assert per_15s[0] == 150
    assert all(later <= earlier * 1.2 + 2 for earlier, later in pairwise(per_15s))
    assert per_15s[-1] == pytest.approx(1500, rel=0.05)


def test_a_neighbour_takes_its_share_in_bursts():
    event = Event(0.0, {}, neighbour=Neighbour(share=0.5, on_seconds=20, off_seconds=20))
    for algorithm in ("continuous", "fixed_window"):
        quota = Quota(pool(algorithm=algorithm, events=(event,)))
        assert greedy(quota, 1200) == pytest.approx(7500, rel=0.02)


def test_a_competing_neighbour_leaves_nothing_saved_up():
    event = Event(0.0, {}, neighbour=Neighbour(share=0.5, on_seconds=100, off_seconds=0, competes=True))
    quota = Quota(pool(events=(event,)))
    assert quota.windows(60.0)[Dimension.REQUESTS].remaining == pytest.approx(1.0)
    assert greedy(quota, 600, start=60.0) == pytest.approx(2500, rel=0.02)


def test_keys_change_at_their_time():
    halved = Quota(pool(events=(Event(300.0, {"requests_per_minute": 250.0}),)))
    assert greedy(halved, 300) == pytest.approx(2583, abs=3)
    assert greedy(halved, 300, start=300.0) == pytest.approx(1250, abs=45)


def test_an_outage_refuses_everything_and_ends():
    quota = Quota(pool(events=(Event(10.0, {}, outage_seconds=5.0, outage_status=529),)))
    assert isinstance(quota.ask(9.9, Request()), Accepted)
    refused = quota.ask(10.0, Request())
    assert (refused.kind, refused.status, refused.retry_after) == (Refusal.OUTAGE, 529, None)
    assert quota.next_possible(12.0, Request()) == pytest.approx(15.0)
    assert isinstance(quota.ask(15.0, Request()), Accepted)


def test_faults_come_at_their_rates():
    rates = ErrorRates(timeout=0.1, server_error=0.2, overloaded=0.3)
    quota = Quota(pool(requests_per_minute=0, error_rates=rates), seed=3)
    seen = {"timeout": 0, "server_error": 0, "overloaded": 0}
    for n in range(5000):
        decision = quota.ask(float(n), Request())
        if isinstance(decision, Refused):
            seen["overloaded"] += 1
        elif decision.fault is not None:
            seen[decision.fault.value] += 1
    assert seen["overloaded"] == pytest.approx(1500, rel=0.1)
    assert seen["timeout"] == pytest.approx(350, rel=0.2)
    assert seen["server_error"] == pytest.approx(700, rel=0.2)


def test_a_stream_shows_its_head_early_and_a_document_at_its_end():
    config = pool(latency_seconds=Distribution("constant", 1.0), seconds_per_output_token=0.01)
    streamed = Quota(config).ask(0.0, Request(output_tokens=100, stream=True))
    whole = Quota(config).ask(0.0, Request(output_tokens=100))
    assert (streamed.head_seconds, streamed.seconds) == (1.0, 2.0)
    assert (whole.head_seconds, whole.seconds) == (2.0, 2.0)


def test_a_hung_call_holds_its_slot():
    quota = Quota(pool(concurrency=1, error_rates=ErrorRates(timeout=1.0)))
    accepted = quota.ask(0.0, Request())
    assert accepted.fault is Fault.TIMEOUT
    assert quota.ask(1.0, Request()).kind is Refusal.CONCURRENCY


def test_restore_undoes_events():
    quota = Quota(pool())
    quota.apply(0.0, Event(0.0, {"requests_per_minute": 1.0}, outage_seconds=100))
    assert quota.ask(1.0, Request()).kind is Refusal.OUTAGE
    quota.restore(1.0)
    assert isinstance(quota.ask(10.0, Request()), Accepted)
    assert quota.config.requests_per_minute == 500


def test_the_same_seed_and_calls_give_the_same_answers():
    def play():
        quota, rng, told = Quota(pool(error_rates=ErrorRates(server_error=0.1)), seed=5), random.Random(1), []
        now = 0.0
        for _ in range(500):
            now += rng.random() / 4
            decision = quota.ask(now, Request(input_tokens=10))
            told.append(dataclasses.astuple(decision))
            if isinstance(decision, Accepted):
                quota.finish(now, decision.id)
        return told

    assert play() == play()
