"""Scenarios: a workload, pools with a quota each, and what happens to them over time.

One TOML format for virtual time (the limiter lab) and for real HTTP (`penstock simulate
--scenario`). `docs/scenario.toml` shows every key with its unit and default.
"""

import dataclasses
import math
import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Final

from penstock.errors import UsageError
from penstock.simulator._toml import (
    Check,
    checked,
    choice,
    flag,
    integer,
    number,
    read,
    string,
    table,
    tables,
)

_NORMAL: Final = NormalDist()


WIRES: Final = (
    "openai", "azure", "groq", "mistral", "deepseek", "vllm",
    "anthropic", "gemini", "bedrock", "cohere", "ollama",
)  # fmt: skip
"""Whose words a pool uses; those of the first line are dialects of OpenAI's wire."""
HEADERS: Final = ("openai", "anthropic", "azure", "groq", "mistral", "cohere", "none")
"""How a pool spells its quota; providers that are not here tell nothing."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A positive quantity. `mean` is the arithmetic mean; `sigma` is the lognormal's only."""

    distribution: Annotated[str, choice("lognormal", "exponential", "constant")] = "lognormal"
    mean: Annotated[float, number(finite=True)] = 1.0
    sigma: Annotated[float, number(0, 10)] = 0.8

    def at(self, draw: float) -> float:
        """Map a standard normal draw to a value: the same draw is the same quantile everywhere."""
        if self.distribution == "lognormal":
            return self.mean * math.exp(self.sigma * draw - self.sigma * self.sigma / 2)
        if self.distribution == "exponential":
            return -self.mean * math.log(max(1e-12, 1 - _NORMAL.cdf(draw)))
        return self.mean

    def sample(self, rng: random.Random) -> float:
        """Draw a value."""
        return self.at(rng.gauss(0.0, 1.0))


INPUT_TOKENS: Final = Distribution("lognormal", 1500.0, 0.8)
OUTPUT_TOKENS: Final = Distribution("lognormal", 300.0, 0.8)
LATENCY_SECONDS: Final = Distribution("lognormal", 2.0, 0.6)


def _distribution(default: Distribution) -> Check:
    """Accept a distribution whose missing keys come from `default`."""

    def check(value: object, where: str) -> object:
        return dataclasses.replace(default, **checked(Distribution, value, where))  # type: ignore[arg-type]

    return check


@dataclass(frozen=True, slots=True)
class Tenant:
    """A group of agents. `share` is its part of all agents, relative to the other shares."""

    name: Annotated[str, string] = "default"
    share: Annotated[float, number(finite=True)] = 1.0
    priority: Annotated[str, choice("interactive", "normal", "batch")] = "normal"


def _call_range(value: object, where: str) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or not all(type(n) is int and n > 0 for n in value):
        raise UsageError(f"{where} must be two whole numbers, [fewest, most], from 1")
    if value[0] > value[1]:
        raise UsageError(f"{where} must be [fewest, most], not {value}")
    return value[0], value[1]


@dataclass(frozen=True, slots=True)
class Workload:
    """Who calls, how often and with what."""

    mode: Annotated[str, choice("closed", "open")] = "closed"
    tasks: Annotated[int, integer(0)] = 50
    tasks_per_second: Annotated[float, number(finite=True)] = 0.0
    calls_per_task: Annotated[int, integer(1)] = 20
    fan_out_share: Annotated[float, number(0, 1)] = 0.4
    fan_out_calls: Annotated[tuple[int, int], _call_range] = (2, 5)
    tool_seconds: Annotated[float, number(finite=True)] = 1.0
    restart_seconds: Annotated[float, number(finite=True)] = 5.0
    input_tokens: Annotated[Distribution, _distribution(INPUT_TOKENS)] = INPUT_TOKENS
    output_tokens: Annotated[Distribution, _distribution(OUTPUT_TOKENS)] = OUTPUT_TOKENS
    max_tokens: Annotated[int, integer(1)] = 1024
    cached_input_share: Annotated[float, number(0, 1)] = 0.0
    stream: Annotated[bool, flag] = False
    deadline_seconds: Annotated[float, number()] = 0.0
    tenants: Annotated[tuple[Tenant, ...], tables(Tenant)] = (Tenant(),)
    processes: Annotated[int, integer(1)] = 1
    store: Annotated[str, choice("none", "memory", "redis")] = "memory"


@dataclass(frozen=True, slots=True)
class Router:
    """How the limiter may use the pools after the first."""

    wait_up_to_seconds: Annotated[float, number()] = math.inf


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Shares of requests that fail, by how; `overloaded` ones are refused before any work."""

    timeout: Annotated[float, number(0, 1)] = 0.0
    server_error: Annotated[float, number(0, 1)] = 0.0
    overloaded: Annotated[float, number(0, 1)] = 0.0
    broken_stream: Annotated[float, number(0, 1)] = 0.0


def _error_rates(value: object, where: str) -> ErrorRates:
    rates = read(ErrorRates, value, where)
    if sum(dataclasses.astuple(rates)) > 1 + 1e-9:
        raise UsageError(f"{where} must sum to at most 1")
    return rates


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Someone else on the same quota, taking `share` of it in bursts.

    `competes`: it also grabs whatever nobody has claimed yet, so that nothing can be saved up.
    """

    share: float = 0.0
    on_seconds: float = 20.0
    off_seconds: float = 20.0
    competes: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """What happens to a pool at a time: keys change, an outage begins, a neighbour comes or goes."""

    at_seconds: float
    changes: Mapping[str, object]
    outage_seconds: float = 0.0
    outage_status: int = 503
    neighbour: Neighbour | None = None


@dataclass(frozen=True, slots=True)
class _EventKeys:
    """The keys that only an event has; every other key of an event is a pool's."""

    at_seconds: Annotated[float, number()] = 0.0
    outage_seconds: Annotated[float, number()] = 0.0
    outage_status: Annotated[int, integer(400, 599)] = 503
    neighbour_share: Annotated[float, number(0, 1)] = 0.0
    neighbour_on_seconds: Annotated[float, number(1e-3)] = 20.0
    neighbour_off_seconds: Annotated[float, number()] = 20.0
    neighbour_competes: Annotated[bool, flag] = False


_EVENT_ONLY: Final = frozenset(f.name for f in dataclasses.fields(_EventKeys))


def _events(value: object, where: str) -> tuple[Event, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{where} must be an array of tables, [[pools.events]]")
    events = (read_event(item, f"{where}[{index}]") for index, item in enumerate(value))
    return tuple(sorted(events, key=lambda event: event.at_seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One quota and how its provider behaves. 0 is no limit."""

    name: Annotated[str, string] = "primary"
    algorithm: Annotated[str, choice("continuous", "fixed_window", "sliced")] = "continuous"
    bucket_seconds: Annotated[float, number(1e-3, finite=True)] = 10.0
    token_bucket_seconds: Annotated[float, number(1e-3, finite=True)] = 60.0
    window_seconds: Annotated[float, number(1e-3, finite=True)] = 60.0
    slice_seconds: Annotated[float, number(1e-3, finite=True)] = 1.0
    requests_per_minute: Annotated[float, number()] = 500.0
    tokens_per_minute: Annotated[float, number()] = 0.0
    input_tokens_per_minute: Annotated[float, number()] = 0.0
    output_tokens_per_minute: Annotated[float, number()] = 0.0
    concurrency: Annotated[float, number()] = 0.0
    slope_percent_per_15s: Annotated[float, number()] = 0.0
    token_accounting: Annotated[str, choice("max_tokens", "actual")] = "max_tokens"  # noqa: S105
    cached_input_counts: Annotated[bool, flag] = True
    charge_rejected: Annotated[bool, flag] = False
    latency_seconds: Annotated[Distribution, _distribution(LATENCY_SECONDS)] = LATENCY_SECONDS
    seconds_per_output_token: Annotated[float, number(finite=True)] = 0.0
    rejection_seconds: Annotated[float, number(finite=True)] = 0.08
    wire: Annotated[str, choice("auto", *WIRES)] = "auto"
    headers: Annotated[str, choice(*HEADERS)] = "openai"
    header_lies: Annotated[str, choice("none", "zero", "negative", "past_reset", "rounded")] = "none"
    retry_after: Annotated[str, choice("seconds", "float", "ms", "date", "body", "none")] = "seconds"
    limits_known: Annotated[bool, flag] = False
    error_rates: Annotated[ErrorRates, _error_rates] = ErrorRates()
    events: Annotated[tuple[Event, ...], _events] = ()

    @property
    def speaks(self) -> str:
        """Say which wire's words it uses: those of its headers unless `wire` says."""
        if self.wire != "auto":
            return self.wire
        return self.headers if self.headers in WIRES else "openai"


def read_event(data: object, where: str = "event") -> Event:
    """Read one event from decoded TOML or JSON.

    Raises:
        UsageError: on an unknown key or a wrong value.
    """
    if not isinstance(data, Mapping):
        raise UsageError(f"{where} must be a table")
    own = read(_EventKeys, {k: v for k, v in data.items() if k in _EVENT_ONLY}, where)
    rest = {k: v for k, v in data.items() if k not in _EVENT_ONLY}
    neighbour = Neighbour(
        own.neighbour_share, own.neighbour_on_seconds, own.neighbour_off_seconds, own.neighbour_competes
    )
    return Event(
        at_seconds=own.at_seconds,
        changes=checked(Pool, rest, where, but=("name", "events")),
        outage_seconds=own.outage_seconds,
        outage_status=own.outage_status,
        neighbour=neighbour if any(name.startswith("neighbour_") for name in data) else None,
    )


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario. `pools` are in order of preference."""

    name: Annotated[str, string] = "scenario"
    horizon_seconds: Annotated[float, number(1e-3, finite=True)] = 900.0
    workload: Annotated[Workload, table(Workload)] = Workload()
    router: Annotated[Router, table(Router)] = Router()
    pools: Annotated[tuple[Pool, ...], tables(Pool)] = (Pool(),)


def read_scenario(source: str, *, name: str = "scenario") -> Scenario:
    """Read a scenario from TOML text; `name` is what it is called when it does not say.

    Raises:
        UsageError: on invalid TOML, an unknown key (named with its table) or a wrong value.
    """
    try:
        data = tomllib.loads(source)
        scenario = read(Scenario, {"name": name, **data})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"scenario {name!r} is not TOML: {error}") from None
    except UsageError as error:
        raise UsageError(f"scenario {name!r}: {error}") from None
    return dataclasses.replace(scenario, pools=_named_apart(scenario.pools))


def load_scenario(path: str | Path) -> Scenario:
    """Read a scenario file; without a `name` it is called after the file.

    Raises:
        UsageError: when the file cannot be read or holds a wrong key or value.
    """
    path = Path(path)
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read scenario {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"cannot read scenario {str(path)!r}: not UTF-8 text") from None
    return read_scenario(source, name=path.stem)


def _named_apart(pools: tuple[Pool, ...]) -> tuple[Pool, ...]:
    """Number pools that share a name, as pools without one do."""
    taken: dict[str, int] = {}
    named = []
    for pool in pools:
        taken[pool.name] = count = taken.get(pool.name, 0) + 1
        named.append(pool if count == 1 else dataclasses.replace(pool, name=f"{pool.name}-{count}"))
    return tuple(named)
