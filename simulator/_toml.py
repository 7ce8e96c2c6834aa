"""Read a decoded TOML table into a frozen dataclass; say which key of which table is wrong.

A field's type carries its check: `tasks: Annotated[int, integer(0)] = 50`. A check is called as
`(value, where)`, where `where` is the key's dotted path, and returns the value to keep.
"""

import difflib
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar, get_type_hints

from penstock.errors import UsageError

Check = Callable[[object, str], object]
T = TypeVar("T")


def read(cls: type[T], data: object, where: str = "") -> T:
    """Build `cls` from a table; a key left out takes the field's default.

    Raises:
        UsageError: on an unknown key or a wrong value, naming the key and its table.
    """
    return cls(**checked(cls, data, where))


def checked(cls: type, data: object, where: str, *, but: tuple[str, ...] = ()) -> dict[str, object]:
    """Check the keys that are there, without filling in defaults; `but` names fields that may not be."""
    if not isinstance(data, Mapping):
        raise UsageError(f"{where} must be a table, not {_shown(data)}")
    checks = {name: check for name, check in _checks(cls).items() if name not in but}
    for name in data:
        if name not in checks:
            raise UsageError(f"unknown key {name!r} in {where or 'the top level'}{_hint(name, checks)}")
    return {name: checks[name](value, _join(where, name)) for name, value in data.items()}


@functools.cache
def _checks(cls: type) -> dict[str, Check]:
    return {name: hint.__metadata__[0] for name, hint in get_type_hints(cls, include_extras=True).items()}


def number(low: float = 0.0, high: float = math.inf, *, finite: bool = False) -> Check:
    """Accept an integer or a float in [low, high]; `inf` unless `finite`."""

    def check(value: object, where: str) -> object:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            raise UsageError(f"{where} must be a number, not {_shown(value)}")
        if not low <= value <= high or (finite and math.isinf(value)):
            raise UsageError(f"{where} must be {_span(low, high, finite)}, not {_shown(value)}")
        return float(value)

    return check


def integer(low: int, high: int = 2**53) -> Check:
    """Accept a whole number in [low, high]."""

    def check(value: object, where: str) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{where} must be a whole number, not {_shown(value)}")
        if not low <= value <= high:
            raise UsageError(f"{where} must be {_span(low, high, False)}, not {_shown(value)}")
        return value

    return check


def flag(value: object, where: str) -> object:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise UsageError(f"{where} must be true or false, not {_shown(value)}")
    return value


def string(value: object, where: str) -> object:
    """Accept a string that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where} must be a string, not {_shown(value)}")
    return value


def choice(*words: str) -> Check:
    """Accept one of a few words."""

    def check(value: object, where: str) -> object:
        if value not in words:
            raise UsageError(f"{where} must be one of {', '.join(words)}, not {_shown(value)}")
        return value

    return check


def table(cls: type) -> Check:
    """Accept a sub-table."""
    return lambda value, where: read(cls, value, where)


def tables(cls: type) -> Check:
    """Accept an array of tables that is not empty."""

    def check(value: object, where: str) -> object:
        if not isinstance(value, list) or not value:
            raise UsageError(f"{where} must be an array of tables, not {_shown(value)}")
        return tuple(read(cls, item, f"{where}[{index}]") for index, item in enumerate(value))

    return check


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return repr(value)
    return {"dict": "a table", "list": "an array"}.get(type(value).__name__, f"a {type(value).__name__}")


def _span(low: float, high: float, finite: bool) -> str:
    if math.isinf(high) or high >= 2**53:
        return f"at least {low:g}" + (" and finite" if finite else "")
    return f"between {low:g} and {high:g}"


def _hint(given: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(given, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(known)}"
