"""The sink that watches every pool for bursts of the prompt cache, and tells of them as they happen."""

import threading
from typing import Final

from penstock.classifiers import ErrorClass
from penstock.telemetry import metrics as m
from penstock.telemetry import semconv as names
from penstock.telemetry.bursts import Burst, BurstDetector, BurstKind, CacheCall
from penstock.telemetry.guard import logger
from penstock.telemetry.metering import Metering
from penstock.telemetry.records import Attempt
from penstock.telemetry.registry import Bound, Registry

_POOLS: Final = 50


class BurstWatch:
    """Implements `AttemptSink`. Bursts become counters, a log line, and facts on the spans inside them."""

    def __init__(self, registry: Registry, metering: Metering) -> None:
        self._registry, self._metering = registry, metering
        self.after_fork()

    def attempt_started(self, attempt: Attempt) -> None:
        """Do nothing: a call tells of its cache when it ends."""

    def attempt_ended(self, attempt: Attempt) -> None:
        """Judge an answer that told its cache reads; note a refusal."""
        usage = attempt.usage
        with self._lock:
            watch = self._pools.get(attempt.pool) or self._detector(attempt.pool)
            if attempt.verdict is not None and attempt.verdict.error_class is ErrorClass.RATE_LIMIT:
                watch.refused()
            elif usage is not None and usage.cache_read is not None and usage.input:
                ended_ns = attempt.ended_ns or attempt.started_ns
                live = self._metering.live(attempt.pool) + 1
                watch.call(
                    CacheCall(
                        ended_ns, not usage.cache_read, usage.input, usage.cache_read, live, attempt.prefix
                    )
                )
            burst = watch.burst
        if burst is not None and attempt.span is not None:
            attempt.span.set_attributes(
                {names.CACHE_BURST: burst.kind.value, names.CACHE_BURST_CAUSE: burst.cause.value}
            )

    def close(self) -> None:
        """Tell of bursts that are still going on."""
        with self._lock:
            for watch in self._pools.values():
                watch.close()

    def after_fork(self) -> None:
        """Know no pool yet."""
        self._lock = threading.Lock()
        self._pools: dict[str, BurstDetector] = {}
        self._pool = Bound(_POOLS)

    def _detector(self, pool: str) -> BurstDetector:
        name = self._pool(pool)
        watch = self._pools.get(name)
        if watch is None:
            watch = self._pools[name] = BurstDetector(name, on_begin=self._began, on_end=self._ended)
        return watch

    def _began(self, burst: Burst) -> None:
        self._registry.inc(m.CACHE_BURSTS, (burst.pool, burst.kind.value))
        logger.warning(
            "cache burst began kind=%s pool=%s cause=%s miss_rate=%.2f calls=%d",
            burst.kind.value, burst.pool, burst.cause.value, burst.miss_rate, burst.calls,
        )  # fmt: skip

    def _ended(self, burst: Burst) -> None:
        seconds = ((burst.ended_ns or burst.began_ns) - burst.began_ns) / 1e9
        if burst.kind is BurstKind.MISS:
            self._registry.inc(m.CACHE_BURST_TOKENS, (burst.pool,), max(0, burst.extra_uncached_tokens))
        logger.warning(
            "cache burst ended kind=%s pool=%s cause=%s seconds=%.1f calls=%d miss_rate=%.2f live_p99=%d "
            "rate_limited=%d extra_uncached_tokens=%d",
            burst.kind.value, burst.pool, burst.cause.value, seconds,
            burst.calls, burst.miss_rate, burst.live_p99, burst.refused, burst.extra_uncached_tokens,
        )  # fmt: skip
