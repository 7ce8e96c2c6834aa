"""Real SDK clients over real HTTP: what is absorbed, what is refused, where the excess goes."""

import ast
import http.server
import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import penstock
from penstock.providers import REGISTRY, OpenAICompatible, Registry
from penstock.simulator import Config, Pool, serve
from penstock.simulator.scenario import Distribution

EXAMPLES = Path(__file__).parents[2] / "examples"

BURST = """
import anyio, collections, openai, sys
async def main():
    client = openai.AsyncOpenAI()
    ask = lambda: client.chat.completions.create(
        model="gpt-5-mini", max_tokens=16, messages=[{"role": "user", "content": "hi"}])
    outcomes = collections.Counter()
    async def one():
        try:
            answer = await ask()
            outcomes[answer.model] += 1
        except openai.RateLimitError as error:
            outcomes[error.code or "429"] += 1
    async with anyio.create_task_group() as calls:
        for _ in range(int(sys.argv[1])):
            calls.start_soon(one)
    print(dict(outcomes))
anyio.run(main, backend=sys.argv[2])
"""


def run(
    tmp_path: Path, config: str, url: str, calls: int, *flags: str, backend: str = "asyncio"
) -> dict[str, int]:
    (tmp_path / "penstock.toml").write_text(config)
    (tmp_path / "app.py").write_text(BURST)
    spans = tmp_path / "spans.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "run", *flags, "--spans", spans,
         sys.executable, "app.py", f"{calls}", backend],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "k"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout)


@pytest.fixture
def small_quota():
    """A provider that takes ten calls at once, then twenty a second, and answers quickly."""
    quick = Distribution(mean=0.2, sigma=0.1)
    pool = Pool(requests_per_minute=1200.0, bucket_seconds=0.5, latency_seconds=quick)
    with serve(Config(pools=(pool,), port=0)) as simulator:
        yield simulator


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_burst_over_the_quota_is_queued_and_every_call_answered(tmp_path, small_quota, backend):
    outcomes = run(tmp_path, "", small_quota.url, 40, "--limit", backend=backend)
    assert outcomes == {"gpt-5-mini": 40}
    assert small_quota.truth().rate_limited <= 2


def test_a_refusal_is_the_sdks_own_error_after_one_send(tmp_path, small_quota):
    config = '[pools."openai:gpt-5-mini"]\nmax_concurrency = 1\nqueue_limit = 2\n'
    outcomes = run(tmp_path, config, small_quota.url, 8, "--limit")
    assert outcomes["penstock_backpressure"] == 5


def test_the_excess_goes_to_the_fallback_without_a_change_of_code(tmp_path, small_quota):
    config = (EXAMPLES / "limiter_fallback.toml").read_text().replace("= 2\n", "= 0\nmax_concurrency = 1\n")
    outcomes = run(tmp_path, config, small_quota.url, 6, "--limit")
    assert sum(outcomes.values()) == 6
    assert outcomes.get("gpt-5-nano", 0) >= 1


def test_the_example_with_pools_for_tools_runs():
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "limiter_pool.py")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "refused: pool 'tool:search'" in done.stdout


class _Refusing(http.server.BaseHTTPRequestHandler):
    """Reads a chunked body and says 429."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        self.server.bodies.append(body)  # type: ignore[attr-defined]
        self.send_response(429)
        self.send_header("retry-after-ms", "5")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize("library", ["httpx2", "requests"])
def test_a_body_that_is_a_stream_is_sent_once_and_its_429_shown(monkeypatch, library):
    def pieces():
        yield b'{"model": "m",'
        yield b'"messages": []}'

    added = Registry()
    added.add_host("127.0.0.1", OpenAICompatible())  # a body is left unread only where the host tells all
    monkeypatch.setattr(REGISTRY, "_hosts", added._hosts)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    server.bodies = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,)).start()
    url = f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
    try:
        with penstock.instrument(limit="enforce", spans="off"):
            post = importlib.import_module(library).post
            body = {"content" if library == "httpx2" else "data": pieces()}
            assert post(url, timeout=30, **body).status_code == 429
    finally:
        server.shutdown()
        server.server_close()
    assert server.bodies == [b'{"model": "m","messages": []}']  # type: ignore[attr-defined]
