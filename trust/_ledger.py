"""What irreversible work was begun and what was done: at most once per key.

The claim is written before the work starts, its end after it ran. Whoever dies in between leaves a
claim without an end: nobody but the outside world knows whether the work was done, so the ledger says
*begun* and never guesses.
"""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from uuid import uuid4

import orjson

from penstock.errors import OutcomeUnknown


class State(StrEnum):
    """How far the work under a key came."""

    BEGUN = "begun"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key's record. `at` is unix seconds; `result` is what `encode_result` made of the answer.

    `owner` is unique to one claim, so that a claim whose acknowledgement was lost is known again.
    """

    state: State
    owner: str
    at: float
    result: bytes | None = None


class Ledger(Protocol):
    """Durable memory of irreversible work.

    What raises in `find` or `begin` keeps the work from starting: without the ledger nobody can say
    whether it ran before. `remote`: its methods wait for a disk or a network, so they are kept out of
    event loops.
    """

    remote: bool

    def find(self, key: str) -> Entry | None:
        """Look a key up."""
        ...

    def begin(self, key: str, claim: Entry) -> Entry | None:
        """Write the claim if the key is free, atomically and durably; else return what is there."""
        ...

    def end(self, key: str, entry: Entry | None) -> None:
        """Write how it ended; None frees the key, for work that is known not to have been done."""
        ...


class MemoryLedger:
    """A ledger for one process; a crash forgets it. What a dict does in one step needs no lock."""

    remote = False

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def find(self, key: str) -> Entry | None:
        """Look a key up."""
        return self._entries.get(key)

    def begin(self, key: str, claim: Entry) -> Entry | None:
        """Write the claim if the key is free; else return what is there."""
        known = self._entries.setdefault(key, claim)
        return None if known is claim else known

    def end(self, key: str, entry: Entry | None) -> None:
        """Write how it ended; None frees the key."""
        if entry is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = entry


@dataclass(frozen=True, slots=True)
class Codec:
    """How a result is kept. The default takes what JSON gives back unchanged, and nothing else."""

    encode: Callable[[object], bytes] = field(default=orjson.dumps)
    decode: Callable[[bytes], object] = field(default=orjson.loads)

    def keep(self, result: object) -> bytes | None:
        """Encode a result; None when a replay could not give back its equal."""
        try:
            kept = self.encode(result)
            return kept if self.decode(kept) == result else None
        except Exception:  # noqa: BLE001 - the work ran; that its result cannot be kept is told at the replay
            return None


def new_claim() -> Entry:
    """Make a claim that no other has."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex}"
    return Entry(state=State.BEGUN, owner=owner, at=time.time())


def ended(claim: Entry, result: bytes | None) -> Entry:
    """Turn a claim into the record of work that was done."""
    return Entry(state=State.DONE, owner=claim.owner, at=claim.at, result=result)


def replay(key: str, entry: Entry, codec: Codec) -> object:
    """Give back the result of work that was done before.

    Raises:
        OutcomeUnknown: the work began and never reported, or its result could not be kept.
    """
    if entry.state is State.DONE and entry.result is not None:
        return codec.decode(entry.result)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.at))
    host, pid, *_ = [*entry.owner.split(":"), "?"]
    if entry.state is State.DONE:
        raise OutcomeUnknown(
            f"{key} was done at {since}, but its result was not one that JSON gives back unchanged: "
            "return plain JSON values, or pass codec=",
            key=key, done=True,
        )  # fmt: skip
    raise OutcomeUnknown(
        f"{key} was begun at {since} by process {pid} on {host} and has not reported: it may have been "
        "done, or be running still. Look it up where it takes effect, then resolve(ledger, key, …)",
        key=key, done=False,
    )  # fmt: skip


def resolve(
    ledger: Ledger, key: str, *, done: bool, result: object = None, codec: Codec | None = None
) -> None:
    """Settle an unknown outcome that was looked up where the work takes effect.

    `done` work is replayed from now on, with `result`; work that was not done may be begun again. Be sure
    that nobody is still running it: the ledger cannot know. What is settled already stays as it is.
    """
    claim = ledger.find(key)
    if claim is not None and claim.state is State.BEGUN:
        ledger.end(key, ended(claim, (codec or Codec()).keep(result)) if done else None)


def encode_entry(entry: Entry) -> bytes:
    """Write an entry as JSON."""
    result = None if entry.result is None else entry.result.hex()
    return orjson.dumps([entry.state, entry.owner, entry.at, result])


def decode_entry(raw: bytes) -> Entry:
    """Read an entry."""
    state, owner, at, result = orjson.loads(raw)
    return Entry(
        state=State(state), owner=owner, at=at, result=None if result is None else bytes.fromhex(result)
    )
