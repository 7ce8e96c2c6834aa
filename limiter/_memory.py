"""What a pool remembers across restarts: its rate, its limits, its cap, and until when it is parked."""

from collections.abc import Mapping
from math import isfinite

from penstock.limiter._pool import Pool

_STALE_SECONDS = 7 * 86400.0
_CAUTION = 0.8
_MOST = 1e15
"""More is no time, rate or cap."""


def remember(pool: Pool, now: float, wall: float) -> dict[str, object]:
    """Give what was learnt as plain JSON data; times as Unix seconds."""
    data: dict[str, object] = {"at": wall}
    rate = pool.rate(now)
    if isfinite(rate):
        data["rate_per_second"] = rate
    if isfinite(pool.cap.learned):
        data["cap"] = pool.cap.learned
    if pool.parked_until > now:
        data["parked_until"] = wall + pool.parked_until - now
    meter = pool.mirror.requests
    if meter is not None:
        data["windowed"] = meter.windowed
    return data


def recall(pool: Pool, data: object, now: float, wall: float) -> None:
    """Start warm: 0.8 of the rate, the cap, and the parking as it was. Old or odd data is ignored."""
    if not isinstance(data, Mapping):
        return
    parked = _number(data.get("parked_until"))
    if parked is not None and parked > wall:
        pool.parked_until = now + parked - wall
    saved = _number(data.get("at"))
    if saved is None or wall - saved > _STALE_SECONDS:
        return
    rate = _number(data.get("rate_per_second"))
    if rate is not None and rate > 0:
        pool.pacer.start(_CAUTION * rate, now)
    cap = _number(data.get("cap"))
    if cap is not None and cap >= 1:
        pool.cap.recall(cap, now)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _MOST else None
