"""Decide when each call goes: pools, budgets, one queue, retries and routes."""

from penstock.limiter._changes import Change
from penstock.limiter._clock import LoopScheduler, Scheduler, ThreadScheduler
from penstock.limiter._events import Event, Would
from penstock.limiter._gate import GateState
from penstock.limiter._limiter import Limiter
from penstock.limiter._outlook import PoolSnapshot
from penstock.limiter._settings import Fallback, LimiterSettings, PoolSettings, parse_pool, parse_settings

__all__ = [
    "Change",
    "Event",
    "Fallback",
    "GateState",
    "Limiter",
    "LimiterSettings",
    "LoopScheduler",
    "PoolSettings",
    "PoolSnapshot",
    "Scheduler",
    "ThreadScheduler",
    "Would",
    "parse_pool",
    "parse_settings",
]
