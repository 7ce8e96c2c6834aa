"""A real Redis; a fleet in virtual time over it, by the production script; a proxy that breaks."""

import dataclasses
import json
import random
from importlib.resources import files

import pytest

from benchmarks.fleet.servers import Proxy, Redis
from penstock.limiter.fleet import Fleet, RedisStore, StoreError
from tests.limiter.conftest import Fleet as Agents


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
        self.under_way = []
        """Reports that were sent while it was down: a network may deliver them when it is up again."""
        self.ahead = 0.0
        """Seconds by which the server's clock is ahead of what it was at first."""
        self.asked = 0

    def _ask(self, pool, report):
        self.asked += 1
        if self.down:
            if "look" not in report:
                self.under_way.append((pool, report))
            raise StoreError("down")
        tag = f"fleet:{{{pool}}}"
        keys = [f"{tag}:state", f"{tag}:members", f"{tag}:seen"]
        return json.loads(self._told(keys, [json.dumps(report), repr(1e6 + self.ahead + self._clock())]))

    def deliver(self):
        """Be up again, and get first what was under way."""
        self.down = False
        for pool, report in self.under_way:
            self._ask(pool, report)
        self.under_way.clear()


class ToldFleet(Fleet):
    """The production fleet, whose rounds are run by the virtual clock instead of a thread."""

    def __init__(self, store, time, number):
        super().__init__(lambda: store)
        self._member, self._rng = f"{number:016x}", random.Random(number)
        self._time = time
        self._round_at = float("inf")
        self.dead = False
        self.starts_late = 0.0
        """Seconds that its thread takes to start."""

    def _wake(self):
        late, self.starts_late = self.starts_late, 0.0
        self._plan(self._time.now + late)

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
            fleet = ToldFleet(self.store, self.time, number)
            if skew:
                offset = skew * (-1) ** number
                limiter.clock = lambda offset=offset: self.time.now + offset
                limiter._alarms._clock, limiter._alarms._scheduler = limiter.clock, Skewed(self.time, offset)
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

    def live(self):
        """Count the calls that are live in all processes."""
        return sum(len(limiter._pool(self.home).live) for limiter in self.limiters)

    def watch(self):
        """Note the live calls of all processes from now on, twenty times a second. Gives the notes."""
        notes = []

        def look():
            notes.append(self.live())
            self.time.after(0.05, look)

        look()
        return notes

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


@pytest.fixture
def proxy(redis_server, tmp_path):
    door = Proxy(tmp_path / "proxy.sock", redis_server.socket)
    yield door
    door.close()
