"""Quota headers, as providers really send them: whole numbers, durations in four spellings, and lies.

Resets arrive as Go durations (`6m0s`, `12ms`: OpenAI, Groq), RFC 3339 dates (Anthropic), bare seconds
(Azure, Mistral, Cerebras) or epoch milliseconds (OpenRouter). Some gateways send -1 or 0 for "I don't
know", or a date that has passed; those say nothing and are ignored.
"""

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from penstock.providers.facts import Quota, Window

_GO_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_GO: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+\Z")
_UNIT: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_EPOCH_MILLISECONDS: Final = 1e11
_EPOCH_SECONDS: Final = 1e9

MINUTE: Final = 60.0
DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class WindowHeaders:
    """The three header names of one window, what it counts (a field of `Quota`), and its period."""

    counts: str
    limit: str
    remaining: str
    reset: str
    period_seconds: float = MINUTE
    period: str | None = None
    """Header that overrides `period_seconds` (Azure's `x-ratelimit-renewalperiod-*`)."""


def seconds_until(text: str, now: Callable[[], float]) -> float | None:
    """Read a reset header as seconds from `now()` (Unix time); None for what says nothing.

    A bare 0 or a negative number, and a moment that has passed, say nothing; `0s` means full now.
    """
    text = text.strip()
    if text.endswith(("s", "m", "h", "d")):
        return _duration(text)
    number = _number(text)
    if number is not None:
        if number >= _EPOCH_MILLISECONDS:
            number = number / 1000 - now()
        elif number >= _EPOCH_SECONDS:
            number -= now()
        return number if number > 0 else None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = moment.timestamp() - now()
    return seconds if seconds > 0 else None


@lru_cache(maxsize=2048)
def _duration(text: str) -> float | None:
    """Read Go's spelling; one unit is the usual case and needs no pattern."""
    number = _number(text[:-2] if text.endswith("ms") else text[:-1])
    if number is not None:
        return number * _UNIT["ms" if text.endswith("ms") else text[-1]] if number >= 0 else None
    if not _GO.match(text):
        return None
    return sum(float(number) * _UNIT[unit] for number, unit in _GO_PART.findall(text))


def read_quota(headers: Mapping[str, str], windows: tuple[WindowHeaders, ...]) -> Quota | None:
    """Read the windows that these headers speak of; the first spelling that speaks of a count wins."""
    found: dict[str, Window] = {}
    get = headers.get
    for names in windows:
        if names.counts in found:
            continue
        limit, remaining = get(names.limit), get(names.remaining)
        if limit is None and remaining is None:
            continue
        window = _window(headers, names, limit, remaining)
        if window is not None:
            found[names.counts] = window
    return Quota(**found) if found else None


def _window(
    headers: Mapping[str, str], names: WindowHeaders, limit_text: str | None, remaining_text: str | None
) -> Window | None:
    limit = _number(limit_text) if limit_text else None
    remaining = _number(remaining_text) if remaining_text else None
    if limit is not None and limit <= 0:
        return None  # -1 or 0 stands for "unknown", and takes its remaining with it
    if remaining is not None and remaining < 0:
        remaining = None
    if limit is None and remaining is None:
        return None
    reset = headers.get(names.reset)
    period_text = headers.get(names.period) if names.period else None
    period = _number(period_text) if period_text else None
    return Window(
        limit,
        remaining,
        None if reset is None else _reset(reset, headers),
        period if period and period > 0 else names.period_seconds,
    )


def _reset(text: str, headers: Mapping[str, str]) -> float | None:
    if text.endswith("s"):
        return _duration(text.strip())
    return seconds_until(text, lambda: _server_now(headers))


def _server_now(headers: Mapping[str, str]) -> float:
    """Tell the server's clock where it says so: absolute resets are read against it, not against ours."""
    date = headers.get("date")
    if date:
        try:
            return parsedate_to_datetime(date).timestamp()
        except ValueError:
            pass
    return time.time()


@lru_cache(maxsize=2048)
def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
