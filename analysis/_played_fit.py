"""Fit a quota by playing recorded attempts through it. Sans I/O: attempts in, figures out.

Where refused requests count against the quota, or others share it, what was accepted is no plain flow.
But a bucket that meets the same attempts has to accept as many as the provider did: one rate does that,
and where the rate is known, one share of it that others took in each few seconds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

SLICE_SECONDS: Final = 5.0
"""Others' share is fitted anew for so long."""
ALONE: Final = 1.1
"""A quota that would have let in fewer than so many times what it did is ours alone."""
_SATURATED: Final = 2
"""With fewer refusals in a slice, what was let in says nothing of what there was."""
_CLEARLY: Final = 0.7
_HALVINGS: Final = 14
_MOST_PER_MINUTE: Final = 1e6


class Try(NamedTuple):
    """One recorded attempt: seconds since the recording began, and whether the quota let it in."""

    at: float
    accepted: bool


class Played(NamedTuple):
    """What a bucket made of attempts: how many it let in, and how many it decided otherwise than recorded."""

    accepted: int
    otherwise: int


@dataclass(slots=True)
class Bucket:
    """The simulator's continuous bucket of requests, full at the start; `charged`: refusals empty it."""

    per_second: float
    depth: float
    charged: bool
    level: float
    at: float = 0.0

    @classmethod
    def full(cls, per_minute: float, depth_seconds: float, *, charged: bool) -> "Bucket":
        """Make one that holds some seconds of its rate."""
        depth = max(1.0, per_minute / 60 * depth_seconds)
        return cls(per_minute / 60, depth, charged, depth)

    def play(self, tries: Sequence[Try], until: float = 0.0, share: float = 0.0) -> Played:
        """Meet attempts, then wait until some second, while others take a share of the rate."""
        refill, depth, level, at = self.per_second * (1 - share), self.depth, self.level, self.at
        came = otherwise = 0
        for when, accepted in tries:
            level, at = min(depth, level + refill * (when - at)), when
            if level >= 1:
                level -= 1
                came += 1
                otherwise += not accepted
            else:
                otherwise += accepted
                if self.charged:
                    level = 0.0
        ended = max(at, until)
        self.level, self.at = min(depth, level + refill * (ended - at)), ended
        return Played(came, otherwise)


def refusals_count(tries: Sequence[Try], per_minute: float | None, depth_seconds: float) -> bool | None:
    """Say whether refused requests count; None when either explains the record about as well.

    `per_minute` None: each is asked at the rate that fits it best.
    """
    free, charged = (
        Bucket.full(
            per_minute or fit_rate(tries, depth_seconds, charged=counts), depth_seconds, charged=counts
        )
        .play(tries)
        .otherwise
        for counts in (False, True)
    )
    if charged < _CLEARLY * free:
        return True
    return False if free < _CLEARLY * charged else None


def fit_rate(tries: Sequence[Try], depth_seconds: float, *, charged: bool) -> float:
    """Find the requests per minute that let in as many as were."""
    accepted = sum(one.accepted for one in tries)
    low, high = math.log(0.1), math.log(_MOST_PER_MINUTE)
    for _ in range(2 * _HALVINGS):
        middle = (low + high) / 2
        if Bucket.full(math.exp(middle), depth_seconds, charged=charged).play(tries).accepted < accepted:
            low = middle
        else:
            high = middle
    return math.exp(high)


def fit_others(
    tries: Sequence[Try], per_minute: float, depth_seconds: float, *, charged: bool
) -> list[float]:
    """Find the share of the rate that others took, slice by slice; nothing when it was ours alone."""
    bucket = Bucket.full(per_minute, depth_seconds, charged=charged)
    accepted = sum(one.accepted for one in tries)
    if not tries or bucket.play(tries).accepted <= ALONE * accepted:
        return []
    shares: list[float] = []
    bucket = Bucket.full(per_minute, depth_seconds, charged=charged)
    place = 0
    while place < len(tries):
        until = (len(shares) + 1) * SLICE_SECONDS
        first = place
        while place < len(tries) and tries[place].at < until:
            place += 1
        slice_ = tries[first:place]
        came = sum(one.accepted for one in slice_)
        if len(slice_) - came >= _SATURATED:
            shares.append(_share(bucket, slice_, came))
        else:
            shares.append(shares[-1] if shares else 0.0)
        bucket.play(slice_, until, shares[-1])
    return shares


def _share(bucket: Bucket, tries: Sequence[Try], came: int) -> float:
    """Find the least share that leaves a bucket no more than what came."""
    level, at = bucket.level, bucket.at
    low, high = 0.0, 1.0
    share = 0.0
    for _ in range(_HALVINGS):
        accepted = bucket.play(tries, share=share).accepted
        bucket.level, bucket.at = level, at
        if accepted > came:
            low = share
        else:
            high = share
        if high == 0.0:
            break
        share = (low + high) / 2
    return high
