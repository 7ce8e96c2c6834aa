"""What the limiter tells its listener: decisions about pools, and in observe mode about calls."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock.limiter._changes import Change
from penstock.limiter._later import take

_log: Final = logging.getLogger("penstock")


@dataclass(frozen=True, slots=True)
class Would:
    """In observe mode: what enforcing would have done to a call (`waited`, `moved` or `refused`)."""

    pool: str
    action: str
    seconds: float
    at: float


Event = Change | Would


class Events:
    """Keeps events until they can be told: noted under the limiter's lock, told outside of it."""

    __slots__ = ("_listener", "note", "waiting")

    def __init__(self, listener: Callable[[Event], None] | None) -> None:
        self._listener = listener
        self.waiting: deque[Event] = deque()
        self.note: Callable[[Event], None] = self.waiting.append

    def tell(self) -> None:
        """Tell everything that was noted; what the listener raises is logged and swallowed."""
        for event in take(self.waiting):
            if self._listener is not None:
                try:
                    self._listener(event)
                except Exception:  # noqa: BLE001 - the app comes first
                    _log.exception("penstock: a listener of limiter events failed")
