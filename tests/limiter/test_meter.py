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


def taken(meter, share, seconds):
    """Let others take a share of the refill for so long, as headers of calls of 150 tokens tell it."""
    left = meter.level
    for second in range(seconds):
        mark = meter.charge(150.0, float(second))
        left += (1 - share) * meter.rate * (second > 0) - 150.0
        meter.observe(mark, told(left), second + 0.5, refused=False)


def test_a_quota_of_which_others_take_most_is_crowded_until_nothing_is_heard_of_them(meter):
    taken(meter, 0.9, 30)
    assert meter.crowded
    meter.when(1.0, 300.0)
    assert not meter.crowded


def test_a_quota_of_which_others_take_half_is_not_crowded(meter):
    taken(meter, 0.5, 30)
    assert meter.drain > 0.3 * meter.rate
    assert not meter.crowded


def test_a_window_is_not_taken_for_others_use(meter):
    taken(meter, 1.0, 30)
    assert meter.windowed
    assert not meter.crowded
