"""Quota headers and Retry-After, spelled as each provider spells them, lies included.

Sources: platform.openai.com/docs/guides/rate-limits (whole numbers, Go durations until full),
docs.anthropic.com/en/api/rate-limits (RFC 3339 resets, tokens rounded to the thousand, `tokens-*` the
most restrictive window), learn.microsoft.com Azure OpenAI quota pages (bare seconds, limits that may be
per slice), console.groq.com/docs/rate-limits (`requests` is per *day*, `tokens` per minute),
mistralai/client-ts#169 and lobehub/lobehub#6825 (Mistral: no reset but of tokens), elastic/elasticsearch
`CohereResponseHandler` (trial keys, and on no 429).
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from penstock.simulator.facts import Dimension, Refused, Window
from penstock.simulator.scenario import Pool

Windows = Mapping[Dimension, Window]
MINUTES_A_DAY: Final = 1440
_PAST_SECONDS: Final = -3600.0
_ROUNDING: Final = {Dimension.REQUESTS: 10}
_TOKEN_ROUNDING: Final = 1000


def quota_headers(config: Pool, windows: Windows, wall: float) -> dict[str, str]:
    """Spell the windows as the pool's provider does; `wall` is Unix time."""
    write = _WRITERS.get(config.headers)
    if write is None:
        return {}
    return write(config, {d: _told(config, d, window) for d, window in windows.items()}, wall)


def retry_headers(config: Pool, refused: Refused, wall: float) -> dict[str, str]:
    """Spell how long to wait, where the provider knows and says."""
    wait = refused.retry_after
    if wait is None or not math.isfinite(wait):
        return {}
    seconds = max(1, math.ceil(wait))
    match config.retry_after:
        case "seconds":
            return {"retry-after": str(seconds)}
        case "float":
            return {"retry-after": f"{wait:.3f}"}
        case "ms":
            return {"retry-after-ms": str(math.ceil(wait * 1000)), "retry-after": str(seconds)}
        case "date":
            return {"retry-after": format_datetime(_moment(math.ceil(wall + wait)), usegmt=True)}
    return {}


def go_duration(seconds: float) -> str:
    """Spell seconds as Go does: `12ms`, `1.5s`, `6m0s`, `1h0m0s`."""
    if seconds <= 0:
        return "0s"
    if seconds < 1:
        return f"{max(1, round(seconds * 1000))}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if not minutes:
        return text
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"


def _told(config: Pool, dimension: Dimension, window: Window) -> Window:
    """Bend a window as the pool's `header_lies` says."""
    limit, remaining, reset = (
        round(window.limit),
        math.floor(max(0.0, window.remaining)),
        window.reset_seconds,
    )
    match config.header_lies:
        case "zero":
            remaining, reset = 0, 0.0
        case "negative":
            remaining, reset = -1, -1.0
        case "past_reset":
            reset = _PAST_SECONDS
        case "rounded":
            step = _ROUNDING.get(dimension, _TOKEN_ROUNDING)
            remaining = round(remaining / step) * step
    return Window(limit, remaining, reset, window.capacity)


def _openai(config: Pool, windows: Windows, wall: float) -> dict[str, str]:
    headers = {}
    for dimension, window in _requests_and_tokens(windows).items():
        headers[f"x-ratelimit-limit-{dimension}"] = str(window.limit)
        headers[f"x-ratelimit-remaining-{dimension}"] = str(window.remaining)
        reset = window.reset_seconds
        headers[f"x-ratelimit-reset-{dimension}"] = go_duration(reset) if reset >= 0 else f"{reset:g}"
    return headers


def _azure(config: Pool, windows: Windows, wall: float) -> dict[str, str]:
    headers = {}
    for dimension, window in _requests_and_tokens(windows).items():
        limit = window.limit
        if dimension is Dimension.REQUESTS and config.algorithm == "sliced":
            limit = math.floor(window.capacity)
            headers["x-ratelimit-renewalperiod-requests"] = f"{config.slice_seconds:g}"
        headers[f"x-ratelimit-limit-{dimension}"] = str(limit)
        headers[f"x-ratelimit-remaining-{dimension}"] = str(window.remaining)
        headers[f"x-ratelimit-reset-{dimension}"] = str(math.ceil(window.reset_seconds))
    return headers


def _groq(config: Pool, windows: Windows, wall: float) -> dict[str, str]:
    headers = {}
    for dimension, window in _requests_and_tokens(windows).items():
        limit, remaining, reset = window.limit, window.remaining, window.reset_seconds
        if dimension is Dimension.REQUESTS:
            # The day's window; the minute's, which refuses, is told by nobody.
            missing = window.capacity - remaining
            limit *= MINUTES_A_DAY
            remaining = math.floor(limit - missing) if remaining > 0 else remaining
            reset = reset if reset <= 0 else missing * 60 / max(window.limit, 1e-9)
        headers[f"x-ratelimit-limit-{dimension}"] = str(limit)
        headers[f"x-ratelimit-remaining-{dimension}"] = str(remaining)
        headers[f"x-ratelimit-reset-{dimension}"] = go_duration(reset) if reset >= 0 else f"{reset:g}"
    return headers


def _anthropic(config: Pool, windows: Windows, wall: float) -> dict[str, str]:
    told = dict(windows)
    tokens = [window for dimension, window in windows.items() if dimension is not Dimension.REQUESTS]
    if tokens:
        told[Dimension.TOKENS] = min(tokens, key=lambda window: window.remaining)
    headers = {}
    for dimension, window in told.items():
        name = f"anthropic-ratelimit-{dimension.replace('_', '-')}"
        remaining = window.remaining
        if dimension is not Dimension.REQUESTS and remaining > 0:
            remaining = round(remaining / _TOKEN_ROUNDING) * _TOKEN_ROUNDING
        headers[f"{name}-limit"] = str(window.limit)
        headers[f"{name}-remaining"] = str(remaining)
        reset = _moment(math.ceil(wall + window.reset_seconds))
        headers[f"{name}-reset"] = reset.isoformat().replace("+00:00", "Z")
    return headers


def _mistral(config: Pool, windows: Windows, wall: float) -> dict[str, str]:
    names = {Dimension.REQUESTS: "req", Dimension.TOKENS: "tokens"}
    headers = {}
    for dimension, window in _requests_and_tokens(windows).items():
        headers[f"x-ratelimit-limit-{names[dimension]}-minute"] = str(window.limit)
        headers[f"x-ratelimit-remaining-{names[dimension]}-minute"] = str(window.remaining)
        if dimension is Dimension.TOKENS:
            headers["ratelimitbysize-reset"] = str(math.ceil(window.reset_seconds))
    return headers


def _cohere(config: Pool, windows: Windows, wall: float) -> dict[str, str]:
    requests = windows.get(Dimension.REQUESTS)
    if requests is None:
        return {}
    return {
        "x-endpoint-monthly-call-limit": "1000",
        "x-trial-endpoint-call-limit": str(requests.limit),
        "x-trial-endpoint-call-remaining": str(requests.remaining),
    }


def _requests_and_tokens(windows: Windows) -> Windows:
    """Keep what OpenAI's headers have names for; separate input and output windows are not told."""
    return {d: windows[d] for d in (Dimension.REQUESTS, Dimension.TOKENS) if d in windows}


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


_WRITERS: Final[Mapping[str, Callable[[Pool, Windows, float], dict[str, str]]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "azure": _azure,
    "groq": _groq,
    "mistral": _mistral,
    "cohere": _cohere,
}
