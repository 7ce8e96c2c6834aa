"""Where cached answers rest: memory, or Redis. Values are sealed bytes; stores know nothing of them."""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from cachetools import LRUCache

if TYPE_CHECKING:
    import redis

logger: Final = logging.getLogger("penstock")
REDIS_PREFIX: Final = "penstock:cache:"
_FOR_EVER_SECONDS: Final = 1e9
"""About thirty years: what is kept for longer has no end that a server could be told."""


class AnswerStore(Protocol):
    """Keeps bytes by key. None of the methods raises: a cache that fails is a miss.

    `remote`: its methods wait for a network, so they are kept out of event loops.
    """

    remote: bool

    def get(self, key: str) -> bytes | None:
        """Look a key up."""
        ...

    def put(self, key: str, value: bytes, keep_seconds: float) -> None:
        """Keep a value."""
        ...

    def drop(self, key: str) -> None:
        """Forget a key."""
        ...


class MemoryStore:
    """Answers of this process, at most `max_bytes` together; the least recently used goes first."""

    remote = False

    def __init__(self, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._lock = threading.Lock()
        self._values: LRUCache[str, bytes] = LRUCache(max_bytes, getsizeof=len)
        _memories.add(self)

    def after_fork(self) -> None:
        """Make the lock anew: a thread that is not in the child may have held it."""
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Look a key up."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: str, value: bytes, keep_seconds: float) -> None:
        """Keep a value; one that is larger than the whole store is not kept."""
        with self._lock:
            if len(value) <= self._values.maxsize:
                self._values[key] = value

    def drop(self, key: str) -> None:
        """Forget a key."""
        with self._lock:
            self._values.pop(key, None)


_memories: "weakref.WeakSet[MemoryStore]" = weakref.WeakSet()


def _in_child() -> None:
    for memory in tuple(_memories):
        memory.after_fork()


os.register_at_fork(after_in_child=_in_child)


class RedisStore:
    """Answers of a fleet, in Redis or Valkey. Bounded by the server's `maxmemory` and each entry's life.

    Give the client short timeouts (`socket_timeout=0.05, socket_connect_timeout=0.05`). After a failure the
    server is left alone for `pause_seconds`, so that a dead cache costs one timeout and not one a call.
    """

    remote = True

    def __init__(
        self,
        client: "redis.Redis",
        *,
        pause_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._down_until = float("-inf")

    def get(self, key: str) -> bytes | None:
        """Look a key up."""
        found = self._try(lambda: self._client.get(REDIS_PREFIX + key))
        return found if isinstance(found, bytes) else None

    def put(self, key: str, value: bytes, keep_seconds: float) -> None:
        """Keep a value."""
        life = max(1, int(keep_seconds * 1000)) if keep_seconds < _FOR_EVER_SECONDS else None
        self._try(lambda: self._client.set(REDIS_PREFIX + key, value, px=life))

    def drop(self, key: str) -> None:
        """Forget a key."""
        self._try(lambda: self._client.delete(REDIS_PREFIX + key))

    def _try(self, command: Callable[[], object]) -> object:
        if self._clock() < self._down_until:
            return None
        try:
            return command()
        except Exception as error:  # noqa: BLE001 - whatever the client raises, the call goes on without it
            self._down_until = self._clock() + self._pause_seconds
            logger.warning(
                "response cache: Redis failed (%s); going without for %g s",
                type(error).__name__,
                self._pause_seconds,
            )
            return None
