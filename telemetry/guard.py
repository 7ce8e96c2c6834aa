"""The one guard: what fails in our own code is logged once, counted and swallowed.

Hooks run inside the app's calls. Whatever they raise by mistake ends here; the app's own exceptions
never come near. `OURS` is what may be caught: between two awaits nobody can cancel us, so even a
`CancelledError` raised there is our own bug; an interrupt or an exit is always the app's.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

logger: Final = logging.getLogger("penstock")
logger.addHandler(logging.NullHandler())  # an app without logging must not see us on its stderr

OURS: Final = (Exception, asyncio.CancelledError, GeneratorExit)

errors: Final[Counter[str]] = Counter()
"""How often each place failed."""

_listeners: Final[list[Callable[[str], None]]] = []


def failed(place: str, error: BaseException) -> None:
    """Take note that our code failed at `place` (a fixed word, such as `httpx.send`)."""
    try:
        errors[place] += 1
        if errors[place] == 1:
            logger.warning(
                "penstock failed at %s and stepped aside: %s (logged once)", place, type(error).__name__,
                exc_info=logger.isEnabledFor(logging.DEBUG),
            )  # fmt: skip
        for listener in tuple(_listeners):
            listener(place)
    except OURS:
        pass  # the last line of defence has nobody to tell


def quietly(place: str, function: Callable[..., T], *args: Any) -> T | None:
    """Call our own code; None where it fails."""
    try:
        return function(*args)
    except OURS as error:
        failed(place, error)
        return None


def listen(listener: Callable[[str], None]) -> Callable[[], None]:
    """Be told of each failure (a metric); returns the way to stop."""
    _listeners.append(listener)

    def stop() -> None:
        if listener in _listeners:
            _listeners.remove(listener)

    return stop
