"""One dimension of the mirror: what it makes of headers, refusals and silence."""

import pytest

from penstock.limiter._meter import Meter
from penstock.providers import Window


def told(remaining, limit=10_000.0):
    return Window(limit=limit, remaining=remaining, period_seconds=60.0)


@pytest.fixture
def meter():
    """A bucket of 10,000 tokens a minute, half full, watched from second 0."""
    return Meter(10_000.0, 60.0, 5000.0, 0.0)


def test_one_misjudged_call_is_not_taken_for_others_use(meter):
    meter.observe(meter.charge(2500.0, 0.0), told(2500.0), 1.0, refused=False)
    meter.observe(meter.charge(2000.0, 1.5), told(0.0), 2.5, refused=False)
    assert meter.drain == 0


def others_take(meter, per_second, seconds):
    """Send a hundred tokens each second beside others; tell truly what remains."""
    remaining = 5000.0
    for second in range(seconds):
        remaining += 10_000 / 60 - per_second if second else 0.0
        mark = meter.charge(100.0, float(second))
        remaining -= 100
        meter.observe(mark, told(float(int(remaining))), second + 0.5, refused=False)


def test_steady_use_by_others_is_learnt(meter):
    others_take(meter, 80.0, 30)
    assert meter.drain == pytest.approx(80, rel=0.1)


def test_what_others_took_fades_when_nothing_is_heard(meter):
    """Else a bucket that seems drained lets nothing out, and nothing comes back to say otherwise."""
    meter.drain = 158.0
    meter.level = 0.0
    assert meter.when(2500.0, 0.0) < 60
    assert meter.when(2500.0, 60.0) == 60
    assert meter.drain < 10


def test_others_use_is_believed_while_headers_confirm_it(meter):
    others_take(meter, 100.0, 60)
    assert meter.drain == pytest.approx(100, rel=0.1)


def test_a_refused_call_is_given_back_once(meter):
    meter.charge(2000.0, 0.0)
    mark = meter.charge(1500.0, 0.0)
    meter.refused(mark)
    meter.observe(mark, told(3000.0), 0.0, refused=True)
    assert (meter.level, meter.error) == (3000.0, 0.0)


def test_a_refusal_without_headers_says_that_there_was_less_than_the_cost(meter):
    mark = meter.charge(3000.0, 0.0)
    meter.refused(mark)
    meter.exhausted(mark, 0.0)
    assert 0 <= meter.level < 3000


@pytest.fixture
def crowded(meter):
    """The bucket with next to nothing left by others, as far as headers tell."""
    meter.drain, meter.level = 150.0, -5000.0
    return meter


def test_where_others_take_nearly_all_a_share_is_claimed(crowded):
    crowded.charge(100.0, 0.0)
    assert crowded.when(100.0, 0.0) == pytest.approx(100 / (crowded.claim * crowded.rate))


def test_a_claim_grows_with_answers_and_halves_when_refused(crowded):
    before = crowded.claim
    crowded.refused(crowded.charge(100.0, 0.0))
    halved = crowded.claim
    crowded.observe(crowded.charge(100.0, 0.1), told(0.0), 0.5, refused=False)
    assert halved == before / 2 < crowded.claim < before


def test_no_share_is_claimed_while_others_leave_enough(meter):
    meter.drain, meter.level = 0.5 * meter.rate, 0.0
    meter.charge(100.0, 0.0)
    assert meter.when(100.0, 0.0) == pytest.approx((200 + meter.reserve) / (0.5 * meter.rate))
