"""Numbers as Grafana words them, in the units that our panels use."""

from collections.abc import Callable
from typing import Final

_SCALES: Final = ((1e9, "B"), (1e6, "M"), (1e3, "K"))
_FOUR_DIGITS: Final = 999.5
"""From here on three digits would round to 1000."""


def _short(value: float) -> str:
    """Write three digits, or all that stand before the point."""
    return f"{value:.3g}" if abs(value) < _FOUR_DIGITS else f"{value:.0f}"


def _plain(value: float) -> str:
    for scale, letter in _SCALES:
        if abs(value) >= scale * _FOUR_DIGITS / 1000:
            return f"{_short(value / scale)}{letter}"
    return _short(value)


def _seconds(value: float) -> str:
    for scale, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(value) >= 2 * scale:
            return f"{_short(value / scale)} {name}"
    return f"{_short(value)} s" if abs(value) >= 1 or value == 0 else f"{_short(value * 1000)} ms"


_WORDED: Final[dict[str, Callable[[float], str]]] = {
    "percentunit": lambda value: f"{_short(value * 100)}%",
    "s": _seconds,
    "reqps": lambda value: f"{_plain(value)} req/s",
    "ops": lambda value: f"{_plain(value)} ops/s",
}


def worded(value: float, unit: str) -> str:
    """Write a value of one of Grafana's units; those not known are written plainly."""
    return _WORDED.get(unit, _plain)(value)
