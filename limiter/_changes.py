"""What a pool decided, for whoever listens: metrics, span events, plots."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """One decision: what moved (cap, rate, gate, ramp, mode), up or down, why, to what, and when."""

    pool: str
    what: str
    direction: str
    reason: str
    value: float
    at: float


class Changes:
    """Tells a pool's changes to `emit`."""

    __slots__ = ("_emit", "_pool")

    def __init__(self, pool: str, emit: Callable[[Change], None]) -> None:
        self._pool = pool
        self._emit = emit

    def tell(self, what: str, direction: str, reason: str, value: float, now: float) -> None:
        """Tell one."""
        self._emit(Change(self._pool, what, direction, reason, value, now))

    def moved(self, what: str, before: float, after: float, reason: str, now: float) -> None:
        """Tell that a number changed, if it did."""
        if after != before:
            self.tell(what, "up" if after > before else "down", reason, after, now)
