"""The sink that watches every pool for bursts of the prompt cache, and tells of them as they happen."""

from typing import Final

from penstock.classifiers import ErrorClass
from penstock.telemetry import metrics as m
from penstock.telemetry.bursts import Burst, BurstDetector, BurstKind, CacheCall
from penstock.telemetry.guard import logger
from penstock.telemetry.metering import Metering
from penstock.telemetry.records import Attempt
from penstock.telemetry.registry import Bound, Registry

_POOLS: Final = 50


class BurstWatch:
    """Bursts become counters, a log line, and, by `burst`, facts on the spans inside them.

    Answers are judged as `metering` writes them; a burst that has begun marks what ends from then on.
    """

    def __init__(self, registry: Registry, metering: Metering) -> None:
        self._registry = registry
        self.after_fork()
        metering.on_answer = self._judge

    def burst(self, pool: str) -> Burst | None:
        """Tell what a pool is in the midst of."""
        return self._bursts.get(self._pool(pool)) if self._bursts else None

    def close(self) -> None:
        """Tell of bursts that are still going on."""
        with self._registry.backlog.written():
            for watch in self._pools.values():
                watch.close()

    def after_fork(self) -> None:
        """Know no pool yet."""
        self._pools: dict[str, BurstDetector] = {}
        self._bursts: dict[str, Burst] = {}
        self._pool = Bound(_POOLS)

    def _judge(self, attempt: Attempt, live: int) -> None:
        """Judge an answer that told its cache reads; note a refusal."""
        usage = attempt.usage
        watch = self._pools.get(attempt.pool) or self._detector(attempt.pool)
        if attempt.verdict is not None and attempt.verdict.error_class is ErrorClass.RATE_LIMIT:
            watch.refused()
        elif usage is not None and usage.cache_read is not None and usage.input:
            ended_ns = attempt.ended_ns or attempt.started_ns
            missed = not usage.cache_read
            watch.call(CacheCall(ended_ns, missed, usage.input, usage.cache_read, live + 1, attempt.prefix))

    def _detector(self, pool: str) -> BurstDetector:
        name = self._pool(pool)
        watch = self._pools.get(name)
        if watch is None:
            watch = self._pools[name] = BurstDetector(name, on_begin=self._began, on_end=self._ended)
        return watch

    def _began(self, burst: Burst) -> None:
        self._bursts[burst.pool] = burst
        self._registry.inc(m.CACHE_BURSTS, (burst.pool, burst.kind.value))
        logger.warning(
            "cache burst began kind=%s pool=%s cause=%s miss_rate=%.2f calls=%d",
            burst.kind.value, burst.pool, burst.cause.value, burst.miss_rate, burst.calls,
        )  # fmt: skip

    def _ended(self, burst: Burst) -> None:
        self._bursts.pop(burst.pool, None)
        seconds = ((burst.ended_ns or burst.began_ns) - burst.began_ns) / 1e9
        if burst.kind is BurstKind.MISS:
            self._registry.inc(m.CACHE_BURST_TOKENS, (burst.pool,), max(0, burst.extra_uncached_tokens))
        logger.warning(
            "cache burst ended kind=%s pool=%s cause=%s seconds=%.1f calls=%d miss_rate=%.2f live_p99=%d "
            "rate_limited=%d extra_uncached_tokens=%d",
            burst.kind.value, burst.pool, burst.cause.value, seconds,
            burst.calls, burst.miss_rate, burst.live_p99, burst.refused, burst.extra_uncached_tokens,
        )  # fmt: skip
