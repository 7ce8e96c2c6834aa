"""Numbers as Grafana words them, in the units that our panels use."""

from collections.abc import Callable
from typing import Final

_SCALES: Final = ((1e9, "B"), (1e6, "M"), (1e3, "K"))


def _plain(value: float) -> str:
    for scale, letter in _SCALES:
        if abs(value) >= scale:
            return f"{value / scale:.3g}{letter}"
    return f"{value:.3g}"


def _seconds(value: float) -> str:
    for scale, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(value) >= 2 * scale:
            return f"{value / scale:.3g} {name}"
    return f"{value:.3g} s" if abs(value) >= 1 or value == 0 else f"{value * 1000:.3g} ms"


_WORDED: Final[dict[str, Callable[[float], str]]] = {
    "percentunit": lambda value: f"{_plain(value * 100)}%",
    "s": _seconds,
    "reqps": lambda value: f"{_plain(value)} req/s",
    "ops": lambda value: f"{_plain(value)} ops/s",
}


def worded(value: float, unit: str) -> str:
    """Write a value of one of Grafana's units; those not known are written plainly."""
    return _WORDED.get(unit, _plain)(value)
