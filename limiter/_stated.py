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

    __slots__ = ("_buckets", "_mirror")

    def __init__(self, settings: PoolSettings, mirror: Mirror, now: float) -> None:
        self._mirror = mirror
        self._buckets: dict[str, Bucket] = {}
        headroom = settings.headroom_ratio
        for what, per_minute in (
            ("requests", settings.requests_per_minute),
            ("tokens", settings.tokens_per_minute),
        ):
            if per_minute is not None:
                depth = max(1.0, per_minute * max(headroom, 1 / 60))
                self._buckets[what] = Bucket(per_minute / 60 * (1 - headroom), depth, now)

    def __bool__(self) -> bool:
        return bool(self._buckets)

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens are stated."""
        return "tokens" in self._buckets

    @property
    def rate(self) -> float:
        """Requests per second; inf if they are not stated."""
        return self._buckets["requests"].rate if "requests" in self._buckets else inf

    def when(self, entry: Entry, now: float) -> float:
        """Say when both have room: `now` or later."""
        return max(bucket.when(self._cost(what, entry), now) for what, bucket in self._buckets.items())

    def take(self, entry: Entry) -> None:
        """Charge a call that goes out."""
        for what, bucket in self._buckets.items():
            bucket.take(self._cost(what, entry))

    def settle(self, entry: Entry, usage: Usage | None) -> None:
        """Give back what a call was charged and did not use."""
        if "tokens" in self._buckets and usage is not None and usage.input is not None:
            self._buckets["tokens"].give(entry.static_tokens - usage.input - (usage.output or 0))

    def deepen(self) -> None:
        """Let bursts be as large as headers say that the provider's bucket is."""
        for name, meter in self._mirror.meters():
            if name in self._buckets:
                bucket = self._buckets[name]
                bucket.deepen(meter.depth * min(1.0, bucket.rate / meter.rate))

    def costs(self, entry: Entry) -> dict[str, float]:
        """Estimate what a call draws from each."""
        return {f"stated_{what}": self._cost(what, entry) for what in self._buckets}

    def facts(self) -> dict[str, tuple[float, float, float, float, float]]:
        """Tell each one's rate, depth and level, and that it has no window."""
        return {
            f"stated_{what}": (bucket.rate, bucket.depth, bucket.depth, 0.0, 0.0)
            for what, bucket in self._buckets.items()
        }

    def _cost(self, what: str, entry: Entry) -> float:
        if what == "requests":
            return 1.0
        entry.static_tokens = self._mirror.cost(entry)
        return entry.static_tokens
