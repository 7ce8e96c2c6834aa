"""Queries that more than one board asks."""

from typing import Final

from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o
from penstock.telemetry.promql import PromQL, over

PANEL: Final = PromQL(scope=('job=~"$job"', 'pool=~"$pool"'), window="$__rate_interval")

rate_limited_share: Final = PANEL.share(m.ATTEMPTS, o.RATE_LIMITED)
degraded_share: Final = PANEL.share(m.ANSWERS, o.DEGRADED)
amplification: Final = over(PANEL.rate(m.ATTEMPTS), PANEL.rate(m.OPERATIONS))
cap: Final = PANEL.total(m.CAP)
queue: Final = PANEL.total(m.QUEUE)
mean_live: Final = PANEL.live_mean()
headroom: Final = PANEL.headroom()


def seconds_to_exhaustion(ceiling_seconds: int = 86400) -> str:
    """Seconds until a quota is used up at the pace of the last minutes; the ceiling when it is not."""
    by = "pool, dimension"
    remaining = PANEL.total(m.QUOTA_REMAINING, by=by, function="min")
    pace = f"min by ({by}) (deriv({PANEL.select(m.QUOTA_REMAINING)}[5m]))"
    return f"clamp_max({remaining} / clamp_min(-({pace}), 0.000001), {ceiling_seconds})"


def budget_left(window: str = "30d") -> str:
    """Share of the error budget that is left over the window."""
    spent = over(
        PANEL.increase(m.OPERATIONS, o.SPENT, window=window), PANEL.increase(m.OPERATIONS, window=window)
    )
    return f"1 - ({spent}) / {round(1 - o.SLO_RATIO, 6)}"


def burn_rate(window: str) -> str:
    """How many times too fast the error budget is spent."""
    return f"({PANEL.share(m.OPERATIONS, o.SPENT, window=window)}) / {round(1 - o.SLO_RATIO, 6)}"
