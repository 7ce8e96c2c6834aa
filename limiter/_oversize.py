"""Calls that are larger than their whole token window, as far as headers tell."""

from collections.abc import Container
from math import inf
from typing import Final

from penstock.limiter._kinds import Kind
from penstock.providers import Quota

_TRUSTED_SECONDS: Final = 600.0
_FULL: Final = 0.95


class Oversize:
    """Lets the provider have the last word, once: waiting cures no call that can never fit.

    A call's size is an estimate, and providers differ in what they count (cache reads, declared output).
    So one oversize call at a time goes at once, without waiting for tokens. From the size that was then
    refused for good, calls are refused here, for ten minutes; up to the size that was taken, they wait
    for a full window. Sizes are in windows: 1 just fits.
    """

    __slots__ = ("_fits", "_never", "_never_tokens", "_never_until", "_trial")

    def __init__(self) -> None:
        self._fits = 1.0
        self._never = inf
        self._never_tokens = inf
        self._never_until = -inf
        self._trial: int | None = None

    @property
    def known(self) -> bool:
        """Whether any size was ever refused for good."""
        return self._never_until > -inf

    def hopeless(self, size: float, tokens: int, now: float) -> bool:
        """Whether the provider refused for good what was no larger, in windows or in declared tokens."""
        return now < self._never_until and (size >= self._never or tokens >= self._never_tokens)

    def told(self, tokens: int, now: float) -> None:
        """Learn from a refusal that says itself that so many declared tokens are too many."""
        if now >= self._never_until:
            self._never = self._never_tokens = inf
        self._never_tokens = min(self._never_tokens, tokens)
        self._never_until = now + _TRUSTED_SECONDS

    def try_out(self, number: int, size: float, live: Container[int | None]) -> bool:
        """Whether this call may go now to find out; `live` holds the numbers of calls that are out."""
        if size <= self._fits or self._trial in live:
            return False
        self._trial = number
        return True

    def heard(
        self, kind: Kind | None, size: float, lacked: str, quota: Quota | None, now: float
    ) -> Kind | None:
        """Learn from the answer to an oversize call; a refusal by a full window is for good.

        `lacked`: the dimension that the refusal named, if it did.
        """
        full = quota is not None and _full(quota) and not lacked.startswith("requests")
        if kind is None:
            self._fits = max(self._fits, size)
            if size >= self._never:
                self._never = inf
        elif kind is Kind.TOO_LARGE or (kind is Kind.RATE and full):
            self._never = min(self._never, size) if now < self._never_until else size
            self._never_until = now + _TRUSTED_SECONDS
            self._fits = 1.0
            return Kind.TOO_LARGE
        return kind


def _full(quota: Quota) -> bool:
    """Whether a refusal's own headers say that no window lacks anything but size."""
    if quota.requests is not None and (quota.requests.remaining or 0.0) < 1:
        return False
    tokens = [w for w in (quota.tokens, quota.input_tokens, quota.output_tokens) if w is not None]
    return bool(tokens) and all(
        w.limit is not None and w.remaining is not None and w.remaining >= _FULL * w.limit for w in tokens
    )
