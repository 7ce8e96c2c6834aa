"""Bursts of prompt-cache misses (or hits) against a pool's own baseline, while live calls are high.

A mean hides them: a minute of misses in a day of hits moves the day's ratio by nothing, and multiplies the
uncached tokens of that minute. Two Bernoulli CUSUMs a pool watch each call's result, one for more misses
than usual and one for fewer (E. S. Page, Biometrika 41, 1954; M. R. Reynolds and Z. G. Stoumbos, Journal
of Quality Technology 31, 1999): each adds the log-likelihood ratio of the raised rate over the baseline
and never falls below zero, so its last zero is where the change began.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

BASELINE_CALLS: Final = 500.0
"""Memory of the baseline. It stands still during a burst."""
WARM_CALLS: Final = 30
"""Calls before anything is judged."""
ALARM: Final = 9.0
"""Log-likelihood at which a burst is believed: a false alarm in some 10,000 calls, a true one in 6 to 15."""
CLEAR_CALLS: Final = 20
"""A burst is over when this many calls in a row are nearer to the baseline than to the burst."""
BUSY: Final = 2
"""Fewer live calls than this are no burst that matters."""


class BurstKind(StrEnum):
    """Which way the cache turned."""

    MISS = "miss"
    HIT = "hit"


class BurstCause(StrEnum):
    """What the prompts' heads say: new ones (a deploy shifted them), or the same ones, forgotten."""

    PREFIX = "prefix_change"
    EVICTION = "eviction"


class CacheCall(NamedTuple):
    """One answer that told its cache reads. `live` is how many calls it found in flight."""

    ended_ns: int
    missed: bool
    input_tokens: int
    cached_tokens: int
    live: int
    prefix: str | None = None


@dataclass(slots=True, kw_only=True)
class Burst:
    """One burst, going on while `ended_ns` is None. `extra_uncached_tokens` is beyond the baseline."""

    pool: str
    kind: BurstKind
    cause: BurstCause
    began_ns: int
    ended_ns: int | None = None
    calls: int = 0
    misses: int = 0
    refused: int = 0
    live_p99: int = 0
    extra_uncached_tokens: int = 0

    @property
    def miss_rate(self) -> float:
        """Share of its calls that missed."""
        return self.misses / self.calls if self.calls else 0.0


class BurstDetector:
    """Watch one pool. Sans-IO; not thread-safe. `on_begin` and `on_end` are told of each burst."""

    def __init__(
        self,
        pool: str,
        *,
        on_begin: Callable[[Burst], None] = lambda burst: None,
        on_end: Callable[[Burst], None] = lambda burst: None,
    ) -> None:
        self.pool = pool
        self.burst: Burst | None = None
        self._on_begin, self._on_end = on_begin, on_end
        self._seen = 0
        self._miss_rate = 0.5
        self._live_mean = 0.0
        self._uncached_share = 0.5
        self._first_seen: dict[str, int] = {}
        self._charts = tuple(_Chart(kind) for kind in BurstKind)
        self._lives: list[int] = []
        self._calm = 0

    def refused(self) -> None:
        """Note a 429."""
        if self.burst is not None:
            self.burst.refused += 1

    def call(self, call: CacheCall) -> None:
        """Judge one answer."""
        if call.prefix is not None:
            self._remember(call.prefix, call.ended_ns)
        if self.burst is not None:
            self._continue(self.burst, call)
        else:
            self._watch(call)

    def close(self) -> None:
        """End a burst that is still going on, at shutdown."""
        if self.burst is not None:
            self._finish(self.burst)

    def _watch(self, call: CacheCall) -> None:
        self._seen += 1
        if self._seen > WARM_CALLS:
            for chart in self._charts:
                if call.missed is not chart.of_misses and not chart.suspects:
                    continue  # it speaks against a burst of which nothing speaks
                rates = self._rates(chart.of_misses)
                if rates is None or not chart.add(call, rates):
                    continue
                if chart.live_mean >= max(BUSY, self._live_mean):
                    self._begin(chart.kind, chart.suspects)
                    return
                chart.clear()  # an idle pool's misses hurt nobody
        self._learn(call)

    def _rates(self, of_misses: bool) -> tuple[float, float] | None:
        """Give baseline and burst rate of misses; None where the baseline leaves no room for a burst."""
        rate = self._miss_rate
        if rate >= 0.9 if of_misses else rate <= 0.1:
            return None
        base = min(max(rate, 0.02), 0.98)  # a logarithm has no end at 0 and 1
        if of_misses:
            return base, min(max(2 * base, base + 0.4), 0.99)
        return base, max(min(base / 2, base - 0.4), 0.01)

    def _begin(self, kind: BurstKind, suspects: deque[CacheCall]) -> None:
        began_ns = suspects[0].ended_ns
        fresh = sum(
            self._first_seen.get(call.prefix or "", began_ns) >= began_ns for call in suspects if call.prefix
        )
        cause = BurstCause.PREFIX if fresh > len(suspects) / 2 else BurstCause.EVICTION
        burst = Burst(pool=self.pool, kind=kind, cause=cause, began_ns=began_ns)
        self.burst, self._lives, self._calm = burst, [], 0
        for call in suspects:
            self._count(burst, call)
        self._on_begin(burst)

    def _continue(self, burst: Burst, call: CacheCall) -> None:
        self._count(burst, call)
        typical = call.missed is not (burst.kind is BurstKind.MISS)
        self._calm = self._calm + 1 if typical else max(0, self._calm - 3)
        if self._calm >= CLEAR_CALLS:
            burst.ended_ns = call.ended_ns
            self._finish(burst)

    def _count(self, burst: Burst, call: CacheCall) -> None:
        burst.calls += 1
        burst.misses += call.missed
        extra = call.input_tokens - call.cached_tokens - self._uncached_share * call.input_tokens
        burst.extra_uncached_tokens += round(extra)
        burst.ended_ns = None
        self._lives.append(call.live)
        if len(self._lives) > 10_000:
            del self._lives[::2]
        self._last_ns = call.ended_ns

    def _finish(self, burst: Burst) -> None:
        lives = sorted(self._lives)
        burst.live_p99 = lives[math.ceil(0.99 * len(lives)) - 1] if lives else 0
        burst.ended_ns = burst.ended_ns if burst.ended_ns is not None else self._last_ns
        self.burst = None
        for chart in self._charts:
            chart.clear()
        self._on_end(burst)

    def _learn(self, call: CacheCall) -> None:
        seen = self._seen
        weight = 1 / (min(BASELINE_CALLS, seen))
        self._miss_rate += weight * (call.missed - self._miss_rate)
        self._live_mean += weight * (call.live - self._live_mean)
        if call.input_tokens:
            uncached = 1 - call.cached_tokens / call.input_tokens
            self._uncached_share += weight * (uncached - self._uncached_share)

    def _remember(self, prefix: str, at_ns: int) -> None:
        self._first_seen[prefix] = self._first_seen.pop(prefix, at_ns)
        if len(self._first_seen) > 1000:
            del self._first_seen[next(iter(self._first_seen))]


class _Chart:
    """One CUSUM, and the calls since its last zero: if it alarms, the burst began with the first of them."""

    def __init__(self, kind: BurstKind) -> None:
        self.kind = kind
        self.of_misses = kind is BurstKind.MISS
        self.clear()

    def clear(self) -> None:
        self._sum = 0.0
        self._calls = self._lives = 0
        self.suspects: deque[CacheCall] = deque(maxlen=500)

    @property
    def live_mean(self) -> float:
        """Live calls that the suspects found, in the mean."""
        return self._lives / self._calls

    def add(self, call: CacheCall, rates: tuple[float, float]) -> bool:
        base, raised = rates
        ratio = raised / base if call.missed else (1 - raised) / (1 - base)
        self._sum += math.log(ratio)
        if self._sum <= 0:
            if self._calls:
                self.clear()
            self._sum = 0.0
            return False
        self._calls += 1
        self._lives += call.live
        self.suspects.append(call)
        return self._sum >= ALARM
