"""From one run to one row."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median
from typing import Any, Final

from benchmarks.limiter_lab.world import Call, Seconds, Task, World

SIZE_CLASSES: Final = 10
LEAST_MEDIAN_SECONDS: Final = 1.0
"""Waits shorter than this are all the same to whoever waits: the ratio's denominator is no less."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run. `work` counts calls or tokens of tasks that had not failed by the horizon.

    `task_seconds` are those of tasks that ended well. `worst_wait_over_median`: calls in ten classes by
    size, the class with the longest mean wait over the median class: what large calls suffer.
    """

    work: float
    calls: int
    attempts: int
    rate_limited: int
    tasks_ended: int
    tasks_failed: int
    task_p50_seconds: float | None
    task_p99_seconds: float | None
    worst_wait_over_median: float | None
    fallback_ratio: float
    live_max: int
    answered: Counter[int]
    seconds: Seconds
    compute_seconds: float = 0.0

    @property
    def rate_limited_per_1000(self) -> float:
        """429s per 1000 attempts."""
        return 1000 * self.rate_limited / self.attempts if self.attempts else 0.0

    @property
    def tasks_failed_ratio(self) -> float:
        """Failed tasks of those that ended."""
        return self.tasks_failed / self.tasks_ended if self.tasks_ended else 0.0


def measure(world: World, tasks: Sequence[Task], *, tokens: bool) -> Result:
    """Sum up a run at its horizon."""
    ended = [task for task in tasks if task.ended is not None]
    failed = [task for task in ended if task.failed]
    done = [call for task in tasks for call in task.calls if call.done is not None]
    useful = [call for call in done if not call.task.failed]
    times = sorted(task.ended - task.started for task in ended if task.ended and not task.failed)
    return Result(
        work=float(sum(call.tokens for call in useful) if tokens else len(useful)),
        calls=len(done),
        attempts=world.attempts,
        rate_limited=world.rate_limited,
        tasks_ended=len(ended),
        tasks_failed=len(failed),
        task_p50_seconds=quantile(times, 0.50),
        task_p99_seconds=quantile(times, 0.99),
        worst_wait_over_median=_worst_wait(done),
        fallback_ratio=sum(call.pool > 0 for call in done) / len(done) if done else 0.0,
        live_max=max(world.seconds.in_flight.values(), default=0),
        answered=Counter(int(call.done) for call in done if call.done is not None),
        seconds=world.seconds,
    )


def quantile(ordered: Sequence[float], p: float) -> float | None:
    """Take the nearest rank of sorted values; None of none."""
    return ordered[max(0, math.ceil(p * len(ordered)) - 1)] if ordered else None


def _worst_wait(done: Iterable[Call]) -> float | None:
    by_size = sorted(done, key=lambda call: call.tokens)
    if len(by_size) < SIZE_CLASSES:
        return None
    edges = [len(by_size) * k // SIZE_CLASSES for k in range(SIZE_CLASSES + 1)]
    waits = [mean(call.waited for call in by_size[a:b]) for a, b in pairwise(edges)]
    return max(LEAST_MEDIAN_SECONDS, max(waits)) / max(LEAST_MEDIAN_SECONDS, median(waits))


def row(
    scenario: str, policy: str, seed: int, result: Result, oracle: Result, over_bound: float
) -> dict[str, Any]:
    """Make the JSON row of a run."""
    p99, best = result.task_p99_seconds, oracle.task_p99_seconds
    return {
        "scenario": scenario,
        "policy": policy,
        "seed": seed,
        # Where even the oracle's tasks all fail, nobody can do better.
        "goodput_ratio": result.work / oracle.work if oracle.work else 1.0,
        "rate_limited_per_1000": result.rate_limited_per_1000,
        "tasks_failed_ratio": result.tasks_failed_ratio,
        "task_p50_seconds": result.task_p50_seconds,
        "task_p99_seconds": p99,
        "task_p99_over_oracle": p99 / best if p99 is not None and best else None,
        "worst_wait_over_median": result.worst_wait_over_median,
        "fallback_ratio": result.fallback_ratio,
        "oracle_over_bound": over_bound,
        "attempts": result.attempts,
        "calls": result.calls,
        "tasks_ended": result.tasks_ended,
        "live_max": result.live_max,
        "compute_seconds": round(result.compute_seconds, 3),
    }
