"""The simulator's own record: every request it saw, and exact figures over them.

This is what clients are checked against, so it shares no code with the telemetry that it checks.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

SECOND_NS: Final = 1_000_000_000


@dataclass(slots=True)
class Entry:
    """One request. Times are `time.time_ns()`: received, head sent, last byte sent.

    `kind` is why it was refused, how it failed, or `ok`. `end` is eof, closed (the client went away),
    broken or reset. `charged` is what was taken from the token budget at the start. `retry` is the
    client's own count of earlier tries (`x-stainless-retry-count`).
    """

    id: int
    pool: str
    model: str
    path: str
    stream: bool
    began_ns: int
    head_ns: int | None = None
    ended_ns: int | None = None
    status: int | None = None
    kind: str = "ok"
    end: str | None = None
    charged: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    request_id: str = ""
    scripted: bool = False
    retry: int = 0
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """Live calls over time, weighted by time. `seconds` from the first request to the last byte."""

    mean: float = 0.0
    p50: int = 0
    p95: int = 0
    p99: int = 0
    max: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Truth:
    """What happened so far. `rate_limited` counts answers with status 429.

    `finished` counts answers that came whole; `accepted_per_second` counts requests let in, by whole
    seconds since the first request; `in_flight` counts requests not yet answered to the last byte.
    """

    attempts: int
    accepted: int
    finished: int
    rate_limited: int
    failed: int
    in_flight: int
    live: Live
    by_status: Mapping[str, int]
    by_kind: Mapping[str, int]
    accepted_per_second: Sequence[int]
    input_tokens: int
    output_tokens: int
    first_ns: int | None
    last_ns: int | None
    pools: "Mapping[str, Truth]" = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give plain values."""
        return dataclasses.asdict(self)


def tell(entries: Iterable[Entry], *, pools: bool = True) -> Truth:
    """Sum up a record."""
    seen = list(entries)
    ended = [entry for entry in seen if entry.ended_ns is not None]
    accepted = [entry for entry in seen if entry.status == 200]
    first = min((entry.began_ns for entry in seen), default=None)
    statuses = Counter(str(entry.status) for entry in seen if entry.status is not None)
    by_pool: dict[str, list[Entry]] = {}
    for entry in seen:
        by_pool.setdefault(entry.pool, []).append(entry)
    return Truth(
        attempts=len(seen),
        accepted=len(accepted),
        finished=sum(entry.kind == "ok" and entry.end == "eof" for entry in accepted),
        rate_limited=sum(entry.status == 429 for entry in seen),
        failed=sum(entry.kind != "ok" or entry.end != "eof" for entry in ended),
        in_flight=len(seen) - len(ended),
        live=live([(entry.began_ns, entry.ended_ns) for entry in ended if entry.ended_ns is not None]),
        by_status=dict(sorted(statuses.items())),
        by_kind=dict(sorted(Counter(entry.kind for entry in ended).items())),
        accepted_per_second=_per_second([e.began_ns for e in accepted], first or 0),
        input_tokens=sum(entry.input_tokens for entry in accepted),
        output_tokens=sum(entry.output_tokens for entry in accepted),
        first_ns=first,
        last_ns=max((entry.ended_ns for entry in ended if entry.ended_ns is not None), default=None),
        pools={name: tell(own, pools=False) for name, own in sorted(by_pool.items())} if pools else {},
    )


def live(intervals: Sequence[tuple[int, int]]) -> Live:
    """Weigh each level by the time spent at it; intervals are half-open, an end precedes a start."""
    events = sorted([(began, 1) for began, _ in intervals] + [(ended, -1) for _, ended in intervals])
    spent: Counter[int] = Counter()
    level = 0
    for (at, step), (until, _) in pairwise(events):
        level += step
        spent[level] += until - at
    held = sorted((level, ns) for level, ns in spent.items() if ns > 0)
    total = sum(ns for _, ns in held)
    if not total:
        return Live()
    return Live(
        mean=sum(level * ns for level, ns in held) / total,
        p50=_rank(held, Fraction(50, 100) * total),
        p95=_rank(held, Fraction(95, 100) * total),
        p99=_rank(held, Fraction(99, 100) * total),
        max=held[-1][0],
        seconds=total / SECOND_NS,
    )


def _rank(held: Sequence[tuple[int, int]], needed: Fraction) -> int:
    """Find the smallest level at or below which that much time was spent."""
    spent = 0
    for level, ns in held:
        spent += ns
        if spent >= needed:
            return level
    raise AssertionError("the whole time was spent at some level")


def _per_second(times: Sequence[int], first: int) -> list[int]:
    counts = Counter((at - first) // SECOND_NS for at in times)
    return [counts[second] for second in range(max(counts, default=-1) + 1)]
