"""Fixtures of the trust room's tests: a fresh process state, real ledgers, an inner interceptor to steer."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

import penstock
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


def _started(server: str, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start our own server, and tell its URL.

    Whoever else looks for a free port may have taken the one we found; and whoever still calls for a server
    that once had this port must not write into ours, so it asks for a password.
    """
    password = secrets.token_hex(8)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url = f"redis://:{password}@127.0.0.1:{port}"
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder),
                   "--requirepass", password]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None and time.monotonic() < deadline:
            with redis.Redis.from_url(url) as client, suppress(redis.RedisError):
                if client.info("server")["process_id"] == process.pid:
                    return process, url
            time.sleep(0.02)
        process.kill()
        process.wait()
    raise AssertionError("redis-server did not start")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = shutil.which("redis-server")
    assert server, "redis-server is missing: apt-get install redis-server"
    folder = tmp_path_factory.mktemp("redis")
    process, url = _started(server, folder)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(redis_url)
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


class ChatServer:
    """A small OpenAI-compatible provider on loopback. `reply(body)` gives a message, or (status, error)."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.reply: Callable[[dict[str, Any]], Any] = lambda body: {"content": f"from {body['model']}"}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.bodies.append(body)
                said = outer.reply(body)
                if isinstance(said, tuple):
                    self.answer(said[0], "application/json", [json.dumps(said[1]).encode()])
                elif body.get("stream"):
                    self.answer(200, "text/event-stream", outer.events(body, said))
                else:
                    self.answer(200, "application/json", [json.dumps(outer.completion(body, said)).encode()])

            def answer(self, status: int, content_type: str, pieces: list[bytes]) -> None:
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("x-request-id", f"req-{len(outer.bodies)}")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for piece in pieces:
                    self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def completion(self, body: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": None, **message},
            "finish_reason": reason,
        }
        return {
            "id": f"chatcmpl-{len(self.bodies)}",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }

    def events(self, body: dict[str, Any], message: dict[str, Any]) -> list[bytes]:
        base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        pieces = [
            {**base, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
            for word in message["content"].split(" ")
        ]
        pieces.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        return [f"data: {json.dumps(piece)}\n\n".encode() for piece in pieces] + [b"data: [DONE]\n\n"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    running = ChatServer()
    yield running
    running.close()


OUT_OF_CREDIT = (
    429,
    {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota",
               "param": None, "code": "insufficient_quota"}},
)  # fmt: skip


@pytest.fixture
def out_of_credit() -> Any:
    return OUT_OF_CREDIT


@pytest.fixture
def penstock_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Instrument for one test; `trust` is its [trust] table."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("PENSTOCK_", "OTEL_")):
            monkeypatch.delenv(name)
    runtimes: list[Any] = []

    def start(**options: Any) -> Any:
        trust = options.pop("trust", None)
        if trust is not None:
            Path("penstock.toml").write_text(trust)
        runtimes.append(penstock.instrument(**{"spans": "off", **options}))
        return runtimes[-1]

    yield start
    for runtime in runtimes:
        runtime.shutdown()
