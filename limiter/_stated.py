"""Quotas that the user states: they hold from the first call, before anything is learnt."""

from math import inf

from penstock.limiter._bucket import Bucket
from penstock.limiter._entry import Entry
from penstock.limiter._mirror import Mirror
from penstock.limiter._settings import PoolSettings
from penstock.providers import Usage


class Stated:
    """Stated requests and tokens per minute, less the headroom.

    The first minute's burst plus a minute's rate stay in the quota, until headers show a deeper bucket.
    """

    __slots__ = ("_mirror", "_requests", "_tokens", "counts_tokens", "known", "rate")

    def __init__(self, settings: PoolSettings, mirror: Mirror, now: float) -> None:
        self._mirror = mirror
        self._requests = _bucket(settings.requests_per_minute, settings.headroom_ratio, now)
        self._tokens = _bucket(settings.tokens_per_minute, settings.headroom_ratio, now)
        self.counts_tokens = self._tokens is not None
        self.known = self._requests is not None or self.counts_tokens
        self.rate = self._requests.rate if self._requests is not None else inf
        """Requests per second; inf if they are not stated."""

    def when(self, entry: Entry, now: float) -> float:
        """Say when both have room: `now` or later."""
        at = self._requests.when(1.0, now) if self._requests is not None else now
        if self._tokens is None:
            return at
        return max(at, self._tokens.when(self._mirror.cost(entry), now))

    def take(self, entry: Entry) -> None:
        """Charge a call that goes out."""
        if self._requests is not None:
            self._requests.level -= 1.0
        if self._tokens is not None:
            entry.static_tokens = self._mirror.cost(entry)
            self._tokens.level -= entry.static_tokens

    def settle(self, entry: Entry, usage: Usage) -> None:
        """Give back what a call was charged and did not use; output that is not known stays as estimated."""
        if self._tokens is not None and usage.input is not None:
            expected = self._mirror.estimator.output(entry.max_output)
            output = expected if usage.output is None else usage.output
            self._tokens.give(entry.static_tokens - usage.input - output)

    def deepen(self) -> None:
        """Let bursts be as large as headers say that the provider's bucket is."""
        buckets = self._buckets()
        for name, meter in self._mirror.meters():
            bucket = buckets.get(name)
            if bucket is not None:
                bucket.deepen(meter.depth * min(1.0, bucket.rate / meter.rate))

    def costs(self, entry: Entry) -> dict[str, float]:
        """Estimate what a call draws from each."""
        costs = {"stated_requests": 1.0} if self._requests is not None else {}
        return {**costs, "stated_tokens": self._mirror.cost(entry)} if self.counts_tokens else costs

    def facts(self) -> dict[str, tuple[float, float, float, float, float]]:
        """Tell each one's rate, depth and level, and that it has no window."""
        return {
            f"stated_{what}": (bucket.rate, bucket.depth, bucket.depth, 0.0, 0.0)
            for what, bucket in self._buckets().items()
        }

    def _buckets(self) -> dict[str, Bucket]:
        found = {"requests": self._requests, "tokens": self._tokens}
        return {what: bucket for what, bucket in found.items() if bucket is not None}


def same_quota(one: PoolSettings, other: PoolSettings) -> bool:
    """Whether both state the same quotas: a bucket made anew would be full."""
    return (one.requests_per_minute, one.tokens_per_minute, one.headroom_ratio) == (
        other.requests_per_minute, other.tokens_per_minute, other.headroom_ratio,
    )  # fmt: skip


def _bucket(per_minute: float | None, headroom: float, now: float) -> Bucket | None:
    if per_minute is None:
        return None
    depth = max(1.0, per_minute * max(headroom, 1 / 60))
    return Bucket(per_minute / 60 * (1 - headroom), depth, now)
