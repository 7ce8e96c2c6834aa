"""What a user can say about a pool, and how a mapping (TOML, a dict) becomes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf, isfinite
from typing import Final

from penstock.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """One pool that may take over, and what it must declare to be allowed to.

    A demand that the target pool does not declare to meet closes that way: `regions` against its
    `region`, `min_context_tokens` against its `context_tokens`, `capabilities` against its own.
    """

    pool: str
    regions: tuple[str, ...] = ()
    min_context_tokens: int = 0
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """The knobs of one pool. None is learned (quota) or absent (cap).

    `headroom_ratio` of a stated quota is left unused. `wait_up_to_seconds`: wait this long for this
    pool before a fallback is taken. `max_wait_seconds` and `queue_limit`: then refuse. The rest says
    what the pool is when it serves as a fallback: where it is reached, and what it can do.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_concurrency: int | None = None
    headroom_ratio: float = 0.1
    wait_up_to_seconds: float = 30.0
    max_wait_seconds: float = 60.0
    queue_limit: int = 10_000
    fallback: tuple[Fallback, ...] = ()
    provider: str | None = None
    model: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    wire: str | None = None
    region: str | None = None
    context_tokens: int | None = None
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterSettings:
    """Knobs of every pool: `defaults` for those not named in `pools`."""

    defaults: PoolSettings = field(default_factory=PoolSettings)
    pools: Mapping[str, PoolSettings] = field(default_factory=dict)

    def of(self, pool: str) -> PoolSettings:
        """Give the knobs of a pool."""
        return self.pools.get(pool, self.defaults)


_DEFAULTS: Final = PoolSettings()
_POSITIVE: Final = frozenset({"requests_per_minute", "tokens_per_minute", "max_concurrency", "queue_limit"})
_SECONDS: Final = frozenset({"wait_up_to_seconds", "max_wait_seconds"})
_WHOLE: Final = frozenset({"max_concurrency", "queue_limit", "context_tokens"})
_LISTS: Final = frozenset({"capabilities"})
_KNOBS: Final = frozenset(f.name for f in fields(PoolSettings))
_SCOPE: Final = frozenset(f.name for f in fields(Fallback))


def parse_settings(data: Mapping[str, object]) -> LimiterSettings:
    """Read `{"pools": {name: {knob: value}}, knob: value …}`; knobs beside `pools` are the defaults.

    Raises:
        UsageError: an unknown key, or a value a knob cannot take; the message names both.

    """
    own = {key: value for key, value in data.items() if key != "pools"}
    defaults = parse_pool("the limiter's defaults", own)
    tables = data.get("pools", {})
    if not isinstance(tables, Mapping):
        raise UsageError(f'pools must be a table of pools, not {tables!r}; write [pools."openai:gpt-5"]')
    pools = {str(name): parse_pool(str(name), table, defaults) for name, table in tables.items()}
    return LimiterSettings(defaults=defaults, pools=pools)


def parse_pool(name: str, data: object, base: PoolSettings | None = None) -> PoolSettings:
    """Read one pool's table over `base`.

    Raises:
        UsageError: an unknown option or a bad value.

    """
    if not isinstance(data, Mapping):
        raise UsageError(f"pool {name!r} must be a table of options, not {data!r}")
    values: dict[str, object] = {}
    for key, value in data.items():
        if key not in _KNOBS:
            raise UsageError(f"unknown option {key!r} of pool {name!r}; known: {', '.join(sorted(_KNOBS))}")
        values[str(key)] = _value(name, str(key), value)
    return replace(base or PoolSettings(), **values)  # type: ignore[arg-type]


def _value(pool: str, key: str, value: object) -> object:
    if value is None:
        return getattr(_DEFAULTS, key)
    if key == "fallback":
        return tuple(_fallback(pool, entry) for entry in _list(pool, key, value))
    if key in _LISTS:
        return tuple(str(item) for item in _list(pool, key, value))
    if key in {"provider", "model", "base_url", "api_key_env", "wire", "region"}:
        return _text(pool, key, value)
    return _number(pool, key, value)


def _number(pool: str, key: str, value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise _bad(pool, key, value, "a number")
    if isinstance(value, int) and abs(value) >= 2**63:  # no float holds them
        raise _bad(pool, key, value, "a smaller number")
    if key == "headroom_ratio" and not 0 <= value < 1:
        raise _bad(pool, key, value, "at least 0 and below 1")
    if key in _SECONDS and value < 0:
        raise _bad(pool, key, value, "0 or more seconds")
    if key in _POSITIVE and value <= 0:
        raise _bad(pool, key, value, "above 0")
    if key in _WHOLE:
        if not isfinite(value) or value != int(value) or value < 1:
            raise _bad(pool, key, value, "a whole number above 0")
        return int(value)
    if key not in _SECONDS and value == inf:
        raise _bad(pool, key, value, "finite")
    return float(value)


def _fallback(pool: str, entry: object) -> Fallback:
    if isinstance(entry, Fallback):
        return entry
    if isinstance(entry, str):
        return Fallback(pool=entry)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("pool"), str):
        raise _bad(pool, "fallback", entry, "a pool's name or a table with `pool`")
    unknown = set(entry) - _SCOPE
    if unknown:
        raise UsageError(
            f"unknown option {min(unknown)!r} of a fallback of pool {pool!r}; "
            f"known: {', '.join(sorted(_SCOPE))}"
        )
    return Fallback(
        pool=str(entry["pool"]),
        regions=tuple(str(item) for item in _list(pool, "regions", entry.get("regions", ()))),
        min_context_tokens=int(_number(pool, "min_context_tokens", entry.get("min_context_tokens", 0))),
        capabilities=tuple(str(item) for item in _list(pool, "capabilities", entry.get("capabilities", ()))),
    )


def _list(pool: str, key: str, value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise _bad(pool, key, value, "a list")
    return list(value)


def _text(pool: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _bad(pool, key, value, "a text")
    return value


def _bad(pool: str, key: str, value: object, wanted: str) -> UsageError:
    return UsageError(f"{key} of pool {pool!r} must be {wanted}, not {value!r}")
