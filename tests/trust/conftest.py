"""Fixtures of the trust room's tests: a fresh process state, real ledgers, an inner interceptor to steer."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from penstock.telemetry.interceptor import Admission, Answer, Call, Granted, Next, Settlement
from penstock.trust import MemoryLedger, RedisLedger, SqliteLedger, _lineage, _settings


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    _lineage.forget_process()
    yield
    _lineage.forget_process()


@pytest.fixture
def outcomes() -> Iterator[list[str]]:
    seen: list[str] = []
    undo = _settings.activate(_settings.TrustSettings(on_outcome=seen.append))
    yield seen
    undo()


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    server = shutil.which("redis-server")
    assert server, "redis-server is missing: apt-get install redis-server"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port)
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)
    client.close()
    yield port
    process.terminate()
    process.wait(10)


@pytest.fixture
def redis_client(redis_port: int) -> Iterator[redis.Redis]:
    client = redis.Redis(port=redis_port)
    client.flushall()
    yield client
    client.close()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    if request.param == "memory":
        return MemoryLedger()
    if request.param == "sqlite":
        return SqliteLedger(tmp_path / "ledger.db")
    return RedisLedger(request.getfixturevalue("redis_client"))


class ScriptedTicket:
    def __init__(self, inner: "ScriptedInterceptor", call: Call) -> None:
        self.inner = inner
        self.call = call

    def wait(self) -> Admission:
        return self.inner.admissions.pop(0) if self.inner.admissions else Granted()

    async def wait_async(self) -> Admission:
        return self.wait()


class ScriptedInterceptor:
    """Stands where the limiter stands: grants unless told otherwise, and remembers."""

    def __init__(self) -> None:
        self.admissions: list[Admission] = []
        self.calls: list[Call] = []
        self.settled: list[Settlement] = []

    def admit(self, call: Call) -> ScriptedTicket:
        self.calls.append(call)
        return ScriptedTicket(self, call)

    def answer(self, ticket: object, answer: Answer) -> Next:
        return Next.PASS

    def settle(self, ticket: object, settlement: Settlement) -> None:
        self.settled.append(settlement)


@pytest.fixture
def inner() -> ScriptedInterceptor:
    return ScriptedInterceptor()


@pytest.fixture
def call_of() -> Callable[..., Call]:
    def make(**fields: object) -> Call:
        base: dict[str, object] = {
            "provider": "openai",
            "host": "api.openai.com",
            "pool": "openai:gpt-5",
            "model": "gpt-5",
            "operation": "chat",
            "body": b'{"model":"gpt-5","temperature":0,"messages":[]}',
        }
        return Call(**{**base, **fields})  # type: ignore[arg-type]

    return make
