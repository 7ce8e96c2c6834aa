"""The store of a fleet: Redis, or what speaks like it. One script, one round trip, short timeouts."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.resources import files
from math import inf
from time import monotonic
from typing import Any, Final, Protocol

from penstock.errors import UsageError

TIMEOUT_SECONDS: Final = 0.045
"""Of a connection and of each answer; options of the URL, such as `?socket_connect_timeout=0.2`, win."""
_PREFIX: Final = "penstock:fleet"
_NAMES: Final = f"{_PREFIX}:pools"
_KEEP_SECONDS: Final = 86_400
"""As in pool.lua: so long after the last use all is forgotten."""
_RENAME_SECONDS: Final = 3600.0


class StoreError(Exception):
    """The store did not answer in time, or not as it should. Never seen by the app."""


class Store(Protocol):
    """Keeps what a fleet shares."""

    def exchange(self, pool: str, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Tell a member's report and get its share.

        Raises:
            StoreError: no answer, or none that can be read.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class RedisStore:
    """A store on Redis 7 or later, alone or a cluster, by redis-py. All keys of a pool share one hash tag."""

    def __init__(self, url: str, **options: Any) -> None:
        """Connect on first use.

        Raises:
            UsageError: the redis package is missing, or `url` is no Redis URL.
        """
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.cluster import RedisCluster
            from redis.exceptions import MovedError
            from redis.retry import Retry
        except ImportError as error:
            raise UsageError("a store needs the redis package: pip install 'penstock[redis]'") from error
        patient = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS, **options}
        join: Callable[..., Any] = RedisCluster.from_url
        self._cluster: Callable[[], Any] = partial(join, url, retry=Retry(NoBackoff(), 0), **patient)
        self._moved, self._failures = MovedError, (redis.RedisError, OSError, ValueError)
        self._source = files(__package__).joinpath("pool.lua").read_text("utf-8")
        self._named: dict[str, float] = {}
        try:
            self._talk_to(redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **patient))
        except ValueError as error:
            raise UsageError(  # what urllib says may quote a part of the password
                "the store's address is no Redis URL: write redis://host:6379/0, and in a password %2F for /"
            ) from error

    def _talk_to(self, client: Any) -> None:
        self._redis, self._script = client, client.register_script(self._source)

    def exchange(self, pool: str, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Tell a member's report and get its share.

        Raises:
            StoreError: no answer, or none that can be read.
        """
        reply = self._ask(pool, report)
        if reply.get("new"):
            self._named.pop(pool, None)
        if monotonic() >= self._named.get(pool, -inf) and "leave" not in report:
            self._command(lambda: self._redis.sadd(_NAMES, pool))
            self._command(lambda: self._redis.expire(_NAMES, _KEEP_SECONDS))
            self._named[pool] = monotonic() + _RENAME_SECONDS
        return reply

    def look(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Describe every pool that a fleet shares here, in the order of their names.

        Raises:
            StoreError: no answer, or none that can be read.
        """
        for name in sorted(raw.decode() for raw in self._command(lambda: self._redis.smembers(_NAMES))):
            told = self._ask(name, {"look": True})
            if not told["new"]:  # else nobody has used it for a day
                yield name, told

    def close(self) -> None:
        """Let go of connections."""
        self._redis.close()

    def _ask(self, pool: str, report: Mapping[str, Any]) -> Mapping[str, Any]:
        tag = f"{_PREFIX}:{{{pool}}}"
        keys = [f"{tag}:state", f"{tag}:members", f"{tag}:seen"]
        reply = self._command(lambda: json.loads(self._script(keys, [json.dumps(report)])))
        if not isinstance(reply, dict):
            raise StoreError(f"the store answered {reply!r:.80}")
        return reply

    def _command(self, command: Callable[[], Any]) -> Any:
        try:
            try:
                return command()
            except self._moved:  # one node of a cluster was named: from now on, ask whichever has the key
                self._redis.close()
                self._talk_to(self._cluster())
                return command()
        except self._failures as error:
            raise StoreError(f"{type(error).__name__}: {error}") from error
