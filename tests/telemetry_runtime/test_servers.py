"""Zero code for the servers people use: forked and spawned workers are seen, and shut down as ever."""

import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from penstock.simulator import Config, Distribution, profile, serve

BIN = Path(sys.executable).parent
WSGI = """
import os, openai
client = None
def app(environ, start_response):
    global client
    client = client or openai.OpenAI(base_url=os.environ["SIM"], api_key="sk-t")
    client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""
ASGI = """
import os, openai
client = openai.AsyncOpenAI(base_url=os.environ["SIM"], api_key="sk-t")
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""
CELERY = """
import os, celery, openai
app = celery.Celery("jobs", broker=f"filesystem://", broker_transport_options={
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"})
@app.task
def ask():
    client = openai.OpenAI(base_url=os.environ["SIM"], api_key="sk-t")
    client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    open("done-" + os.urandom(4).hex(), "w").close()
"""
SCRIPT = """
import os, openai
client = openai.OpenAI(base_url=os.environ["SIM"], api_key="sk-t")
client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
"""


@pytest.fixture(scope="module")
def simulator():
    pool = replace(profile("openai"), latency_seconds=Distribution("constant", 0.02))
    with serve(Config(pools=(pool,))) as running:
        yield running


@pytest.fixture
def env(simulator, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "PENSTOCK_", "_PENSTOCK"))}
    return {**clean, "SIM": simulator.url + "/v1"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(env, *command):
    whole = [sys.executable, "-m", "penstock", "run", *map(str, command)]
    with (
        Path("log").open("w") as log,
        subprocess.Popen(whole, env=env, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def fetch(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def eventually(check, seconds=40):
    until = time.monotonic() + seconds
    while True:
        try:
            return check()
        except (AssertionError, OSError):
            if time.monotonic() > until:
                raise AssertionError(Path("log").read_text()) from None
            time.sleep(0.2)


def attempts():
    lines = [line for path in Path().glob("penstock-spans*.jsonl") for line in path.read_text().splitlines()]
    spans = [json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0] for line in lines]
    return sum(span["name"] == "attempt gpt-5" for span in spans)


SERVERS = pytest.mark.parametrize(
    ("code", "command"),
    [
        (WSGI, ["gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "web:app"]),
        (ASGI, ["uvicorn", "--workers", "2", "--port", "{port}", "web:app"]),
    ],
    ids=["gunicorn", "uvicorn"],
)


@SERVERS
def test_every_worker_of_a_web_server_is_seen(env, code, command):
    Path("web.py").write_text(code)
    port, scraped = free_port(), free_port()
    program, *rest = (part.format(port=port) for part in command)
    with running(env, "--metrics-port", scraped, BIN / program, *rest) as process:
        eventually(lambda: fetch(f"http://127.0.0.1:{port}/"))
        pids = {fetch(f"http://127.0.0.1:{port}/") for _ in range(19)}
        assert str(process.pid) not in pids

        def counted():
            text = fetch(f"http://127.0.0.1:{scraped}/metrics")
            assert (
                'penstock_attempts_total{class="ok",model="gpt-5",pool="openai:gpt-5",provider="openai"} 20.0'
                in text
            )
            assert 'penstock_live_calls{pool="openai:gpt-5"} 0.0' in text

        eventually(counted)
    log = Path("log").read_text()
    assert attempts() == 20, log
    assert re.search(
        r"^penstock: [12] other process(es)? wrote penstock-spans\.\*\.jsonl$", log, re.MULTILINE
    )


@pytest.fixture
def slow():
    """A provider whose answers take long enough for a worker to die in them."""
    pool = replace(profile("openai"), latency_seconds=Distribution("constant", 0.3), requests_per_minute=0.0)
    with serve(Config(pools=(pool,))) as running:
        yield running


@contextmanager
def asking(url, pids):
    """Keep four requests in flight; `pids` gathers who answers."""
    over = threading.Event()

    def ask():
        while not over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):  # its worker was killed
                pids.append(int(fetch(url)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@SERVERS
def test_prometheus_fails_no_scrape_and_sees_no_ghost_while_a_servers_workers_are_killed(
    env, slow, prometheus, code, command
):
    Path("web.py").write_text(code)
    port, scraped, pids, killed, rng = free_port(), free_port(), [], set(), random.Random(7)
    program, *rest = (part.format(port=port) for part in command)
    page = f"http://127.0.0.1:{scraped}/metrics"
    env = {**env, "SIM": slow.url + "/v1"}
    with running(env, "--metrics-port", scraped, BIN / program, *rest):
        eventually(lambda: fetch(f"http://127.0.0.1:{port}/"))
        with prometheus(page) as query:
            with asking(f"http://127.0.0.1:{port}/", pids):
                for _ in range(5):
                    pid = eventually(lambda: rng.choice(alive(pids[-6:], killed)))
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                    eventually(lambda: alive(pids[-4:], killed))
            eventually(lambda: is_true(query("penstock_live_calls") == 0))
            eventually(lambda: is_true(query("count_over_time(up[5m])") >= 8))
            assert query("min_over_time(up[5m])") == 1.0
            assert query("max_over_time(penstock_live_calls_peak[5m])") > 0
            answered = query('sum(penstock_attempts_total{class="ok"})')
    assert len(killed) == 5
    assert 0 < answered <= len(slow.entries())  # the last second of who is killed is not told any more


def alive(pids, killed):
    left = [pid for pid in pids if pid not in killed]
    assert left
    return left


def is_true(condition):
    assert condition


def test_celery_workers_are_seen(env):
    for folder in ("queue", "control"):
        Path(folder).mkdir()
    Path("jobs.py").write_text(CELERY)
    with running(env, BIN / "celery", "-A", "jobs", "worker", "--concurrency", "2", "--loglevel", "warning"):
        send = "import jobs; [jobs.ask.delay() for _ in range(4)]"
        subprocess.run([sys.executable, "-c", send], env=env, check=True, timeout=60)
        eventually(lambda: done(4))
    assert attempts() == 4, Path("log").read_text()


def done(n):
    assert len(list(Path().glob("done-*"))) == n


def opentelemetry_instrument(env, disabled):
    """Run a script with one call; returns what the distro's exporter printed, and our spans by name."""
    Path("app.py").write_text(SCRIPT)
    env |= {
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(disabled),
        "PENSTOCK_SPANS": "s.jsonl",
    }
    out = subprocess.run(
        [BIN / "opentelemetry-instrument", sys.executable, "app.py"],
        env=env, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    spans = [json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
             for line in Path("s.jsonl").read_text().splitlines()]  # fmt: skip
    return out.stdout, {
        span["name"]: {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]}
        for span in spans
    }


def test_opentelemetry_instrument_loads_us(env):
    others = {point.name for point in entry_points(group="opentelemetry_instrumentor")} - {"penstock"}
    printed, spans = opentelemetry_instrument(env, others)
    assert '"name": "attempt gpt-5"' in printed  # by the exporter that the distro set up
    assert list(spans) == ["attempt gpt-5", "chat gpt-5"]


def test_opentelemetry_instrument_loads_us_beside_whoever_is_installed(env):
    printed, spans = opentelemetry_instrument(env, ())
    assert printed.count('"name": "attempt gpt-5"') == 1
    models = {name: facts for name, facts in spans.items() if describes_a_call(facts)}
    (owner,) = (name for name, facts in models.items() if facts["penstock.dedupe"] == "owner")
    assert models[owner]["penstock.attempts"] == "1"
    assert all(facts["penstock.dedupe"] in ("inner", "outer") for facts in models.values()
               if facts is not models[owner])  # fmt: skip


def describes_a_call(facts):
    return "gen_ai.operation.name" in facts or facts.get("openinference.span.kind") == "LLM"
