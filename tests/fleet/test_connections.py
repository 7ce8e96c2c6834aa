"""How members reach the store: passwords, TLS, clusters, forks; and what a short life leaves behind."""

import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from benchmarks.fleet.servers import Redis, on_free_ports
from penstock.limiter import Limiter, LimiterSettings, PoolSettings
from penstock.limiter.fleet import Fleet, RedisStore, Standing
from penstock.telemetry.interceptor import Granted
from tests.fleet.test_broken_stores import CALL, POOL, Member

PAGE = Path(__file__).parents[2] / "docs" / "fleet.md"
FORKS = """
import os, sys, time
from penstock.limiter import Limiter
from penstock.limiter.fleet import Fleet, RedisStore
from tests.fleet.test_broken_stores import CALL

limiter = Limiter(fleet=Fleet(lambda: RedisStore(sys.argv[1], socket_timeout=5)))
assert limiter.admit(CALL).wait()
parent = limiter.fleet._member
children = [os.fork() for _ in range(1)]
limiter.admit(CALL).wait()
if 0 in children:
    assert limiter.fleet._member != parent
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""


def looked(url):
    """Look at the one pool of a store."""
    store = RedisStore(url, socket_timeout=10, socket_connect_timeout=10)
    ((name, told),) = store.look()
    store.close()
    assert name == POOL
    return told


@pytest.fixture
def start(tmp_path):
    """Start a server with options of its own."""
    with ExitStack() as stack:

        def start(*options, name="one"):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            server = Redis(folder, *options).start()
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def join():
    """Make a member; it leaves at the end."""
    with ExitStack() as stack:

        def join(url):
            member = Member(url)
            stack.callback(member.limiter.close)
            return member

        yield join


def test_over_tls_with_a_password(start, join, tmp_path):
    authority = trustme.CA()
    trust, mine = tmp_path / "ca.pem", tmp_path / "server.pem"
    authority.cert_pem.write_to_path(trust)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(mine)

    def serve(port):
        return port, start(
            "--tls-port", port, "--tls-cert-file", mine, "--tls-key-file", mine, "--tls-ca-cert-file", trust,
            "--tls-auth-clients", "no",
        )  # fmt: skip

    port, server = on_free_ports(1, serve)
    server.client.acl_setuser(
        "app",
        enabled=True,
        passwords=["+heron"],
        keys=["penstock:*"],
        commands=re.search(r"~penstock:\*` and `([^`]+)`", PAGE.read_text())[1].split(),
    )
    member = join(f"rediss://app:heron@127.0.0.1:{port}/0?ssl_ca_certs={trust}")
    member.becomes(Standing.HELD)
    untrusting = join(f"rediss://app:heron@127.0.0.1:{port}/0")
    untrusting.becomes(Standing.LOST)
    untrusting.call()


def test_a_cluster_is_recognised_by_any_of_its_nodes(start, join):
    def serve(port, bus):
        options = ("--port", port, "--cluster-enabled", "yes", "--cluster-port", bus)
        return port, start(*options, name=str(port)).client

    ports, nodes = zip(*(on_free_ports(2, serve) for _ in range(2)), strict=True)
    nodes[0].execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
    nodes[1].execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
    bus = int(nodes[1].config_get("cluster-port")["cluster-port"])
    nodes[0].execute_command("CLUSTER MEET", "127.0.0.1", ports[1], bus)
    deadline = time.monotonic() + 60
    while {node.execute_command("CLUSTER INFO")["cluster_state"] for node in nodes} != {"ok"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for port in ports:  # one of them has not the pool's slot
        join(f"redis://127.0.0.1:{port}").becomes(Standing.HELD)
    assert looked(f"redis://127.0.0.1:{ports[0]}")["members"] == 2


def test_a_forked_child_is_a_member_of_its_own(redis_server):
    redis_server.client.flushall()
    parent = subprocess.Popen([sys.executable, "-c", FORKS, redis_server.url], stdin=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while redis_server.client.hlen(f"penstock:fleet:{{{POOL}}}:members") < 2:
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        parent.stdin.close()
        assert parent.wait(30) == 0


def test_who_leaves_gives_back_what_it_did_not_use(redis_server, join):
    redis_server.client.flushall()
    settings = LimiterSettings(defaults=PoolSettings(requests_per_minute=60, headroom_ratio=0.5))
    for _ in range(10):  # ten short lives of one call each, of the thirty there are
        fleet = Fleet(lambda: RedisStore(redis_server.url, socket_timeout=5))
        limiter = Limiter(settings, fleet=fleet)
        assert isinstance(limiter.admit(CALL).wait(), Granted)
        limiter.close()
    left = looked(redis_server.url)["quota"]["stated_requests"][2]
    assert left >= 30 - 10 - 0.01


def test_a_thread_that_is_held_up_holds_up_no_call(redis_server, join):
    """A name that takes long to resolve, or another pool's exchange, is nothing to wait for."""
    redis_server.client.flushall()
    member = join(redis_server.url)
    member.becomes(Standing.HELD)
    held, go_on = threading.Event(), threading.Event()
    exchange = member.fleet._store.exchange

    def slow(pool, report):
        held.set()
        go_on.wait(60)
        return exchange(pool, report)

    member.fleet._store.exchange = slow
    assert held.wait(60)
    try:
        member.becomes(Standing.LOST)
        member.call()
    finally:
        member.fleet._store.exchange = exchange
        go_on.set()
    member.becomes(Standing.HELD)
