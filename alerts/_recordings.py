"""Ratios and levels that several alerts share, computed once."""

from typing import Final

from penstock.alerts._spec import Clock, Recording
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o
from penstock.telemetry.promql import PromQL, over

BY: Final = "job, pool"
QUERY: Final = PromQL()

ATTEMPT_RATE: Final = "pool:penstock_attempts:rate5m"
RATE_LIMITED_RATIO: Final = "pool:penstock_attempts_429:ratio_rate5m"
TIMEOUT_RATIO: Final = "pool:penstock_attempts_timeout:ratio_rate5m"
AMPLIFICATION: Final = "pool:penstock_retry_amplification:ratio_rate5m"
HEADROOM: Final = "pool:penstock_headroom:ratio"
LIVE_P99: Final = "pool:penstock_live_calls:p99_5m"
LIVE_MEAN: Final = "pool:penstock_live_calls:mean_5m"
DEGRADED_RATIO: Final = "pool:penstock_degraded_answers:ratio_rate5m"

FAST_WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h")
SLOW_WINDOWS: Final = ("1d", "3d")


def slo_errors(window: str) -> str:
    """Name the recorded share of operations that spent the error budget in a window."""
    return f"pool:penstock_slo_errors:ratio_rate{window}"


def recordings(clock: Clock) -> tuple[Recording, ...]:
    """Return what is computed at each evaluation."""
    recent = clock("5m")
    attempts = QUERY.rate(m.ATTEMPTS, by=BY, window=recent)
    operations = QUERY.rate(m.OPERATIONS, by=BY, window=recent)
    return (
        Recording(ATTEMPT_RATE, attempts),
        Recording(RATE_LIMITED_RATIO, QUERY.share(m.ATTEMPTS, o.RATE_LIMITED, by=BY, window=recent)),
        Recording(TIMEOUT_RATIO, QUERY.share(m.ATTEMPTS, o.TIMED_OUT, by=BY, window=recent)),
        Recording(AMPLIFICATION, over(attempts, operations)),
        Recording(HEADROOM, QUERY.headroom(by=BY)),
        Recording(LIVE_P99, QUERY.live_quantile(0.99, by=BY, window=recent)),
        Recording(LIVE_MEAN, QUERY.live_mean(by=BY, window=recent)),
        Recording(DEGRADED_RATIO, QUERY.share(m.ANSWERS, o.DEGRADED, by=BY, window=recent)),
        *(_slo(window, clock) for window in FAST_WINDOWS),
    )


def slow_recordings(clock: Clock) -> tuple[Recording, ...]:
    """Return the long windows: dear to compute, and slow to change."""
    return tuple(_slo(window, clock) for window in SLOW_WINDOWS)


def _slo(window: str, clock: Clock) -> Recording:
    share = QUERY.share(m.OPERATIONS, o.SPENT, by=BY, window=clock(window))
    return Recording(slo_errors(window), share)
