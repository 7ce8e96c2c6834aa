"""What an answer may be reused for: how long, under which versions, for whom; and the key made of it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

import orjson

from penstock.errors import UsageError
from penstock.telemetry.interceptor import Call
from penstock.trust._carry import travels

Fingerprint = str | bytes | int | float | Callable[[], object]

CACHEABLE: Final = ("chat", "embeddings", "text_completion", "generate_content")
# Where providers keep the temperature: OpenAI, Anthropic, …; Gemini; Bedrock Converse.
_SAMPLING: Final = ("generationConfig", "inferenceConfig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """When a kept answer may be given again.

    `stale_seconds` past its `ttl_seconds` an answer is given only instead of an error or a refusal, and
    says so. `sampled` asks to keep answers of a temperature above 0 too (providers default to 1, so a
    request that sets none is sampled). `valid_if` names what else the answer depends on (a prompt's
    version, tool schemas, documents): a value, or a function that tells it at each call; another value
    is another answer. `tenant` defaults to the task's.
    """

    ttl_seconds: float = 3600.0
    stale_seconds: float = 0.0
    sampled: bool = False
    valid_if: Mapping[str, Fingerprint] = field(default_factory=dict)
    tenant: str | None = None

    def __post_init__(self) -> None:
        if not self.ttl_seconds > 0:
            raise UsageError(f"ttl_seconds={self.ttl_seconds!r} must be above 0")
        if not self.stale_seconds >= 0:
            raise UsageError(f"stale_seconds={self.stale_seconds!r} must be 0 or more")


_asked: ContextVar[Validity | None] = ContextVar("penstock_cache", default=None)
travels(_asked)


@contextmanager
def cached(
    *,
    ttl_seconds: float = 3600.0,
    stale_seconds: float = 0.0,
    sampled: bool = False,
    valid_if: Mapping[str, Fingerprint] | None = None,
    tenant: str | None = None,
) -> Iterator[None]:
    """Let answers to the calls made inside be kept and given again.

    `stale_seconds` past the TTL an answer is still given, but only instead of an error, and tagged
    `cache_stale`. `sampled` includes requests of a temperature above 0. `valid_if` fingerprints what
    the answers depend on beyond the request itself: `{"prompt": "v7", "docs": digest}`.

    Raises:
        UsageError: a TTL that is not above 0, or a fingerprint that is no text, bytes or number.
    """
    for name, mark in (valid_if or {}).items():
        if not callable(mark):
            _value(name, mark)
    validity = Validity(
        ttl_seconds=ttl_seconds,
        stale_seconds=stale_seconds,
        sampled=sampled,
        valid_if=valid_if or {},
        tenant=tenant,
    )
    token = _asked.set(validity)
    try:
        yield
    finally:
        _asked.reset(token)


def asked_validity() -> Validity | None:
    """What `cached()` asked for here."""
    return _asked.get()


def request_key(secret: bytes, call: Call, validity: Validity) -> str | None:
    """Name the answer to a request; None for a request whose answer must not be kept.

    A keyed hash over everything that the answer depends on: nothing can be read from it, and without
    the secret no guess can be checked against it.
    """
    if call.primary_only or call.operation not in CACHEABLE:
        return None
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict) or _keeps_state(body):
        return None
    if not validity.sampled and call.operation != "embeddings" and _temperature(body) != 0:
        return None
    parts = [
        [call.provider, call.host, call.wire, call.operation, call.model, call.credential],
        validity.tenant or call.tenant,
        {name: _value(name, mark) for name, mark in validity.valid_if.items()},
        body,
    ]
    digest = hashlib.blake2b(
        orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), key=secret[:64], digest_size=32
    )
    return digest.hexdigest()


def _keeps_state(body: Mapping[str, object]) -> bool:
    """OpenAI's Responses API: a conversation grows under the same request; background work answers later."""
    return bool(body.get("conversation") or body.get("background"))


def _temperature(body: Mapping[str, object]) -> object:
    for name in _SAMPLING:
        nested = body.get(name)
        if isinstance(nested, Mapping):
            return nested.get("temperature")
    return body.get("temperature")


def _value(name: str, mark: Fingerprint) -> object:
    value = mark() if callable(mark) else mark
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str | int | float):
        return value
    raise UsageError(f"valid_if[{name!r}] is {type(value).__name__}; give text, bytes or a number")
