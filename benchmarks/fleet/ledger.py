"""The permits of all workers, put in order and checked: was the cap held, was the rate?"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

Interval = tuple[int, int]
"""Nanoseconds from and to."""
MINUTE_NS: Final = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Held:
    """One permit."""

    began: int
    ended: int


def read(paths: Iterable[Path], ends: dict[Path, int]) -> list[Held]:
    """Read what workers wrote. What a killed worker held ended when it was killed: `ends`.

    Raises:
        AssertionError: a worker saw an exception, or released what it did not hold.
    """
    held = []
    for path in paths:
        open_: dict[str, int] = {}
        for line in path.read_text().splitlines():
            if not line.endswith("]"):
                continue  # its writer was killed
            what, id, at, _ = json.loads(line)
            assert what in {"acquire", "release"}, f"a worker saw {what}"
            if what == "acquire":
                open_[id] = at
            else:
                held.append(Held(open_.pop(id), at))
        assert not open_ or path in ends, f"{len(open_)} permits of {path} were never released"
        held += [Held(began, ends[path]) for began in open_.values()]
    return held


def levels(held: Sequence[Held]) -> list[tuple[int, int]]:
    """Tell how many permits were held from each moment on."""
    steps = sorted([(one.ended, -1) for one in held] + [(one.began, 1) for one in held])
    level, told = 0, []
    for at, step in steps:
        level += step
        told.append((at, level))
    return told


def most(told: Sequence[tuple[int, int]], within: Sequence[Interval], *, inside: bool) -> int:
    """Find the highest level inside or outside of intervals; a moment too short to be one counts not."""
    found = 0
    for (at, level), (until, _) in pairwise(told):
        touched = any(at < end and until > start for start, end in within)
        if touched == inside and until > at:
            found = max(found, level)
    return found


def most_in_a_minute(held: Sequence[Held]) -> int:
    """Count the permits of the minute that had most."""
    begins, first, found = sorted(one.began for one in held), 0, 0
    for last, at in enumerate(begins):
        while begins[first] <= at - MINUTE_NS:
            first += 1
        found = max(found, last - first + 1)
    return found


def seconds_until(told: Sequence[tuple[int, int]], at: int, level: int) -> float:
    """Tell how long after a moment so many permits were held."""
    return next(((when - at) / 1e9 for when, now in told if when >= at and now >= level), float("inf"))
