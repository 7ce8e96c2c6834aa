"""A real Redis; a fleet in virtual time over it, by the production script; a proxy that breaks."""

import contextlib
import dataclasses
import json
import shutil
import socket
import subprocess
import threading
import time
from importlib.resources import files

import pytest
import redis

from penstock.limiter.fleet import Fleet, RedisStore, StoreError
from tests.limiter.conftest import Fleet as Agents


class Redis:
    """One server on a socket file. It can be killed, and started again with nothing in it."""

    def __init__(self, folder, *options):
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.process = None
        self._options = ["--port", "0", "--save", "", "--dir", folder, "--unixsocket", self.socket, *options]

    def start(self):
        server = shutil.which("redis-server")
        assert server, "redis-server is missing: apt-get install redis-server"
        command = [server, *map(str, self._options)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=str(self.socket))
        deadline = time.monotonic() + 30
        while True:
            try:
                self.client.ping()
                return self
            except redis.ConnectionError:
                assert self.process.poll() is None, "redis-server ended at its start"
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.02)

    def stop(self):
        self.client.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    server = Redis(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


class ToldStore(RedisStore):
    """The production store, whose script is told the time instead of asking the server for it."""

    def __init__(self, url, clock):
        super().__init__(url, socket_timeout=10, socket_connect_timeout=10)
        script = files("penstock.limiter.fleet").joinpath("pool.lua").read_text("utf-8")
        told = script.replace("redis.call('TIME')", "{ARGV[2], 0}")
        assert told != script
        self._told = self._redis.register_script(told)
        self._clock = clock
        self.down = False
        self.asked = 0

    def _ask(self, pool, report):
        self.asked += 1
        if self.down:
            raise StoreError("down")
        tag = f"fleet:{{{pool}}}"
        keys = [f"{tag}:state", f"{tag}:members", f"{tag}:seen"]
        return json.loads(self._told(keys, [json.dumps(report), repr(1e6 + self._clock())]))


class ToldFleet(Fleet):
    """The production fleet, whose rounds are run by the virtual clock instead of a thread."""

    def __init__(self, store, time):
        super().__init__(lambda: store)
        self._time = time
        self._round_at = float("inf")
        self.dead = False

    def _wake(self):
        self._plan(self._time.now)

    def _plan(self, at):
        if at < self._round_at:
            self._round_at = at
            self._time.call_at(at, lambda: self._due(at))

    def _due(self, at):
        if at != self._round_at:
            return
        self._round_at = float("inf")
        if not self.dead:
            self._plan(self._time.now + max(1e-3, self._round()))


class World(Agents):
    """Agents of many processes in virtual time, which share what they may send over a real Redis."""

    def __init__(self, server, pools, *, processes=20, skew=0.0, facts=lambda process: {}, **options):
        """`facts(process)` says what is special about a process's calls: their priority, tenant …"""
        super().__init__(pools, limiters=processes, **options)
        server.client.flushall()
        self.store = ToldStore(server.url, self.time)
        self.fleets = []
        for number, limiter in enumerate(self.limiters):
            fleet = ToldFleet(self.store, self.time)
            if skew:
                offset = skew * (-1) ** number
                limiter.clock = lambda offset=offset: self.time.now + offset
                limiter._scheduler = Skewed(self.time, offset)
            special = facts(number)
            limiter.admit = lambda call, admit=limiter.admit, special=special: admit(
                dataclasses.replace(call, **special)
            )
            limiter.fleet = fleet
            fleet.serve(limiter)
            self.fleets.append(fleet)

    def sends(self):
        """Count each process's sends."""
        return [limiter._pool(self.home).attempts for limiter in self.limiters]

    def look(self):
        return self.store._ask(self.home, {"look": True})


class Skewed:
    """The scheduler of a process whose clock is wrong."""

    def __init__(self, time, offset):
        self._time, self._offset = time, offset

    def call_at(self, when, run):
        self._time.call_at(when - self._offset, run)


@pytest.fixture
def world(redis_server):
    def make(pools, **options):
        return World(redis_server, pools, **options)

    return make


class Proxy:
    """A door to the server that breaks on demand: its `fault` names how, for new and for open connections."""

    def __init__(self, path, target):
        self.fault = None
        self.delay = 0.0
        self._target = str(target)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self.url = f"unix://{path}"
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()
        self._drop()

    def break_(self, fault, delay=0.0):
        self.fault, self.delay = fault, delay
        if fault in {"refused", "reset"}:
            self._drop()

    def heal(self):
        self.fault, self.delay = None, 0.0
        self._drop()

    def _drop(self):
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open = []

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.fault == "refused":
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            self._open += [client, server]
            for source, sink, replies in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=(source, sink, replies), daemon=True).start()

    def _pass(self, source, sink, replies):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self.delay if replies else 0.0)
                if self.fault == "black hole":
                    continue
                if replies and self.fault in {"reset", "truncated", "half-closed"}:
                    sink.sendall(data[: len(data) // 2])
                    if self.fault == "half-closed":
                        sink.shutdown(socket.SHUT_WR)
                        continue
                    if self.fault == "reset":
                        sink.shutdown(socket.SHUT_RDWR)
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(redis_server, tmp_path):
    door = Proxy(tmp_path / "proxy.sock", redis_server.socket)
    yield door
    door.close()
