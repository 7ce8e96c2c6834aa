"""When to come back: read from headers, from the body's fields, from the message."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Final

from penstock.classifiers._durations import UNIT, seconds_of

# What asks the caller to wait. "Retrying in 10s" is the client's own backoff and does not count.
# Filed under a word that must have been said, so that most texts are done with at once.
_ASKS: Final = {
    "again": ("again in", "again after"),
    "request": ("request after", "request in"),
    "wait": ("wait",),
    "resets": ("resets in", "resets after"),
    "reset": ("reset in", "reset after"),
    "available": ("available in",),
    "off": ("back off for",),
}
ASKING_WORDS: Final = frozenset(_ASKS)
_WORD: Final = re.compile("[a-z]+")
# And under letters, where the ask may be part of a longer word.
_INSIDE: Final = {
    "retr": (
        "retry in",
        "retry after",
        "retry-after",
        "retry_after",
        "retryafter",
        "retrydelay",
        "retry_delay",
    ),
    "请": ("请在", "请等待", "请于"),
}
_LENGTH: Final = re.compile(
    r"(?:[-_ ]?(?:seconds|secs?))?[\\\"'\s:={]{0,8}(?:(?:for|at least|another|about|seconds) ?:? ?){0,2}"
    rf"[\"'~]?((?:[0-9][0-9.]{{0,20}} ?(?:{UNIT})?(?![a-z])(?:,? ?(?:and )?(?=[0-9]))?){{1,4}}"
    r"|[0-9][0-9hms.]{0,20})"
)
_REFUSED: Final = ("will ", "not ", "n't ")
_MILLISECONDS_KEYS: Final = frozenset({"retry_after_ms", "retryafterms", "retry-after-ms"})
_SECONDS_KEYS: Final = frozenset({
    "retry_after", "retryafter", "retry-after", "retry_after_seconds", "retryafterseconds", "retrydelay",
    "retry_delay", "estimated_time", "resets_in_seconds",
})  # fmt: skip
_MOMENT_KEYS: Final = frozenset({"resets_at", "reset_at", "x-ratelimit-reset"})
_FIELDS: Final = _SECONDS_KEYS | _MILLISECONDS_KEYS | _MOMENT_KEYS
# What JSON knows comes first: asking for a Mapping is slow.
_NESTING: Final = (dict, list, Mapping)
_LEAVES: Final = frozenset({str, int, float, bool, type(None)})
_HEAD: Final = 4096
_NODES: Final = 200
_WINDOWS: Final = ("requests", "tokens", "input-tokens", "output-tokens", "input_tokens", "output_tokens")
# What is left of a window, and when it is full again.
_RESETS: Final = {
    "x-ratelimit-remaining": "x-ratelimit-reset",
    "ratelimit-remaining": "ratelimit-reset",
    **{f"x-ratelimit-remaining-{window}": f"x-ratelimit-reset-{window}" for window in _WINDOWS},
    **{
        f"anthropic-ratelimit-{window}-remaining": f"anthropic-ratelimit-{window}-reset"
        for window in _WINDOWS
    },
}


def retry_after(
    headers: Mapping[str, str],
    body: object,
    message: str | None,
    *,
    now_unix: float | None,
    words: Set[str] | None = None,
) -> float | None:
    """Read how many seconds the other side asks to wait; None when it does not say so plausibly.

    The longest of header, body and message counts: a wait that is too short is refused again.
    Forms: seconds, milliseconds, `1m30s`, ISO 8601 durations and dates, HTTP dates, protobuf
    `18s`, epoch seconds and milliseconds. Dates are measured from the response's own `date` header
    where there is one, so that a skewed clock does no harm, else from `now_unix`. `words` are the
    message's in lower case, if they are known already.
    """
    if not headers and not body:
        return _from_message(message, words)
    now = _served_unix(headers, now_unix)
    waits = [_from_headers(headers, now), _from_body(body, now), _from_message(message, words)]
    return max((wait for wait in waits if wait is not None), default=None)


def _served_unix(headers: Mapping[str, str], now_unix: float | None) -> float | None:
    if "date" not in headers:
        return now_unix
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return now_unix


def _from_headers(headers: Mapping[str, str], now: float | None) -> float | None:
    if not headers:
        return None
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        wait = seconds_of(headers.get(name), now_unix=now, unit_seconds=1e-3)
        if wait is not None:
            return wait
    wait = seconds_of(headers.get("retry-after"), now_unix=now)
    return wait if wait is not None else _from_empty_windows(headers, now)


def _from_empty_windows(headers: Mapping[str, str], now: float | None) -> float | None:
    """Wait for those windows to reset that have nothing left."""
    longest = None
    for remaining, reset in _RESETS.items():
        if remaining in headers and headers[remaining].strip() in ("0", "0.0"):
            wait = seconds_of(headers.get(reset), now_unix=now)
            longest = wait if longest is None or (wait or 0.0) > longest else longest
    return longest


def _from_body(body: object, now: float | None) -> float | None:
    """Search a decoded body for the fields that say how long; a bounded walk, never recursive."""
    if not isinstance(body, _NESTING):
        return None
    longest, queue = None, [body]
    for node in queue:
        items = node.items() if type(node) is dict or isinstance(node, Mapping) else enumerate(node)
        for key, value in items:
            if type(value) not in _LEAVES and isinstance(value, _NESTING):
                if len(queue) < _NODES:
                    queue.append(value)
                continue
            name = (key if type(key) is str else str(key)).lower()
            wait = _field(name, value, now) if name in _FIELDS else None
            if wait is not None and (longest is None or wait > longest):
                longest = wait
    return longest


def _field(key: str, value: object, now: float | None) -> float | None:
    if key in _SECONDS_KEYS:
        return seconds_of(value, now_unix=now)
    if key in _MILLISECONDS_KEYS:
        return seconds_of(value, now_unix=now, unit_seconds=1e-3)
    if key in _MOMENT_KEYS:
        return seconds_of(value, now_unix=now)
    return None


def _from_message(message: str | None, words: Set[str] | None) -> float | None:
    if not message:
        return None
    text = message if len(message) <= 2 * _HEAD else message[:_HEAD] + message[-_HEAD:]
    text = text.lower()
    said = words if words is not None else frozenset(_WORD.findall(text))
    asks = [ask for word in ASKING_WORDS & said for ask in _ASKS[word]]
    for letters, inside in _INSIDE.items():
        if letters in text:
            asks += inside
    return max(_asked(text, asks), default=None) if asks else None


def _asked(text: str, asks: Iterable[str]) -> Iterator[float]:
    for ask in asks:
        start = text.find(ask)
        while start >= 0:
            end = start + len(ask)
            match = _LENGTH.match(text, end)
            if match is not None and not text.endswith(_REFUSED, 0, start):
                wait = seconds_of(match[1].rstrip(" .,"), now_unix=None)
                if wait is not None:
                    yield wait
            start = text.find(ask, end)
