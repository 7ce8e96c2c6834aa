"""Infer a quota from where refusals begin. Sans I/O: attempts in, estimates out.

While a pool is saturated, its budget is empty at every refusal. Between two refusals in a row a
continuous budget therefore admits exactly what flowed in: accepted = rate × time − charged × refused,
fitted over slices of saturated time by least squares; `charged` is above 0 where refused requests count,
as OpenAI documents. A fixed window instead admits the same number in every saturated window, from its
edge on. A concurrency limit refuses at one and the same number of live calls.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

NS: Final = 1_000_000_000
SLICE_SECONDS: Final = 5.0
LONGEST_GAP_SECONDS: Final = 3.0
"""Refusals further apart than this do not prove that the budget stayed empty between them."""
FEWEST_REFUSALS: Final = 8
FEWEST_ACCEPTED: Final = 40
_FREE: Final = 0.2
"""A refusal that costs less of the budget than this is taken to cost nothing."""
_LARGEST_ERROR: Final = 0.03
_LARGEST_ERROR_CHARGED: Final = 0.02
WINDOWS_SECONDS: Final = (60.0, 10.0, 1.0)
FEWEST_WINDOWS: Final = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """One inferred limit. `confidence` runs from 0 to 1; `per_seconds` is the window of a rate."""

    kind: str
    value: float
    confidence: float
    source: str
    window: str = ""
    per_seconds: float | None = None
    refusals_charged: bool | None = None


def fit_concurrency(
    starts: Sequence[int], ends: Sequence[int], refused: Sequence[int], *, named: bool = False
) -> Estimate | None:
    """Find the number of live calls at which refusals came; None when it was not one number.

    All are sorted: when accepted attempts started, when they ended, and when others were refused. Refusals
    that `named` concurrency need no proof from what was accepted: on a busy machine an answer that has
    ended is seen late, and more calls seem to be live than the provider counts.
    """
    if len(refused) < FEWEST_REFUSALS or not starts:
        return None
    levels = [_level(starts, ends, at) for at in refused]
    level, hits = Counter(levels).most_common(1)[0]
    near = sum(abs(other - level) <= 1 for other in levels) / len(levels)
    if level < 1 or near < 0.9:
        return None
    highest = level if named else max(_level(starts, ends, at) for at in starts)
    if highest > level + 1:
        return None
    return Estimate(
        "concurrency", float(max(level, highest)), min(0.95, near * hits / len(levels) + 0.3), "refusals"
    )


def fit_requests(accepted: Sequence[int], refused: Sequence[int]) -> Estimate | None:
    """Estimate the request rate; None when saturation was too short or too uneven to tell.

    Both are sorted starts of attempts.
    """
    return _fit_window(accepted, refused) or _fit_flow(accepted, refused)


def most_within(starts: Sequence[int], width: int) -> int:
    """Count the most of some sorted times that lie in any half-open window of a width."""
    best = 0
    for place, at in enumerate(starts):
        if at - starts[place - best] < width:
            best += 1
    return best


def _level(starts: Sequence[int], ends: Sequence[int], at: int) -> int:
    return bisect_right(starts, at) - bisect_right(ends, at)


def _fit_flow(starts: Sequence[int], refused: Sequence[int]) -> Estimate | None:
    cut = slices(starts, refused)
    accepted = sum(one[1] for one in cut)
    if accepted < FEWEST_ACCEPTED or len(cut) < FEWEST_WINDOWS:
        return None
    rate, charged, error = _least_squares(cut)
    counts = charged > _FREE
    if not counts:
        # Free refusals leave one unknown, and chains of slices are exact to one request at either end.
        total = sum(one[0] for one in cut)
        rate, error = accepted / total, min(error, math.sqrt(len(cut)) / total)
    if rate <= 0 or error > (_LARGEST_ERROR_CHARGED if counts else _LARGEST_ERROR) * rate:
        return None
    confidence = round(max(0.5, 0.95 - 6 * error / rate), 2)
    return Estimate("requests", rate * 60, confidence, "refusals", "continuous", 60.0, counts)


def slices(accepted: Sequence[int], refused: Sequence[int]) -> list[tuple[float, int, int]]:
    """Cut saturated time into (seconds, accepted, refused), from one refusal to a later one."""
    found: list[tuple[float, int, int]] = []
    first = 0
    for place, at in enumerate(refused):
        seconds = (at - refused[first]) / NS
        if (at - refused[place - 1]) / NS > LONGEST_GAP_SECONDS:
            first = place
        elif seconds >= SLICE_SECONDS:
            came = bisect_left(accepted, at) - bisect_left(accepted, refused[first])
            found.append((seconds, came, place - first))
            first = place
    return found


def _least_squares(slices: Sequence[tuple[float, int, int]]) -> tuple[float, float, float]:
    """Fit accepted = rate × seconds − charged × refused; return both and the rate's standard error."""
    tt = sum(t * t for t, _, _ in slices)
    tr = sum(t * r for t, _, r in slices)
    rr = sum(r * r for _, _, r in slices)
    ta = sum(t * a for t, a, _ in slices)
    ra = sum(r * a for _, a, r in slices)
    determinant = tt * rr - tr * tr
    if determinant <= 1e-9 * tt * rr:
        return ta / tt, 0.0, math.inf
    rate, charged = (ta * rr - ra * tr) / determinant, -(tt * ra - tr * ta) / determinant
    left = sum((a - rate * t + charged * r) ** 2 for t, a, r in slices)
    return rate, charged, math.sqrt(left / max(1, len(slices) - 2) * rr / determinant)


def _fit_window(accepted: Sequence[int], refused: Sequence[int]) -> Estimate | None:
    """Find a window whose edges let calls in again, and which admits one number."""
    reopened = _reopened(accepted, refused)
    for width in WINDOWS_SECONDS:
        counts = _saturated_counts(accepted, refused, int(width * NS), reopened)
        if len(counts) < FEWEST_WINDOWS:
            continue
        value = Counter(counts).most_common(1)[0][0]
        share = sum(abs(count - value) <= max(1, 0.02 * value) for count in counts) / len(counts)
        if share >= 0.8 and value >= 3:
            return Estimate(
                "requests",
                float(value) * 60 / width,
                round(0.5 + 0.45 * share, 2),
                "refusals",
                "fixed",
                width,
                None,
            )
    return None


def _reopened(accepted: Sequence[int], refused: Sequence[int]) -> list[int]:
    """Give the starts of attempts that were accepted right after another was refused."""
    found = []
    for at, following in zip_longest(refused, refused[1:], fillvalue=math.inf):
        place = bisect_left(accepted, at)
        if place < len(accepted) and accepted[place] < following:
            found.append(accepted[place])
    return found


def _saturated_counts(
    accepted: Sequence[int], refused: Sequence[int], width: int, reopened: Sequence[int]
) -> list[int]:
    """Count what each saturated window admitted, if the pool reopens at one phase of the window."""
    if len(refused) < FEWEST_REFUSALS or len(reopened) < FEWEST_WINDOWS:
        return []
    turn = 2 * math.pi / width
    x = sum(math.cos(at % width * turn) for at in reopened) / len(reopened)
    y = sum(math.sin(at % width * turn) for at in reopened) / len(reopened)
    if math.hypot(x, y) < 0.9:  # circular concentration: edges, not a steady flow
        return []
    phases = sorted(at % width for at in reopened)
    centre = math.atan2(y, x) % (2 * math.pi) / turn
    early = min(((phase - centre + width / 2) % width - width / 2 for phase in phases), default=0.0)
    edge = int((centre + early) % width) - 1
    first, last = refused[0], refused[-1]
    begin = first - (first - edge) % width + width
    found = []
    while begin + width <= last:
        inside = bisect_left(refused, begin + width) - bisect_left(refused, begin)
        if inside:
            found.append(bisect_left(accepted, begin + width) - bisect_left(accepted, begin))
        begin += width
    return found
