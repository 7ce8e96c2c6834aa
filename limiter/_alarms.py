"""When each pool is to be looked at again: many times of many pools, one timer."""

from collections.abc import Callable
from math import inf
from typing import Final

from penstock.limiter._clock import Scheduler, ThreadScheduler

_LEAST_PAUSE: Final = 1e-4
_TOLERANCE: Final = 1e-9


class Alarms:
    """Rings at the earliest of the times set; its owner's lock guards it.

    `ring` is called without that lock, with what `due` then wants to know of the alarm that rang.
    """

    def __init__(
        self, clock: Callable[[], float], scheduler: Scheduler | None, ring: Callable[[int, float], None]
    ) -> None:
        self._clock = clock
        self._given = self._scheduler = scheduler
        self._ring = ring
        self._at: dict[str, float] = {}
        self._timer_at = inf
        self._generation = 0

    def of(self, pool: str) -> float:
        """Say when a pool is to be looked at; inf is never."""
        return self._at.get(pool, inf)

    def set(self, pool: str, at: float) -> None:
        """Look at a pool at this time instead of the one that was set; inf is never."""
        if at == inf:
            self._at.pop(pool, None)
            return
        self._at[pool] = at
        self._earlier(at)

    def due(self, generation: int, at: float, now: float) -> list[str]:
        """Take the pools whose time has come; none if another alarm has taken the place of this one."""
        if generation != self._generation or at != self._timer_at:
            return []
        self._timer_at = inf
        pools = [pool for pool, when in self._at.items() if when <= now + _TOLERANCE]
        for pool in pools:
            del self._at[pool]
        self._earlier(min(self._at.values(), default=inf))
        return pools

    def forget(self) -> None:
        """Drop every alarm, and the parent's timer thread, in a forked child."""
        self._generation += 1
        self._timer_at = inf
        self._at.clear()
        self._scheduler = self._given

    def _earlier(self, at: float) -> None:
        if at >= self._timer_at:
            return
        if self._scheduler is None:
            self._scheduler = ThreadScheduler()
        generation = self._generation
        self._scheduler.call_at(max(at, self._clock() + _LEAST_PAUSE), lambda: self._ring(generation, at))
        self._timer_at = at
