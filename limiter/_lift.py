"""Pacing by what headers tell of the request rate, instead of by what deliveries taught."""

from typing import Final

from penstock.limiter._changes import Changes
from penstock.limiter._mirror import Mirror
from penstock.limiter._pacer import Pacer

_BURST: Final = (1.02, 3.0)
_BURST_CUT: Final = 0.7
_BURST_GROWTH: Final = 1 + 0.01 / 8
_WINDOWED: Final = 3.0
_DRIFT: Final = 0.02
_TELLING: Final = 0.25
"""A rate that moved by less is set, but not told."""
_CLAIM: Final = 0.5
"""Where others take most of a quota: the share of it to try first."""


class Lift:
    """Paces at a multiple of the told rate, so that a full bucket is used but not at once.

    The multiple shrinks with each refusal and grows back slowly. Where others take most of the quota its
    headers tell what they left, and refusals are asked again.
    """

    __slots__ = ("_burst", "_changes", "_mirror", "_pacer", "_rate")

    def __init__(self, mirror: Mirror, pacer: Pacer, changes: Changes) -> None:
        self._mirror = mirror
        self._pacer = pacer
        self._changes = changes
        self._burst = _BURST[1]
        self._rate = 0.0

    def follow(self, now: float) -> None:
        """Take over what the headers of an answer told."""
        self._follow(now, force=False)

    def refused(self, now: float) -> None:
        """Go slower at once: the told rate was too much."""
        self._burst = max(_BURST[0], self._burst * _BURST_CUT)
        self._follow(now, force=True)

    def _follow(self, now: float, *, force: bool) -> None:
        meter = self._mirror.requests
        if meter is None:
            return
        if meter.crowded:
            if self._pacer.lifted:
                self._rate = 0.0
                self._pacer.drop(_CLAIM * meter.rate, now)
                self._changes.tell("rate", "down", "crowded", self._pacer.rate, now)
            return
        if self._burst < _BURST[1]:
            self._burst = min(_BURST[1], self._burst * _BURST_GROWTH)
        rate = self._burst * (_WINDOWED * meter.rate if meter.windowed else meter.net_rate)
        moved = abs(rate - self._rate)
        if force or moved > _DRIFT * self._rate:
            if self._rate == 0 or moved > _TELLING * self._rate:
                self._changes.moved("rate", self._rate, rate, "headers", now)
            self._rate = rate
            self._pacer.lift(rate, now)
