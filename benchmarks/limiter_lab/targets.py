"""What our limiter is held to, scenario by scenario."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Bounds of one scenario's means over seeds. `p99` is of task time, over a FIFO oracle's."""

    goodput: float = 0.99
    refused: float = 1.0
    p99: float = 1.05
    failed: float = 0.0
    wait: float = 3.0

    def missed(self, means: dict[str, float], lost: float = 0.0) -> list[str]:
        """Name the fields of `means` that miss; `lost`: the share of tasks that nobody could save."""
        bounds = {
            "rate_limited_per_1000": self.refused,
            "task_p99_over_oracle": self.p99,
            "tasks_failed_ratio": max(self.failed, lost),
            "worst_wait_over_median": self.wait,
        }
        found = [] if means["goodput_ratio"] >= self.goodput else ["goodput_ratio"]
        return found + [name for name, most in bounds.items() if means.get(name, 0.0) > most]


FULL: Final = 0.85
"""Where demand is at least one and a half times the quota, oldest task first beats first come."""

_SATURATED: Final = Target(p99=FULL)
_UNTOLD: Final = Target(refused=12, p99=FULL)
_UNTOLD_STEADY: Final = Target(goodput=0.997, refused=12, p99=FULL)
_TOKENS: Final = Target(refused=20, p99=FULL)

TARGETS: Final[dict[str, Target]] = {
    "bucket-1s": _SATURATED,
    "bucket-60s": _SATURATED,
    "rejections-charged": _SATURATED,
    "rejections-charged-no-headers": _UNTOLD,
    "concurrency-moves": Target(goodput=0.95, refused=12),
    "concurrency-only": _SATURATED,
    "deadline": _SATURATED,
    "fixed-window": Target(refused=8),
    "fixed-window-blind": Target(refused=60),
    "fixed-window-retry-after": Target(refused=8),
    "groq": _UNTOLD,
    "known-limits": _SATURATED,
    "known-limits-told": _SATURATED,
    "lies-negative": _UNTOLD,
    "lies-past-reset": _SATURATED,
    "lies-rounded": _SATURATED,
    "lies-zero": _SATURATED,
    "mixed-sizes": _TOKENS,
    "neighbour": Target(goodput=0.98, refused=20, p99=FULL),
    "neighbour-competing": Target(goodput=0.95, refused=20),
    "neighbour-tokens-competing": Target(goodput=0.95, refused=20),
    "no-headers": _UNTOLD_STEADY,
    "no-hints": _UNTOLD_STEADY,
    "otpm": _TOKENS,
    "overloads": _SATURATED,
    "outage-fallback": Target(goodput=0.98),
    "outage-fallback-patient": Target(goodput=0.98),
    "processes-20": Target(refused=60),
    "processes-20-shared": _SATURATED,
    "quota-change-no-headers": Target(refused=12),
    "sliced-1s": _SATURATED,
    "slow-calls": Target(goodput=0.995),
    "slow-calls-overload": Target(goodput=0.995, p99=FULL),
    "steady-25": _SATURATED,
    "steady-50": _SATURATED,
    "steady-100": _SATURATED,
    "tpm-heavy-tail": _TOKENS,
    "window-10s": Target(refused=8),
    "window-tokens-no-hints": Target(goodput=0.95, refused=60),
}


def target_of(scenario: str) -> Target:
    """Give a scenario's target: the general one, if it is none of those above."""
    return TARGETS.get(scenario, Target())


def means_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Average each number over seeds; what no row has is left out."""
    found: dict[str, float] = {}
    for name in rows[0]:
        values = [row[name] for row in rows if isinstance(row.get(name), int | float)]
        if values:
            found[name] = sum(values) / len(values)
    return found
