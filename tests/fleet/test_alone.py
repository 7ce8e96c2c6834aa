"""What a process does by itself while the store is lost: slots and turns, as time is told."""

from math import inf

import pytest

from penstock.limiter.fleet._alone import Alone


def test_who_never_had_a_share_begins_with_one_call_and_takes_one_more_each_second():
    alone = Alone(100.0)
    assert alone.when(0, 100.0) == 100.0
    assert alone.when(1, 100.0) == 101.0
    assert alone.when(3, 103.5) == 103.5
    assert alone.when(9, 103.5) == 109.0
    assert alone.credit(103.5) == 1.0


@pytest.mark.parametrize(("held", "first"), [(0, 101.0), (1, 100.0), (2, 100.0)])
def test_slots_that_others_have_are_taken_a_second_later_and_no_more_than_nine_tenths_of_the_share(
    held, first
):
    alone = Alone(100.0, held=held, slots=4.0)
    assert alone.when(0, 100.0) == first
    assert alone.when(held, 100.0) == 101.0
    assert alone.when(2, 110.0) == 110.0
    assert alone.when(3, 110.0) == inf


def test_turns_are_earned_at_nine_tenths_of_the_rate():
    alone = Alone(100.0, held=inf)
    alone.bound(2.0, 0.0, 100.0)
    sent, now = 0, 100.0
    while now < 200.0:
        if alone.when(0, now) <= now:
            alone.sent(now)
            sent += 1
        now += 0.01
    assert sent == pytest.approx(180, abs=1)
    assert 0.0 <= alone.credit(now) <= 1.0
