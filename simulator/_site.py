"""Several providers at one address: which one a request is for, the record, and the `/_sim` door."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import orjson

from penstock.errors import UsageError
from penstock.simulator._provider import Provider, Reply
from penstock.simulator._script import Script
from penstock.simulator._wires import Route, family_of, wire_of
from penstock.simulator.profiles import profile
from penstock.simulator.scenario import OUTPUT_TOKENS, Distribution, Pool, Scenario, read_event
from penstock.simulator.truth import Entry, Truth, tell


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a simulator serves.

    A request goes to the pool that its URL's first segment names (`/backup/v1/chat/completions`), else
    to the one named like its model, else to the first that speaks its wire, else to the first.
    `output_tokens` is how long answers are; `tool_call_share` how many call a tool when offered.
    """

    pools: tuple[Pool, ...] = (profile("openai"),)
    seed: int = 0
    host: str = "127.0.0.1"
    port: int = 0
    output_tokens: Distribution = OUTPUT_TOKENS
    tool_call_share: float = 0.3
    truth_file: Path | None = None

    @classmethod
    def of(cls, scenario: Scenario, **changes: Any) -> "Config":
        """Serve a scenario's pools; its workload only says how long answers are."""
        return cls(pools=scenario.pools, output_tokens=scenario.workload.output_tokens, **changes)


class Site:
    """All providers of one server. Times are seconds since `origin`, a `time.monotonic()`."""

    def __init__(self, config: Config) -> None:
        self.script = Script()
        self._origin = time.monotonic()
        self._entries: list[Entry] = []
        self._providers = {
            pool.name: Provider(
                pool, self.script, config.seed * 1000 + index, config.output_tokens, config.tool_call_share
            )
            for index, pool in enumerate(config.pools)
        }
        self._file = _open(config.truth_file) if config.truth_file else None

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._origin

    def reply(self, path: str, route: Route, body: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
        """Answer a request.

        Raises:
            BadRequestError: when the body is not what the route takes.
        """
        provider = self._provider(path, route, route.target.model or body.get("model"))
        reply = provider.reply(self.now(), time.time_ns(), route, body, headers, len(self._entries) + 1)
        self._entries.append(reply.entry)
        return reply

    def bad_request(self, path: str, route: Route, message: str) -> bytes:
        """Word a 400 as the provider that was asked does."""
        return wire_of(route, self._provider(path, route, None).pool).bad_request(message)

    def _provider(self, path: str, route: Route, model: object) -> Provider:
        named = self._providers.get(path.split("/", 2)[1]) or self._providers.get(str(model))
        if named:
            return named
        providers = list(self._providers.values())
        fitting = (p for p in providers if family_of(p.pool) == route.family)
        return next(fitting, providers[0])

    def settle(self, reply: Reply, end: str) -> None:
        """Close a request's record and its call in the quota."""
        entry = reply.entry
        entry.ended_ns, entry.end = time.time_ns(), end
        self._providers[entry.pool].settle(self.now(), reply)
        if self._file:
            self._file.write(orjson.dumps(entry) + b"\n")
            self._file.flush()

    def close(self) -> None:
        """Close the record's file."""
        if self._file:
            self._file.close()

    # The door for tests and demos

    def truth(self) -> Truth:
        """Sum up what happened."""
        return tell(self.entries())

    def entries(self) -> list[Entry]:
        """Give the record, in order of arrival."""
        return list(self._entries)

    def log(self) -> bytes:
        """Give the record, one JSON object a line."""
        return b"".join(orjson.dumps(entry) + b"\n" for entry in self.entries())

    def fault(self, data: object) -> None:
        """Let an event happen now: the keys of a scenario's `[[pools.events]]`, and `pool` or all.

        `{"restore": true}` puts the pool's own keys back and ends outages and neighbours.

        Raises:
            UsageError: on an unknown pool or key.
        """
        if not isinstance(data, Mapping):
            raise UsageError('a fault is an object, such as {"requests_per_minute": 5}')
        keys = dict(data)
        name = keys.pop("pool", None)
        if name is not None and name not in self._providers:
            raise UsageError(f"unknown pool {name!r}; this simulator has {', '.join(self._providers)}")
        restore = bool(keys.pop("restore", False))
        event = read_event(keys, "fault")
        for provider in [self._providers[name]] if name else self._providers.values():
            if restore:
                provider.quota.restore(self.now())
            provider.quota.apply(self.now(), event)


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise UsageError(f"cannot write the truth log {str(path)!r}: {error.strerror}") from None
