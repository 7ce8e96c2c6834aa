"""Sending a request elsewhere: same wire, other base URL, key or model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import orjson

from penstock.providers.bodies import decode

# What each wire's SDKs append to their base URL, longest first.
_ENDINGS: Final = (
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/v1/messages",
)
_KEY_HEADERS: Final = ("authorization", "x-api-key", "api-key")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A request ready to be sent elsewhere."""

    url: str
    headers: dict[str, str]
    body: bytes


def rewrite(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    model: str | None = None,
) -> Rewritten:
    """Point a request at `base_url` (as the SDK's own option: up to `/v1` for OpenAI's wire).

    The key goes into the header that held the old one. None leaves a part as it was.

    Raises:
        ValueError: the path is none that an SDK builds from a base URL.
    """
    new = {name.lower(): value for name, value in headers.items()}
    if base_url is not None:
        parts = urlsplit(url)
        ending = next((e for e in _ENDINGS if parts.path.endswith(e)), None)
        if ending is None:
            raise ValueError(f"cannot move {parts.path!r} to another base URL")
        url = base_url.rstrip("/") + ending + (f"?{parts.query}" if parts.query else "")
        new["host"] = urlsplit(url).netloc
    if api_key is not None:
        holder = next((name for name in _KEY_HEADERS if name in new), "authorization")
        new[holder] = f"Bearer {api_key}" if holder == "authorization" else api_key
    if model is not None:
        value = decode(body)
        if value is None:
            raise ValueError("cannot change the model in a body that is no JSON object")
        body = orjson.dumps({**value, "model": model})
        new["content-length"] = str(len(body))
    return Rewritten(url, new, body)
