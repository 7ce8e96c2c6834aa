"""What is good enough: the numbers that dashboards colour by and alerts fire on, in one home.

Ratios run from 0 to 1, times are seconds. Where a number is somebody's rule, its source stands
beside it; the others are defaults to change here, and nowhere else.
"""

from dataclasses import dataclass
from typing import Final

from penstock.classifiers import CLASSES, ErrorClass, Group


@dataclass(frozen=True, slots=True)
class Objective:
    """Where good ends: at `warning` somebody should look today, at `critical` now."""

    warning: float
    critical: float | None = None
    low_is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Burn:
    """Spending the error budget `factor` times too fast over the long and the short window."""

    factor: float
    long: str
    short: str


def _classes(*groups: Group) -> str:
    return "|".join(str(name) for name, facts in CLASSES.items() if facts.group in groups)


_RATE: Final = _classes(Group.RATE)
_TIMEOUT: Final = _classes(Group.TIMEOUT)
# What the request itself asked for is not the service's failure; everything else spends the budget.
_SLO: Final = "|".join((_RATE, _TIMEOUT, ErrorClass.SERVER_ERROR, ErrorClass.AUTH, ErrorClass.UNKNOWN))

# Which series count as what, as matchers of PromQL.
SUCCEEDED: Final = 'class="ok"'
FAILED: Final = 'class!="ok"'
RATE_LIMITED: Final = f'class=~"{_RATE}"'
TIMED_OUT: Final = f'class=~"{_TIMEOUT}"'
SPENT: Final = f'class=~"{_SLO}"'
DEGRADED: Final = 'trust=~"fallback|cache_stale"'

SLO_RATIO: Final = 0.99
# Windows and factors: Site Reliability Workbook, chapter 5, table 5-8 (multiwindow, multi-burn-rate).
FAST_BURN: Final = (Burn(14.4, "1h", "5m"), Burn(6.0, "6h", "30m"))
SLOW_BURN: Final = (Burn(3.0, "1d", "2h"), Burn(1.0, "3d", "6h"))
BURN_RATE: Final = Objective(SLOW_BURN[-1].factor, FAST_BURN[-1].factor)
BUDGET_LEFT: Final = Objective(0.25, 0.0, low_is_bad=True)

RATE_LIMITED_RATIO: Final = Objective(0.05, 0.25)
TIMEOUT_RATIO: Final = Objective(0.05)
MODEL_ERROR_RATIO: Final = Objective(0.10)
TOOL_ERROR_RATIO: Final = Objective(0.10)
RETRY_AMPLIFICATION: Final = Objective(1.3, 2.0)
HEADROOM_RATIO: Final = Objective(0.15, 0.05, low_is_bad=True)
CAP_LEFT_RATIO: Final = Objective(0.25, low_is_bad=True)
QUEUE_WAIT_SECONDS: Final = Objective(15.0, 60.0)
SLOWDOWN: Final = Objective(2.0)
DEGRADED_RATIO: Final = Objective(0.10)
QUOTA_LEFT_RATIO: Final = Objective(0.10, 0.02, low_is_bad=True)
QUOTA_SAMPLE_AGE_SECONDS: Final = Objective(300.0)
FANOUT_LIVE_CALLS: Final = Objective(4.0)
CALLERS_GROWTH: Final = Objective(1.5)
SERVED_GROWTH: Final = Objective(1.1)
SLO_EVENTS_FLOOR: Final = 20
"""A burn rate over fewer operations is one failure's noise (Site Reliability Workbook, chapter 5)."""
SENT_PER_SECOND_FLOOR: Final = 0.1
"""Below this many calls a second a share says little: no alert on it."""
