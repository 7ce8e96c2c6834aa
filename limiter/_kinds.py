"""A 429 is not one thing: which part of the limiter a verdict moves."""

from enum import Enum, auto
from typing import Final

from penstock.classifiers import ErrorClass, Verdict


class Kind(Enum):
    """What a failed attempt means for its pool."""

    RATE = auto()
    """A window said wait: the send rate moves."""
    CONCURRENCY = auto()
    """Too many at once: the cap moves."""
    SLOPE = auto()
    """Grew too fast inside the quota: the ramp moves."""
    OVERLOAD = auto()
    """The provider lacks capacity: the cap and the routing move."""
    EXHAUSTED = auto()
    """Money, plan or a day's cap: the pool is parked and never retried."""
    TOO_LARGE = auto()
    """This one request can never fit: it fails at once."""
    FAULT = auto()
    """Timeout, network or server error: repeated only if safe; a burst moves the cap."""
    IGNORED = auto()
    """The caller's or the model's own matter."""


_SLOPE_WORDS: Final = ("slope", "ramp", "slow_down", "acceler", "burst_rate", "growth")
_BY_CLASS: Final = {
    ErrorClass.QUOTA: Kind.EXHAUSTED,
    ErrorClass.OVERLOADED: Kind.OVERLOAD,
    ErrorClass.TIMEOUT: Kind.FAULT,
    ErrorClass.NETWORK: Kind.FAULT,
    ErrorClass.SERVER_ERROR: Kind.FAULT,
}


def kind_of(verdict: Verdict) -> Kind:
    """Sort a verdict by the part of the limiter it moves."""
    if verdict.error_class is not ErrorClass.RATE_LIMIT:
        return _BY_CLASS.get(verdict.error_class, Kind.IGNORED)
    reason, dimension = verdict.reason, verdict.limit_dimension or ""
    if "too_large" in reason:
        return Kind.TOO_LARGE
    if dimension == "client_queue" or "client_side" in reason:
        return Kind.IGNORED  # someone's own limiter spoke, not the provider
    if dimension == "concurrency" or "concurren" in reason:
        return Kind.CONCURRENCY
    if any(word in reason or word in dimension for word in _SLOPE_WORDS):
        return Kind.SLOPE
    if dimension.endswith(("_day", "_month")):
        return Kind.EXHAUSTED
    return Kind.RATE if verdict.retryable else Kind.EXHAUSTED
