"""Every way in which a store breaks, for as long as a context lasts."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from benchmarks.fleet.servers import Proxy, Redis

_LOST_SECONDS: Final = 2.0
"""A failover forgets what was written in its last so many seconds."""


@dataclass
class Store:
    """What a fleet reaches through a door: a server, and another that takes over."""

    folder: Path
    server: Redis = field(init=False)
    proxy: Proxy = field(init=False)

    def __enter__(self) -> Self:
        self._stack, self._number = ExitStack(), 0
        self.server = self._another()
        self.proxy = Proxy(self.folder / "door", self.server.socket)
        self._stack.callback(self.proxy.close)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def fail_over(self, state: dict[bytes, bytes]) -> None:
        """Lead everyone to another server, which has only what was written until then."""
        taken, self.server = self.server, self._another()
        for key, value in state.items():
            self.server.client.restore(key, 0, value, replace=True)
        self.proxy.lead_to(self.server.socket)
        taken.stop()

    def state(self) -> dict[bytes, bytes]:
        """Copy what the server has."""
        client = self.server.client
        dumped = {key: client.dump(key) for key in client.scan_iter()}
        return {key: value for key, value in dumped.items() if value is not None}

    def _another(self) -> Redis:
        self._number += 1
        home = self.folder / f"redis-{self._number}"
        home.mkdir()
        server = Redis(home).start()
        self._stack.callback(server.stop)
        return server


Fault = Callable[[Store, float], AbstractContextManager[object]]
"""Given the store and how long it is to last; the context is left at that time."""


def _proxied(fault: str | None, delay: float = 0.0) -> Fault:
    @contextmanager
    def broken(store: Store, seconds: float) -> Iterator[None]:
        store.proxy.break_(fault, delay)
        try:
            yield
        finally:
            store.proxy.heal()

    return broken


@contextmanager
def _stopped(store: Store, seconds: float) -> Iterator[None]:
    store.server.send(signal.SIGSTOP)
    try:
        yield
    finally:
        store.server.send(signal.SIGCONT)


@contextmanager
def _paused(store: Store, seconds: float) -> Iterator[None]:
    store.server.client.client_pause(int(1000 * seconds))
    try:
        yield
    finally:
        store.server.client.client_unpause()


@contextmanager
def _flushed(store: Store, seconds: float) -> Iterator[None]:
    over = threading.Event()

    def flush() -> None:
        while not over.wait(0.2):
            store.server.client.script_flush()

    flushing = threading.Thread(target=flush)
    flushing.start()
    try:
        yield
    finally:
        over.set()
        flushing.join()


@contextmanager
def _full(store: Store, seconds: float) -> Iterator[None]:
    store.server.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        store.server.client.config_set("maxmemory", 0)


@contextmanager
def _locked(store: Store, seconds: float) -> Iterator[None]:
    client = store.server.client
    client.config_set("requirepass", "heron")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    try:
        yield
    finally:
        client.config_set("requirepass", "")


@contextmanager
def _emptied(store: Store, seconds: float) -> Iterator[None]:
    store.server.stop()
    store.server.start()
    yield


@contextmanager
def _failed_over(store: Store, seconds: float) -> Iterator[None]:
    state = store.state()
    threading.Event().wait(_LOST_SECONDS)
    store.fail_over(state)
    yield


FAULTS: Final[dict[str, Fault]] = {
    "refused": _proxied("refused"),
    "black hole": _proxied("black hole"),
    "parted": _proxied("parted"),
    "+5 ms": _proxied(None, 0.005),
    "+50 ms": _proxied(None, 0.05),
    "+500 ms": _proxied(None, 0.5),
    "+5000 ms": _proxied(None, 5.0),
    "reset in a reply": _proxied("reset"),
    "half-closed": _proxied("half-closed"),
    "truncated": _proxied("truncated"),
    "SIGSTOP": _stopped,
    "CLIENT PAUSE": _paused,
    "SCRIPT FLUSH": _flushed,
    "out of memory": _full,
    "wrong auth": _locked,
    "restart with nothing": _emptied,
    "failover losing 2 s of writes": _failed_over,
}
