"""A token bucket that can owe. Amounts are requests or tokens, rates per second, times seconds."""

from math import inf

_DUST = 1e-6


class Bucket:
    """Refills at `rate` up to `depth`.

    A cost above the depth is admitted when the bucket is full and leaves a debt, so that the rate
    holds on average whatever a call costs.
    """

    __slots__ = ("at", "depth", "level", "rate")

    def __init__(self, rate: float, depth: float, now: float) -> None:
        self.rate = rate
        self.depth = depth
        self.level = depth
        self.at = now

    def refill(self, now: float) -> None:
        """Move to `now`."""
        if now > self.at:
            self.level = min(self.depth, self.level + self.rate * (now - self.at))
            self.at = now

    def when(self, cost: float, now: float) -> float:
        """Say when `cost` can be taken: `now`, later, or inf."""
        if now > self.at:  # `refill`, without the call: this is asked for every send
            level = self.level + self.rate * (now - self.at)
            self.level = min(self.depth, level)
            self.at = now
        missing = min(cost, self.depth) - self.level
        if missing <= _DUST:
            return now
        return now + missing / self.rate if self.rate > 0 else inf

    def deepen(self, depth: float) -> None:
        """Hold more, and be as far from full as before."""
        if depth > self.depth:
            self.level += depth - self.depth
            self.depth = depth

    def take(self, cost: float) -> None:
        """Take without asking."""
        self.level -= cost

    def give(self, amount: float) -> None:
        """Give back what was taken and not used."""
        self.level = min(self.depth, self.level + amount)
