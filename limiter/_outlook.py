"""What a pool tells of itself: how long calls would wait, how many more fit, how it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from penstock.limiter._entry import Entry
from penstock.limiter._gate import GateState

if TYPE_CHECKING:
    from penstock.limiter._pool import Pool

_FADING: Final = 0.9
"""What is left after a second of the sends counted before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSnapshot:
    """A pool as it stands. inf is no bound; `expected_wait_seconds` is a new call's."""

    pool: str
    cap: float
    rate_per_second: float
    in_flight: int
    queued: int
    gate: GateState
    gate_seconds: float
    parked_seconds: float
    expected_wait_seconds: float
    headroom: int
    windowed: bool
    limits: dict[str, tuple[float, float]]
    refused_per_1000: float


class Outlook:
    """Estimates over a pool's controllers."""

    __slots__ = ("_pool", "_rate", "_sent_at")

    def __init__(self, pool: "Pool", now: float) -> None:
        self._pool = pool
        self._sent_at = now
        self._rate = 0.0

    def sent(self, now: float) -> None:
        """Count a send: where nothing else is known, the last ten seconds' sends are the rate."""
        self._rate = self._rate * _FADING ** (now - self._sent_at) + 0.1
        self._sent_at = now

    def expected_wait(self, entry: Entry, ahead: int, now: float) -> float:
        """Estimate how long a call with `ahead` calls before it would wait, in seconds."""
        pool = self._pool
        if pool.parked_until > now:
            return pool.parked_until - now
        closed = max(0.0, pool.gate.until - now) if pool.gate.state is GateState.CLOSED else 0.0
        first = pool.when(entry, now)
        wait = closed if first == inf else max(0.0, first - now)
        if ahead <= 0 and first < inf:
            return wait
        rate = self._service_rate(now)
        return max(wait, closed + max(0.0, ahead + 1 - self._burst_room(now)) / rate)

    def drain_wait(self, now: float) -> Callable[[int], float]:
        """Make an estimator of how long the n-th waiting call (from 0) will wait; cheap to ask often."""
        probe = Entry.probe(now)
        first = self.expected_wait(probe, 0, now)
        room, rate = self._burst_room(now), self._service_rate(now)
        return lambda ahead: first + max(0.0, ahead - room) / rate

    def snapshot(self, now: float) -> PoolSnapshot:
        """Describe the pool."""
        pool = self._pool
        probe = Entry.probe(now)
        queued = len(pool.queue)
        wait = self.expected_wait(probe, queued, now) * pool.overtaking.factor(queued, queued)
        return PoolSnapshot(
            pool=pool.name,
            cap=pool.cap.limit,
            rate_per_second=pool.rate(now),
            in_flight=len(pool.live),
            queued=len(pool.queue),
            gate=pool.gate.state,
            gate_seconds=max(0.0, pool.gate.until - now) if pool.gate.state is GateState.CLOSED else 0.0,
            parked_seconds=max(0.0, pool.parked_until - now),
            expected_wait_seconds=wait,
            headroom=self.headroom(now),
            windowed=pool.mirror.requests is not None and pool.mirror.requests.windowed,
            limits={name: (meter.limit, max(0.0, meter.level)) for name, meter in pool.mirror.meters()},
            refused_per_1000=1000 * pool.refusals / max(1, pool.attempts),
        )

    def headroom(self, now: float) -> int:
        """Say how many more calls could run at once without waiting, as far as is known."""
        pool = self._pool
        if pool.parked_until > now or pool.gate.state is not GateState.OPEN:
            return 0
        free = pool.cap.limit - len(pool.live) - len(pool.queue)
        rate, seconds = pool.rate(now), pool.cap.p90_seconds
        if rate < inf and seconds is not None:
            free = min(free, rate * seconds - len(pool.live) - len(pool.queue))
        return max(0, int(min(free, 1_000_000)))

    def _service_rate(self, now: float) -> float:
        pool = self._pool
        rates = [pool.rate(now) if pool.pacer.lifted else min(pool.rate(now), pool.pacer.mean)]
        if pool.share is not None:
            rates.append(pool.share.rate_per_second)
        if pool.cap.limit < inf and pool.cap.p90_seconds:
            rates.append(pool.cap.limit / pool.cap.mean_seconds)
        if pool.mirror.tokens is not None:
            rates.append(pool.mirror.tokens.active.net_rate / max(1.0, pool.mirror.mean_cost))
        rate = min(rates)
        if rate == inf:
            rate = max(self._sent_per_second(now), 1.0)
        return max(rate, 1e-3)

    def _burst_room(self, now: float) -> float:
        pool = self._pool
        meter = pool.mirror.requests
        return max(0.0, meter.level) if meter is not None else 0.0

    def _sent_per_second(self, now: float) -> float:
        return self._rate * float(_FADING ** max(0.0, now - self._sent_at))
