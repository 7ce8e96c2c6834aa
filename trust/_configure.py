"""`[trust]` of the configuration: what the room is started with."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from penstock.errors import UsageError
from penstock.trust._ledger import Ledger, MemoryLedger
from penstock.trust._ledger_redis import RedisLedger
from penstock.trust._ledger_sqlite import SqliteLedger
from penstock.trust._policy import Policy, read_rules
from penstock.trust._stores import AnswerStore, MemoryStore, RedisStore
from penstock.trust._validity import Validity

SECRET: Final = "PENSTOCK_CACHE_SECRET"  # noqa: S105 - the variable's name
MEMORY: Final = "memory"
# One lookup must never cost more than this; the call then goes on without the cache.
REDIS_TIMEOUT_SECONDS: Final = 0.05
# A ledger that does not answer keeps irreversible work from starting; this is how long it may think.
LEDGER_TIMEOUT_SECONDS: Final = 5.0
_KEYS: Final = {"ledger", "tools", "cache"}
_CACHE_KEYS: Final = {"store", "max_bytes", "every_call", "ttl_seconds", "stale_seconds", "sampled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """`[trust.cache]`. `default` holds where `cached()` asks for nothing; None caches only there."""

    store: AnswerStore
    secret: bytes = field(repr=False)
    default: Validity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustOptions:
    """`[trust]`, read. Without `[trust.cache]` there is no cache."""

    ledger: Ledger
    tools: Mapping[str, Policy]
    cache: CacheOptions | None = None


def read_options(table: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> TrustOptions:
    """Read `[trust]`: `ledger` ("memory", a redis:// URL or a file), `[trust.tools."…"]`, `[trust.cache]`.

    Raises:
        UsageError: an unknown option, a bad value, or a Redis cache without PENSTOCK_CACHE_SECRET.
    """
    _refuse_unknown("[trust]", table, _KEYS)
    cache = table.get("cache")
    return TrustOptions(
        ledger=_ledger(_text("[trust] ledger", table.get("ledger", MEMORY))),
        tools=read_rules(_table("[trust.tools]", table.get("tools", {}))),
        cache=None if cache is None else _cache(_table("[trust.cache]", cache), environ),
    )


def _ledger(place: str) -> Ledger:
    if place == MEMORY:
        return MemoryLedger()
    if "://" in place:
        return RedisLedger(_redis("[trust] ledger", place, LEDGER_TIMEOUT_SECONDS))
    return SqliteLedger(place.removeprefix("sqlite:"))


def _cache(table: Mapping[str, object], environ: Mapping[str, str]) -> CacheOptions:
    where = "[trust.cache]"
    _refuse_unknown(where, table, _CACHE_KEYS)
    place = _text(f"{where} store", table.get("store", MEMORY))
    max_bytes = table.get("max_bytes", 64 * 1024 * 1024)
    if not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes <= 0:
        raise UsageError(f"{where} max_bytes={max_bytes!r} must be a number of bytes above 0")
    every_call, sampled = (_flag(where, name, table.get(name, False)) for name in ("every_call", "sampled"))
    validity = Validity(
        ttl_seconds=_seconds(where, "ttl_seconds", table.get("ttl_seconds", 3600)),
        stale_seconds=_seconds(where, "stale_seconds", table.get("stale_seconds", 0)),
        sampled=sampled,
    )
    secret = environ.get(SECRET, "").encode()
    store: AnswerStore
    if place == MEMORY:
        store, secret = MemoryStore(max_bytes), secret or os.urandom(32)
    else:
        if not secret:
            raise UsageError(f"{where} store needs a secret that its users share: set {SECRET}")
        store = RedisStore(_redis(f"{where} store", place, REDIS_TIMEOUT_SECONDS))
    return CacheOptions(store=store, secret=secret, default=validity if every_call else None)


def _redis(where: str, url: str, timeout_seconds: float) -> Any:
    """Make a client that waits no longer for a connection than for an answer; options of the URL win."""
    try:
        import redis
    except ImportError as error:
        raise UsageError(f"{where} needs the redis package: pip install 'penstock[redis]'") from error
    try:
        return redis.Redis.from_url(
            url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds
        )
    except ValueError as error:
        raise UsageError(  # what urllib says may quote a part of the password
            f"{where} is no Redis URL: write redis://host:6379/0, and in a password %2F for /"
        ) from error


def _refuse_unknown(where: str, table: Mapping[str, object], known: set[str]) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise UsageError(f"{where}: unknown option {unknown[0]!r}; known: {', '.join(sorted(known))}")


def _table(where: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} must be a table, not {value!r}")
    return value


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where} must be a text, not {value!r}")
    return value


def _flag(where: str, name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{where} {name} must be true or false, not {value!r}")
    return value


def _seconds(where: str, name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UsageError(f"{where} {name} must be a number of seconds, not {value!r}")
    return float(value)
