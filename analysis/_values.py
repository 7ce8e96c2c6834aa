"""Read attribute values as a column wants them, whatever type they travelled as."""

import math
from collections.abc import Callable
from typing import Final

import orjson

from penstock.analysis._columns import COLUMNS


def as_text(value: object) -> str | None:
    """Read text; of a list its first element; empty text is absent."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, list | tuple):
        return as_text(value[0]) if value else None
    return None if value is None else str(value)


def _plain(value: object) -> str | None:
    """Text, a list's first element, or a list that travelled as JSON text (`["stop"]`)."""
    found = as_text(value)
    if found and found[0] in '["' and found[-1] in ']"':
        try:
            return as_text(orjson.loads(found))
        except orjson.JSONDecodeError:
            return found
    return found


def _int(value: object) -> int | None:
    number = _float(value)
    return None if number is None or abs(number) >= 2**62 else int(number)


def _small(value: object) -> int | None:
    number = _int(value)
    return None if number is None or abs(number) >= 2**31 else number


def _float(value: object) -> float | None:
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _bool(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower())


_BY_TYPE: Final[dict[str, Callable[[object], object]]] = {
    "string": _plain,
    "int8": _small,
    "int32": _small,
    "int64": _int,
    "float64": _float,
    "bool": _bool,
}
READERS: Final = [_BY_TYPE[kind] for kind in COLUMNS.values()]
NATIVE: Final = [{"string": str, "int64": int, "bool": bool}.get(kind) for kind in COLUMNS.values()]
"""The type that a column takes as it is, but for text that is empty or looks like JSON."""
