"""The arithmetic before any trace exists: how many tasks fit, which cap, what share for each instance.

Little's law (L = λ W; J. D. C. Little, Operations Research 9, 1961): calls at once = calls a second ×
seconds a call.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from penstock.analysis.answer import Answer, Table
from penstock.errors import UsageError

_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is known. A limit of None does not bind; `headroom_ratio` of each limit is left unused."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int | None = None
    calls_per_task: float
    tokens_per_call: float
    seconds_per_call: float
    calls_at_once_per_task: float = 1.0
    tasks: float | None = None
    instances: int = 1
    headroom_ratio: float = 0.1


def plan(load: Load) -> Answer:
    """Answer `penstock plan`.

    Raises:
        UsageError: no limit is given, or a number makes no sense.
    """
    _check(load)
    free = 1 - load.headroom_ratio
    bounds = {
        "requests per minute": _scaled(load.requests_per_minute, free / 60),
        "tokens per minute": _scaled(load.tokens_per_minute, free / 60 / load.tokens_per_call),
        "calls at once": _scaled(load.concurrency, 1 / load.seconds_per_call),
    }
    known = {name: bound for name, bound in bounds.items() if bound is not None}
    binding = min(known, key=lambda name: known[name])
    per_second = known[binding]
    cap = max(1, math.ceil(per_second * load.seconds_per_call - _ROUNDING))
    if load.concurrency is not None:
        cap = min(cap, load.concurrency)
    alone = load.calls_per_task * load.seconds_per_call / load.calls_at_once_per_task
    fit = per_second * load.seconds_per_call / load.calls_at_once_per_task
    data: dict[str, Any] = {
        "binding": binding,
        "calls_per_second": per_second,
        "calls_per_minute": per_second * 60,
        "tokens_per_minute": per_second * 60 * load.tokens_per_call,
        "tasks_per_minute": per_second * 60 / load.calls_per_task,
        "tasks_at_once": fit,
        "task_seconds": alone,
        "cap": cap,
        "per_instance": {
            "cap": max(1, cap // load.instances),
            "calls_per_minute": per_second * 60 / load.instances,
        },
        "bounds_calls_per_second": bounds,
    }
    lines = [
        f"{binding} binds: {per_second * 60:,.0f} calls/min, {data['tasks_per_minute']:,.1f} tasks/min",
        f"{fit:,.1f} tasks fit at once; cap live calls at {cap:,} "
        f"({data['per_instance']['cap']:,} for each of {load.instances:,} instances)",
    ]
    if load.tasks is not None:
        data["asked"] = asked = _asked(load, per_second, fit, alone)
        lines.append(
            f"{load.tasks:,.0f} tasks at once would keep {asked['live_calls']:,.0f} calls live: "
            f"{asked['load_ratio']:.0%} of what fits; the batch takes {asked['seconds']:,.0f} s"
        )
    rows = [[name, held] for name, held in data.items() if isinstance(held, int | float | str)]
    return Answer("plan", data, lines, [Table("plan", ("what", "value"), rows)])


def _asked(load: Load, per_second: float, fit: float, alone: float) -> dict[str, float]:
    """Tell what a wanted number of tasks does, the 25 × 20 = 500 arithmetic."""
    assert load.tasks is not None
    calls = load.tasks * load.calls_per_task
    return {
        "tasks": load.tasks,
        "calls": calls,
        "live_calls": load.tasks * load.calls_at_once_per_task,
        "load_ratio": load.tasks / fit,
        "seconds": max(alone, calls / per_second),
    }


def _scaled(limit: float | None, factor: float) -> float | None:
    return None if limit is None else limit * factor


def _check(load: Load) -> None:
    if load.requests_per_minute is None and load.tokens_per_minute is None and load.concurrency is None:
        raise UsageError("give at least one limit: --rpm, --tpm or --concurrency")
    for name in ("calls_per_task", "tokens_per_call", "seconds_per_call", "calls_at_once_per_task"):
        if getattr(load, name) <= 0:
            raise UsageError(f"{name} must be above 0, not {getattr(load, name):g}")
    if not 0 <= load.headroom_ratio < 1:
        raise UsageError(f"headroom must be from 0 to below 1, not {load.headroom_ratio:g}")
