"""The checker of the benchmark's histories finds what it looks for."""

import json

import pytest

from benchmarks.fleet import ledger
from benchmarks.fleet.ledger import Held

SECOND = 1_000_000_000


@pytest.fixture
def wrote(tmp_path):
    def write(name, *lines, tail=""):
        path = tmp_path / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
        return path

    return write


def test_levels_count_overlaps_and_an_end_frees_before_a_start_takes():
    told = ledger.levels([Held(0, 10), Held(5, 15), Held(10, 20)])
    assert told == [(0, 1), (5, 2), (10, 1), (10, 2), (15, 1), (20, 0)]
    assert ledger.most(told, [], inside=False) == 2
    assert ledger.most(told, [(6, 12)], inside=False) == 1
    assert ledger.most(told, [(6, 12)], inside=True) == 2


def test_what_a_killed_worker_held_ended_with_it(wrote):
    killed = wrote("killed", ["acquire", "a", 1, 0.0], ["acquire", "b", 2, 0.0], tail='["rel')
    assert ledger.read([killed], {killed: 9}) == [Held(1, 9), Held(2, 9)]
    with pytest.raises(AssertionError, match="2 permits"):
        ledger.read([killed], {})


def test_an_exception_in_a_worker_is_told(wrote):
    with pytest.raises(AssertionError, match="Backpressure"):
        ledger.read([wrote("one", ["Backpressure", "a", 1, 0.0])], {})


def test_the_fullest_minute_is_found():
    held = [Held(at * SECOND, at * SECOND + 1) for at in (0, 30, 59, 60, 61, 200)]
    assert ledger.most_in_a_minute(held) == 4


def test_the_first_return_to_a_level_is_found():
    told = ledger.levels([Held(0, 2 * SECOND), Held(0, 5 * SECOND), Held(4 * SECOND, 6 * SECOND)])
    assert ledger.seconds_until(told, 2 * SECOND + 1, 2) == pytest.approx(2.0)
    assert ledger.seconds_until(told, 7 * SECOND, 1) == float("inf")
