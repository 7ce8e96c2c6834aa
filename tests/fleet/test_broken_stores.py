"""Every way in which a store breaks, on real sockets: the app gets its permits, and no exception."""

import signal
import time

import pytest

from benchmarks.fleet.servers import Redis
from penstock.errors import UsageError
from penstock.limiter import Limiter
from penstock.limiter.fleet import Fleet, RedisStore, Standing, StoreError
from penstock.telemetry.interceptor import Answer, Call, Granted, Settlement

POOL = "openai:m"
CALL = Call(provider="openai", host="h", pool=POOL, model="m", operation="chat")


class Member:
    """One process of a fleet, in this process."""

    def __init__(self, url):
        self.fleet = Fleet(lambda: RedisStore(url))
        self.limiter = Limiter(fleet=self.fleet)

    @property
    def standing(self):
        share = self.fleet.shares.get(POOL)
        return share.standing if share is not None else None

    def call(self):
        """Ask the model once."""
        ticket = self.limiter.admit(CALL)
        assert isinstance(ticket.wait(), Granted)
        now = time.monotonic()
        self.limiter.answer(ticket, Answer(at=now, sent_at=now, status=200))
        self.limiter.settle(ticket, Settlement(at=time.monotonic(), end="eof"))

    def becomes(self, standing):
        """Call on until the store is lost, or back."""
        self.call_until(lambda: self.standing is standing)

    def call_until(self, told):
        """Call on until something is so."""
        deadline = time.monotonic() + 60
        while not told():
            self.call()
            assert time.monotonic() < deadline, f"still {self.standing}"
            time.sleep(0.01)


@pytest.fixture
def member(proxy):
    made = Member(proxy.url)
    yield made
    made.limiter.close()


def test_a_member_is_lent_calls_and_leaves(member, redis_server):
    redis_server.client.flushall()
    member.becomes(Standing.HELD)
    for _ in range(20):
        member.call()
    looker = RedisStore(redis_server.url)
    ((name, told),) = looker.look()
    assert (name, told["members"], told["live"]) == (POOL, 1, 0)
    member.limiter.close()
    ((_, told),) = looker.look()
    assert told["members"] == 0


def test_what_nobody_uses_is_forgotten_with_its_name(member, redis_server):
    redis_server.client.flushall()
    member.becomes(Standing.HELD)
    looker = RedisStore(redis_server.url)
    assert [name for name, _ in looker.look()] == [POOL]
    keys = redis_server.client.keys("*")
    assert len(keys) == 4
    assert all(0 < redis_server.client.ttl(key) <= 86_400 for key in keys)
    member.limiter.close()
    redis_server.client.delete(*redis_server.client.keys("*:state"))
    assert list(looker.look()) == []


@pytest.mark.parametrize("fault", ["refused", "reset", "truncated", "half-closed", "black hole", "parted"])
def test_the_app_goes_on_through_it_and_comes_back(member, proxy, fault):
    member.becomes(Standing.HELD)
    proxy.break_(fault)
    member.becomes(Standing.LOST)
    for _ in range(5):
        member.call()
    member.call_until(lambda: not member.fleet.up)  # a share whose answer is late knows it first
    proxy.heal()
    member.becomes(Standing.HELD)
    member.call_until(lambda: member.fleet.up)


@pytest.mark.parametrize("milliseconds", [5, 200, 5000])
def test_a_slow_store_is_used_or_lost(member, proxy, milliseconds):
    member.becomes(Standing.HELD)
    proxy.break_(None, delay=milliseconds / 1000)
    member.becomes(Standing.HELD if milliseconds < 50 else Standing.LOST)
    proxy.heal()
    member.becomes(Standing.HELD)


def test_a_store_that_breaks_itself(tmp_path):
    server = Redis(tmp_path).start()
    member = Member(server.url)
    try:
        member.becomes(Standing.HELD)
        server.send(signal.SIGSTOP)
        member.becomes(Standing.LOST)
        server.send(signal.SIGCONT)
        member.becomes(Standing.HELD)
        server.client.client_pause(3000)
        member.becomes(Standing.LOST)
        member.becomes(Standing.HELD)
        server.client.script_flush()
        for _ in range(5):
            member.call()
        assert member.standing is Standing.HELD
        server.client.config_set("maxmemory", 1)  # out of memory: no write is taken
        member.becomes(Standing.LOST)
        server.client.config_set("maxmemory", 0)
        member.becomes(Standing.HELD)
        server.client.config_set("requirepass", "heron")
        server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        member.becomes(Standing.LOST)
        server.client.config_set("requirepass", "")
        member.becomes(Standing.HELD)
        server.stop()
        member.becomes(Standing.LOST)
        server.start()  # with nothing in it
        member.becomes(Standing.HELD)
    finally:
        member.limiter.close()
        server.stop()


@pytest.mark.parametrize("url", ["ftp://user:hunter2@127.0.0.1", "redis://:hunter2/xyz@127.0.0.1:1/0"])
def test_an_address_that_is_none_is_told_without_its_password(url):
    with pytest.raises(UsageError, match="no Redis URL") as refused:
        RedisStore(url)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(StoreError):
        RedisStore("redis://user:hunter2@127.0.0.1:1/0").exchange(POOL, {})
