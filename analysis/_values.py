"""Read attribute values as a column wants them, whatever type they travelled as."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from penstock.analysis._columns import COLUMNS
from penstock.analysis._raw import Coded, Column

_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)


def as_text(value: object) -> str | None:
    """Read text; of a list its first element; empty text is absent."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, list | tuple):
        return as_text(value[0]) if value else None
    return None if value is None else str(value)


def as_json_lines(values: Sequence[object]) -> list[str]:
    """Write values as JSON, a line each; what has no JSON form is written as text."""
    try:
        return _ENCODER.encode_lines(values).decode().split("\n")[:-1]
    except (TypeError, UnicodeEncodeError):  # odd keys; lone surrogates: legal JSON and no legal text
        return [json.dumps(_by_name(value), default=str, skipkeys=True) for value in values]


def _by_name(value: object) -> object:
    if not isinstance(value, msgspec.Struct):
        return value
    return {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}


def _plain(value: object) -> str | None:
    """Text, a list's first element, or a list that travelled as JSON text (`["stop"]`)."""
    found = as_text(value)
    if found and found[0] in '["' and found[-1] in ']"':
        try:
            return as_text(msgspec.json.decode(found))
        except (msgspec.DecodeError, UnicodeEncodeError):
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


def each(read: Callable[[Any], Any], values: Column) -> Column:
    """Read every value; those of a coded column once each."""
    if isinstance(values, Coded):
        return Coded(values.codes, [read(value) for value in values.values])
    return [read(value) for value in values]


_BY_TYPE: Final[dict[str, Callable[[object], object]]] = {
    "string": _plain,
    "int8": _small,
    "int32": _small,
    "int64": _int,
    "float64": _float,
    "bool": _bool,
}
READERS: Final = [_BY_TYPE[kind] for kind in COLUMNS.values()]


def _are_plain(lines: str) -> bool:
    """Say whether no line is empty or may be JSON; a line inside a value costs but a closer look."""
    return "\n\n" not in lines and "\n[" not in lines and '\n"' not in lines


# The values that a column of a kind takes as they are, when all are of one type.
_AS_THEY_ARE: Final[dict[tuple[str, type], Callable[[Sequence[Any]], bool]]] = {
    ("string", str): lambda values: _are_plain("\n".join(("", *values, ""))),
    ("int32", int): lambda values: min(values) > -(2**31) and max(values) < 2**31,
    ("int64", int): lambda values: min(values) > -(2**62) and max(values) < 2**62,
    ("float64", float): lambda values: all(map(math.isfinite, values)),
    ("bool", bool): lambda values: True,
}
_KINDS: Final = list(COLUMNS.values())


def read_all(index: int, values: Sequence[object]) -> Sequence[object]:
    """Read the values of one attribute for a column; None where a value says nothing."""
    if isinstance(values, Coded):
        read = read_all(index, values.values)
        return values if read is values.values else Coded(values.codes, read)
    types = set(map(type, values))
    if len(types) == 1:
        plain = _AS_THEY_ARE.get((_KINDS[index], types.pop()))
        if plain is not None and plain(values):
            return values
    return list(map(READERS[index], values))
