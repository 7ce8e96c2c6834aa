"""Durations as providers write them: `20`, `174ms`, `1m30s`, `18s`, `PT1M`, dates, epochs."""

import math
import re
from datetime import UTC, datetime
from typing import Final

LONGEST_SECONDS: Final = 31 * 86_400.0
"""A wait past a month is a unit error or a placeholder, not a hint."""

_UNITS: Final = {
    "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3,
    "": 1.0, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "秒": 1.0,
    "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0, "分钟": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0, "小时": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0, "天": 86400.0,
}  # fmt: skip
UNIT: Final = "|".join(sorted(filter(None, _UNITS), key=len, reverse=True))
_PART: Final = re.compile(rf"([0-9]{{1,15}}(?:\.[0-9]{{1,18}})?) ?({UNIT})?(?![a-z])", re.IGNORECASE)
_ONE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,18})?) ?([a-z]{1,12})")
_GLUED: Final = re.compile(rf"([0-9]{{1,15}}(?:\.[0-9]{{1,18}})?)({UNIT})", re.IGNORECASE)
_ISO: Final = re.compile(
    r"P(?:(\d{1,9}(?:\.\d{1,9})?)D)?(?:T(?:(\d{1,9}(?:\.\d{1,9})?)H)?"
    r"(?:(\d{1,9}(?:\.\d{1,9})?)M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.IGNORECASE,
)
_EPOCH_FROM: Final = 1e9
_EPOCH_MS_FROM: Final = 1e11


def seconds_of(value: object, *, now_unix: float | None, unit_seconds: float = 1.0) -> float | None:
    """Read one duration or point in time as seconds from `now_unix`; None when it makes no sense.

    A bare number is in `unit_seconds`; from 1e9 up it is an epoch (from 1e11 in milliseconds). A
    point in the past is 0. Negative, absurd (over a month) and malformed values are None, and so
    is a point in time when `now_unix` is None.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _number(float(value) if abs(value) < 1e18 else math.inf, now_unix, unit_seconds)
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return None
    text = value.strip()[:80]
    if (one := _ONE.fullmatch(text)) is not None and one[2] in _UNITS:
        return plausible(float(one[1]) * _UNITS[one[2]])
    try:
        return _number(float(text), now_unix, unit_seconds)
    except ValueError:
        pass
    if text[:1] in ("P", "p"):
        return _iso_duration(text)
    length = _compound(text)
    return length if length is not None else _date(text, now_unix)


def plausible(seconds: float) -> float | None:
    """Keep a wait between 0 and a month."""
    return seconds if 0.0 <= seconds <= LONGEST_SECONDS else None


def _number(number: float, now_unix: float | None, unit_seconds: float) -> float | None:
    if not math.isfinite(number) or number < 0:
        return None
    if number >= _EPOCH_FROM:
        if now_unix is None:
            return None
        moment = number / 1000 if number >= _EPOCH_MS_FROM else number
        return plausible(max(0.0, moment - now_unix))
    return plausible(number * unit_seconds)


def _compound(text: str) -> float | None:
    """Add up `1h2m3.5s`, `2 minutes 10 seconds`; None unless that is all there is."""
    total, position = 0.0, 0
    glued = _GLUED.match(text) is not None
    while position < len(text):
        match = (_GLUED if glued else _PART).match(text, position)
        if match is None:
            return None
        total += float(match[1]) * _UNITS[(match[2] or "").lower()]
        position = match.end()
        while position < len(text) and text[position] in " ,":
            position += 1
        position += 4 * text.startswith("and ", position)
    return plausible(total) if position else None


def _iso_duration(text: str) -> float | None:
    match = _ISO.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    parts = (float(part or 0) for part in match.groups())
    return plausible(sum(part * unit for part, unit in zip(parts, (86400, 3600, 60, 1), strict=True)))


def _date(text: str, now_unix: float | None) -> float | None:
    if now_unix is None or not any(mark in text for mark in "-:"):
        return None
    moment: datetime
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return None
    try:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return plausible(max(0.0, moment.timestamp() - now_unix))
    except (ValueError, OverflowError):
        return None
