"""An answer as the cache keeps it: sealed, so that a truncated, altered or moved entry is never served."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

import orjson

_SEAL: Final = 32
# Quota headers of an old answer would mislead whoever paces by them, and cookies are someone's.
KEPT_HEADERS: Final = ("content-type", "x-request-id", "request-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedAnswer:
    """A whole answer. `at` is unix seconds; `chunks` are the pieces of its body, as they came."""

    at: float
    status: int
    headers: Mapping[str, str]
    chunks: tuple[bytes, ...]
    pool: str = ""
    model: str = ""


def seal(secret: bytes, key: str, answer: CachedAnswer) -> bytes:
    """Write an answer as bytes that only open under the same secret and key."""
    head = orjson.dumps(
        {
            "at": answer.at,
            "status": answer.status,
            "headers": dict(answer.headers),
            "sizes": [len(chunk) for chunk in answer.chunks],
            "pool": answer.pool,
            "model": answer.model,
        }
    )
    payload = len(head).to_bytes(4, "big") + head + b"".join(answer.chunks)
    return _mac(secret, key, payload) + payload


def unseal(secret: bytes, key: str, raw: bytes) -> CachedAnswer | None:
    """Read an answer; None when it is not exactly what was sealed for this key, or by another version."""
    payload = raw[_SEAL:]
    if not hmac.compare_digest(raw[:_SEAL], _mac(secret, key, payload)):
        return None
    end = 4 + int.from_bytes(payload[:4], "big")
    try:
        head = orjson.loads(payload[4:end])
        edges = accumulate(head.pop("sizes"), initial=end)
        return CachedAnswer(chunks=tuple(payload[a:b] for a, b in pairwise(edges)), **head)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _mac(secret: bytes, key: str, payload: bytes) -> bytes:
    return hmac.digest(secret, key.encode() + b"\0" + payload, hashlib.sha256)


def is_whole(content_type: str, chunks: tuple[bytes, ...]) -> bool:
    """Whether a body can be an answer: JSON must parse. A stream's end the hook has checked."""
    if "json" not in content_type:
        return bool(chunks)
    try:
        return isinstance(orjson.loads(b"".join(chunks)), dict)
    except orjson.JSONDecodeError:
        return False
