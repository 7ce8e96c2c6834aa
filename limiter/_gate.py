"""The gate: closed while the provider said wait, then exactly one probe, then open."""

from enum import IntEnum
from math import inf
from typing import Final

LONGEST_SECONDS: Final = 600.0
"""A longer Retry-After is probed once at this age, then at twice it: 24-hour values are seen in the wild."""
_QUIET_SECONDS: Final = 0.3
"""About four round trips: a refusal comes back at once, so that silence means admitted."""
_BACKOFF_SECONDS: Final = 1.0
_BACKOFF_GROWTH: Final = 1.6


class GateState(IntEnum):
    """Values of the metric `penstock_limiter_gate_state`."""

    OPEN = 0
    HALF_OPEN = 1
    CLOSED = 2


class Gate:
    """Nobody sends before `until`; then one call does; the rest follow when it was not refused."""

    __slots__ = ("_backoff", "_closed_at", "_opens_at", "_probe", "state", "until")

    def __init__(self) -> None:
        self.state = GateState.OPEN
        self.until = -inf
        self._closed_at = -inf
        self._opens_at = inf
        self._probe: object | None = None
        self._backoff = _BACKOFF_SECONDS

    @property
    def calm(self) -> bool:
        """Whether nothing closed it since the last success."""
        return self.state is GateState.OPEN and self._backoff == _BACKOFF_SECONDS

    def when(self, now: float) -> float:
        """Say when a call may pass: `now`, later, or inf while a probe is out."""
        if self.state is GateState.OPEN:
            return now
        if self.state is GateState.CLOSED:
            return max(now, self.until)
        if now >= self._opens_at:
            self._open()
            return now
        return self._opens_at

    def sent(self, call: object) -> None:
        """Take the first call after the closure for the probe."""
        self.state = GateState.HALF_OPEN
        self._probe = call
        self._opens_at = inf

    def quiet(self, after: float) -> None:
        """Let the others follow at `after` if nothing is heard of the probe until then."""
        self._opens_at = after

    def quiet_seconds(self, refusal_seconds: float) -> float:
        """Say how long silence must last, given how long a refusal takes to come back."""
        return max(_QUIET_SECONDS, 2 * refusal_seconds)

    def close(self, seconds: float, now: float) -> bool:
        """Close for `seconds`; the later of two ends holds. True if it moved."""
        until = now + min(seconds, LONGEST_SECONDS)
        if self.state is not GateState.OPEN and until <= self.until:
            if self.state is GateState.HALF_OPEN:
                self.state = GateState.CLOSED
                self._probe = None
            return False
        self.until = until
        self._closed_at = now
        self.state = GateState.CLOSED
        self._probe = None
        return True

    def back_off(self, now: float, sent_at: float, jitter: float, *, longest: float) -> bool:
        """Close for a while that doubles with each failed probe, up to `longest`. `jitter` is in [0, 1).

        Calls sent before the last closure tell nothing new.
        """
        if sent_at < self._closed_at:
            return False
        seconds = self._backoff * (0.75 + 0.5 * jitter)
        self._backoff = min(longest, self._backoff * _BACKOFF_GROWTH)
        return self.close(seconds, now)

    def succeeded(self, call: object) -> bool:
        """Learn that a call was admitted. True if that opened the gate."""
        self._backoff = _BACKOFF_SECONDS
        if self.state is GateState.HALF_OPEN and call is self._probe:
            self._open()
            return True
        return False

    def lost(self, call: object, now: float) -> None:
        """Let another call probe: this one ended without an answer."""
        if call is self._probe:
            self.state = GateState.CLOSED
            self.until = now
            self._probe = None

    def forget(self) -> None:
        """Forget a probe that somebody else sent."""
        if self.state is GateState.HALF_OPEN:
            self.state = GateState.CLOSED
            self._probe = None

    def _open(self) -> None:
        self.state = GateState.OPEN
        self._probe = None
        self._opens_at = inf
