"""A ledger in Redis or Valkey, for a fleet."""

from typing import TYPE_CHECKING, Final

from penstock.errors import UsageError
from penstock.trust._ledger import Entry, decode_entry, encode_entry

if TYPE_CHECKING:
    import redis

PREFIX: Final = "penstock:ledger:"


class RedisLedger:
    """Keep the ledger in Redis. It is as durable as the server: use `appendfsync always` and `noeviction`.

    `client` is a `redis.Redis` that returns bytes. Entries are kept `keep_seconds`, forever by
    default: at most once holds as long as the entry does. Claims never expire, since they stand for
    what nobody knows.

    Raises:
        UsageError: the client decodes responses.
    """

    remote = True

    def __init__(self, client: "redis.Redis", *, keep_seconds: int | None = None) -> None:
        if client.get_connection_kwargs().get("decode_responses"):
            raise UsageError("RedisLedger needs bytes: make the client with decode_responses=False")
        self._client = client
        self._keep_seconds = keep_seconds

    def find(self, key: str) -> Entry | None:
        """Look a key up."""
        raw = self._client.get(PREFIX + key)
        return None if raw is None else decode_entry(bytes(raw))  # type: ignore[arg-type]

    def begin(self, key: str, claim: Entry) -> Entry | None:
        """Write the claim if the key is free; else return what is there."""
        while not self._client.set(PREFIX + key, encode_entry(claim), nx=True):
            known = self.find(key)
            if known is not None:
                # The client repeats a command whose reply was lost: then what is there is our own.
                return None if known.owner == claim.owner else known
        return None

    def end(self, key: str, entry: Entry | None) -> None:
        """Write how it ended; None frees the key."""
        if entry is None:
            self._client.delete(PREFIX + key)
        else:
            self._client.set(PREFIX + key, encode_entry(entry), ex=self._keep_seconds)
