"""Limits inferred from refusals lie within five percent of the simulator's, or are said to be unknown."""

import heapq
import random
from itertools import pairwise

import pytest

from penstock.analysis import quota
from penstock.analysis._quota_fit import (
    LONGEST_GAP_SECONDS,
    NS,
    SLICE_SECONDS,
    fit_concurrency,
    most_within,
    slices,
)
from penstock.simulator import Accepted, Quota, Request
from penstock.simulator.scenario import Pool

START = 1_760_000_000_000_000_000
NAMED = {"requests": "requests_per_minute", "tokens": "tokens_per_minute", "concurrency": "concurrency"}


def recording(make_span, pool, seed, *, seconds=400.0, overload=2.0, headers=False, named=True):
    """Let clients that never learn ask a quota; give the attempts as spans."""
    rng = random.Random(seed)
    model = Quota(pool, seed, now=0.0)
    base = (pool.requests_per_minute or pool.tokens_per_minute / 1500 or pool.concurrency * 30) / 60
    spans, ending, now, number = [], [], 0.0, 0
    while now < seconds:
        now += rng.expovariate(base * overload)
        while ending and ending[0][0] <= now:
            at, call = heapq.heappop(ending)
            model.finish(at, call)
        decision = model.ask(
            now, Request(input_tokens=rng.randrange(500, 1500), output_tokens=200, max_tokens=500)
        )
        held = {
            "penstock.span.kind": "attempt",
            "penstock.pool": "p:m",
            "penstock.provider": "p",
            "penstock.model": "m",
        }
        if headers and pool.requests_per_minute:
            held["penstock.quota.requests.limit"] = float(pool.requests_per_minute)
        if headers and pool.tokens_per_minute:
            held["penstock.quota.tokens.limit"] = float(pool.tokens_per_minute)
        if isinstance(decision, Accepted):
            length = decision.seconds
            heapq.heappush(ending, (now + length, decision.id))
        else:
            length = decision.seconds
            held |= {"penstock.error.class": "rate_limit", "http.response.status_code": 429}
            if named:
                held["penstock.limit.dimension"] = NAMED[decision.kind.value]
        number += 1
        begin = START + int(now * 1e9)
        spans.append(
            make_span(
                f"{number:032x}", f"{number:016x}", None, "attempt", begin, begin + int(length * 1e9), held
            )
        )
    return spans


def limits(opened, formats, spans):
    with opened(formats.lines(spans, 50)) as view:
        (pool,) = quota(view).data["pools"]
    return {limit["kind"]: limit for limit in pool["limits"]}, pool["cannot_tell"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("named", [True, False])
def test_a_request_rate_is_inferred_from_refusals(seed, named, make_span, opened, formats):
    truth = [120, 300, 500, 800, 60, 1000][seed]
    spans = recording(make_span, Pool(requests_per_minute=truth), seed, named=named)
    found, unknown = limits(opened, formats, spans)
    assert found or unknown
    if found:
        assert found["requests"]["value"] == pytest.approx(truth, rel=0.05)
        assert found["requests"]["window"] == "continuous"
    if truth >= 120:
        assert found


@pytest.mark.parametrize("seed", range(4))
def test_refused_requests_that_count_are_recognised(seed, make_span, opened, formats):
    spans = recording(make_span, Pool(requests_per_minute=500, charge_rejected=True), seed, overload=1.4)
    found, unknown = limits(opened, formats, spans)
    assert found or unknown
    if found:
        assert found["requests"]["value"] == pytest.approx(500, rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_a_fixed_window_is_told_from_a_steady_flow(seed, make_span, opened, formats):
    pool = Pool(requests_per_minute=(200, 400, 600, 90)[seed], algorithm="fixed_window")
    found, unknown = limits(opened, formats, recording(make_span, pool, seed, seconds=600))
    assert found or unknown
    if found:
        assert found["requests"]["value"] == pytest.approx(pool.requests_per_minute, rel=0.05)
        assert found["requests"]["window"] == "fixed"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("named", [True, False])
def test_a_concurrency_limit_is_inferred_from_the_level_at_refusals(seed, named, make_span, opened, formats):
    pool = Pool(requests_per_minute=0.0, concurrency=(5, 8, 20, 40, 3, 60)[seed])
    found, unknown = limits(opened, formats, recording(make_span, pool, seed, named=named, overload=1.5))
    assert found or unknown
    if found:
        assert found["concurrency"]["value"] == pytest.approx(pool.concurrency, rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_a_token_limit_without_headers_is_said_to_be_unknown(seed, make_span, opened, formats):
    pool = Pool(requests_per_minute=0.0, tokens_per_minute=60_000)
    found, unknown = limits(opened, formats, recording(make_span, pool, seed))
    assert found == {}
    assert unknown == ["tokens"]


@pytest.mark.parametrize("seed", range(3))
def test_headers_are_believed(seed, make_span, opened, formats):
    pool = Pool(requests_per_minute=500, tokens_per_minute=200_000)
    found, _ = limits(opened, formats, recording(make_span, pool, seed, headers=True, seconds=60))
    assert (found["requests"]["value"], found["tokens"]["value"]) == (500, 200_000)
    assert {limit["source"] for limit in found.values()} == {"headers"}
    assert min(limit["confidence"] for limit in found.values()) > 0.9


def test_answers_seen_late_hide_no_concurrency_limit_that_refusals_name():
    ends = [(second + 1) * NS for second in range(60) for _ in range(5)]
    starts = [end - NS for end in ends]
    late = sorted(end + (place % 2) * NS // 2 for place, end in enumerate(ends))
    refused = sorted(second * NS + 6 * NS // 10 for second in range(60))
    assert fit_concurrency(starts, late, refused) is None
    found = fit_concurrency(starts, late, refused, named=True)
    assert found is not None
    assert found.value == 5


def test_nothing_refused_and_nothing_told_is_no_limit(make_span, opened, formats):
    spans = recording(make_span, Pool(requests_per_minute=500), 1, overload=0.3, seconds=100)
    assert limits(opened, formats, spans) == ({}, [])


@pytest.mark.parametrize("seed", range(20))
def test_the_most_sends_of_a_minute_are_those_that_counting_finds(seed):
    rng = random.Random(seed)
    times = sorted(rng.randrange(400) for _ in range(rng.randrange(1, 200)))
    truth = max(sum(begin <= at < begin + 60 for at in times) for begin in times)
    assert most_within(times, 60) == truth


def test_nothing_sent_is_no_peak():
    assert most_within([], 60) == 0


@pytest.mark.parametrize("seed", range(20))
def test_slices_count_what_lies_between_refusals(seed):
    rng = random.Random(seed)
    accepted, refused = (sorted(rng.sample(range(40 * 10**9), count)) for count in (300, 60))
    begin, truth = refused[0], []
    for before, at in pairwise(refused):
        if at - before > LONGEST_GAP_SECONDS * NS:
            begin = at
        elif at - begin >= SLICE_SECONDS * NS:
            came, went = (sum(begin < one <= at for one in held) for held in (accepted, refused))
            truth.append(((at - begin) / NS, came, went))
            begin = at
    assert slices(accepted, refused) == truth
    assert truth
