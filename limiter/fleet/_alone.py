"""What a process sends of a fleet's quota by itself, while the store is lost. Sans-IO."""

from math import floor, inf
from typing import Final

from penstock.limiter._bucket import Bucket

ALONE: Final = 0.9
"""So much of the last share is used."""


class Alone:
    """Nine tenths of a share: at first on `held` slots, then on one more each second, up to its own.

    Who never had a share knows neither it nor the number of others: one call, and one more each second.
    """

    def __init__(self, now: float, *, held: float = 1.0, slots: float = inf) -> None:
        self._since = now
        self._held = held
        self._slots = max(1, floor(ALONE * slots)) if slots < inf else inf
        self._bucket: Bucket | None = None

    def bound(self, rate: float, level: float | None, now: float) -> None:
        """Hold to this rate of the share, calls a second; begin with `level` calls, or a second's worth."""
        self._bucket = Bucket(ALONE * rate, max(1.0, ALONE * rate), now)
        if level is not None:
            self._bucket.level = level

    def when(self, live: int, now: float) -> float:
        """Say when a call may go beside those that are `live`: `now`, later, or inf until one ends."""
        if live >= self._slots:
            return inf
        if live >= self._held + int(now - self._since):
            return self._since + 1 + live - self._held
        return now if self._bucket is None else self._bucket.when(1.0, now)

    def sent(self, now: float) -> None:
        """Charge a call that goes out."""
        if self._bucket is not None:
            self._bucket.refill(now)
            self._bucket.take(1.0)

    def credit(self, now: float) -> float:
        """Tell how much of its next turn was earned; all, where no rate is known."""
        if self._bucket is None:
            return 1.0
        self._bucket.refill(now)
        return max(0.0, min(1.0, self._bucket.level))
