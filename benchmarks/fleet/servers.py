"""A real Redis, and a proxy before it that breaks in every way. The tests use them too."""

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, TypeVar

import redis

FAULTS: Final = ("refused", "reset", "truncated", "half-closed", "black hole", "parted")
"""What `Proxy.break_` knows."""
_START_SECONDS: Final = 30
_TRIES: Final = 10
T = TypeVar("T")


class NotStartedError(Exception):
    """A server ended at its start."""


def on_free_ports(count: int, start: Callable[..., T]) -> T:
    """Start something on ports that are free; one that was found free may be taken before it is used.

    Raises:
        NotStartedError: it did not start on any of them.
    """
    for _ in range(_TRIES):
        with ExitStack() as stack:
            doors = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
            for door in doors:
                door.bind(("127.0.0.1", 0))
            ports = [door.getsockname()[1] for door in doors]
        with contextlib.suppress(NotStartedError):
            return start(*ports)
    raise NotStartedError


class Redis:
    """One server on a socket file. It can be killed, and started again with nothing in it."""

    def __init__(self, folder: Path, *options: object) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis(unix_socket_path=str(self.socket))
        self.process: subprocess.Popen[bytes] | None = None
        self._options = ["--port", "0", "--save", "", "--dir", folder, "--unixsocket", self.socket, *options]

    def start(self) -> "Redis":
        """Start it, and wait until it answers.

        Raises:
            NotStartedError: it ended at once.
        """
        server = shutil.which("redis-server")
        assert server, "redis-server is missing: apt-get install redis-server"
        process = self.process = subprocess.Popen(
            [server, *map(str, self._options)], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.client.ping()
                return self
            except redis.ConnectionError:
                if process.poll() is not None:
                    raise NotStartedError from None
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.02)

    def stop(self) -> None:
        """Kill it."""
        self.client.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)


class Proxy:
    """A door to a server that breaks on demand: its `fault` names how, for new and for open connections."""

    def __init__(self, path: Path, target: Path) -> None:
        self.fault: str | None = None
        self.delay = 0.0
        self.target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(256)
        self.url = f"unix://{path}"
        self._open: list[socket.socket] = []
        self._opening = threading.Lock()
        self._way = threading.Event()
        self._way.set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let no one through any more."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts; closing would not
        self._thread.join()
        self._listener.close()
        self._way.set()
        self._drop()

    def break_(self, fault: str | None, delay: float = 0.0) -> None:
        """Break as one of `FAULTS`, or hold back each answer for `delay` seconds."""
        self.fault, self.delay = fault, delay
        if fault in {"refused", "reset"}:
            self._drop()
        if fault == "parted":
            self._way.clear()

    def lead_to(self, target: Path) -> None:
        """Lead to another server from now on, as after a failover."""
        self.target = target
        self._drop()

    def heal(self) -> None:
        """Be whole again, for new connections; where they were parted what was sent arrives, as with TCP."""
        parted = self.fault == "parted"
        self.fault, self.delay = None, 0.0
        self._way.set()
        if not parted:
            self._drop()

    def _drop(self) -> None:
        with self._opening:
            ends, self._open = self._open, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                if self.fault == "refused":
                    raise ConnectionRefusedError
                server.connect(str(self.target))
            except OSError:
                client.close()
                server.close()
                continue
            with self._opening:
                self._open += [client, server]
            for source, sink, replies in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=(source, sink, replies), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self.delay if replies else 0.0)
                self._way.wait()
                if self.fault == "black hole":
                    continue
                if replies and self.fault in {"reset", "truncated", "half-closed"}:
                    self._maim(sink, data[: len(data) // 2])
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _maim(self, sink: socket.socket, half: bytes) -> None:
        sink.sendall(half)
        if self.fault == "half-closed":
            sink.shutdown(socket.SHUT_WR)
        elif self.fault == "reset":
            sink.shutdown(socket.SHUT_RDWR)
