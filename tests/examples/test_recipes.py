"""The recipes run on the real frameworks, against the simulator."""

import asyncio
import importlib.util
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

import penstock

QUESTION = {"question": "What is a weir?"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    """Ask until the server is up; give status, headers, body."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers, refused.read()
        except OSError:
            assert time.monotonic() < deadline, f"{url} never answered"
            time.sleep(0.05)


def eventually(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("langgraph_agent.py", "20 notes"),
        ("pydantic_ai_agent.py", ""),
        ("openai_agents_run.py", "3 texts"),
    ],
)
def test_an_agent_of_a_framework_runs_guarded(start, examples, provider, tmp_path, recipe, told):
    before = provider.truth().attempts
    program = start("penstock", "run", "--limit", "python", examples / "recipes" / recipe)
    out, err = program.communicate(timeout=90)
    assert program.returncode == 0, err
    assert told in out
    seen = (tmp_path / "penstock-spans.jsonl").read_text().count('"penstock.attempt.number"')
    assert seen == provider.truth().attempts - before


def test_a_service_answers_and_says_busy_with_a_time_when_there_is_no_quota(start, examples):
    port = free_port()
    app = ("uvicorn", "--app-dir", examples / "recipes", "--port", str(port), "fastapi_service:app")
    start("penstock", "run", "--limit", *app, PENSTOCK_QUEUE_LIMIT="1", PENSTOCK_MAX_CONCURRENCY="1")
    url = f"http://127.0.0.1:{port}/ask?question=hi"
    status, _, body = get(url)
    assert (status, json.loads(body)["trust"]) == (200, "primary")
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(get, [url] * 8))
    busy = [headers for status, headers, _ in answers if status == 503]
    assert busy
    assert all(float(headers["Retry-After"]) >= 0 for headers in busy)
    assert len(busy) + sum(status == 200 for status, _, _ in answers) == 8


def test_jobs_of_a_queue_run_guarded(start, examples, provider, tmp_path):
    server = tmp_path / "redis.sock"
    start("redis-server", "--port", "0", "--unixsocket", server, "--save", "", "--dir", tmp_path)
    eventually(server.exists)
    broker = f"redis+socket://{server}"
    before = provider.truth().attempts
    worker = (
        "celery",
        "--workdir",
        examples / "recipes",
        "-A",
        "celery_jobs",
        "worker",
        "--concurrency",
        "2",
    )
    start("penstock", "run", "--limit", *worker, CELERY_BROKER_URL=broker)
    send = "import celery_jobs; [celery_jobs.summarise.delay('a document') for _ in range(4)]"
    program = start("python", "-c", send, cwd=examples / "recipes", CELERY_BROKER_URL=broker)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    eventually(lambda: provider.truth().attempts == before + 4)


def test_workers_of_a_server_share_one_metrics_page(start, examples):
    port, metrics = free_port(), free_port()
    app = (
        "gunicorn",
        "--chdir",
        examples / "recipes",
        "-w",
        "2",
        "-b",
        f"127.0.0.1:{port}",
        "gunicorn_app:app",
    )
    start("penstock", "run", "--limit", "--metrics-port", str(metrics), *app)
    for _ in range(3):
        assert get(f"http://127.0.0.1:{port}/?hi")[0] == 200

    def counted():
        page = get(f"http://127.0.0.1:{metrics}/metrics")[2].decode().splitlines()
        return sum(float(line.split()[-1]) for line in page if line.startswith("penstock_attempts_total{"))

    eventually(lambda: counted() == 3)


def test_a_notebook_sees_what_its_cells_have_done_so_far(start, examples):
    program = start("python", examples / "recipes" / "notebook.py")
    out, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    assert "attempts: 0 of 2 failed" in out


@pytest.fixture
def recipe(environment, examples, monkeypatch):
    """Load a recipe into this process."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, environment[name])

    def load(name):
        spec = importlib.util.spec_from_file_location(name, examples / "recipes" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    yield load
    if (running := penstock.runtime()) is not None:
        running.shutdown()


def test_a_function_hands_its_spans_over_before_it_answers(recipe, monkeypatch):
    function = recipe("lambda_handler")
    flushed = []
    monkeypatch.setattr(function.running.telemetry.tracing, "force_flush", lambda: flushed.append(True))
    assert function.handler(QUESTION, None)["statusCode"] == 200
    assert flushed == [True]


def test_an_activity_answers_and_passes_on_when_to_try_again(recipe, provider):
    module, worker = recipe("temporal_activity"), ActivityEnvironment()

    async def answered_then_refused():
        async with module.client:
            assert await worker.run(module.draft, "dams")
            provider.script({"status": 429, "headers": {"retry-after": "7", "x-should-retry": "false"}})
            with pytest.raises(ApplicationError) as refused:
                await worker.run(module.draft, "dams")
            return refused.value

    assert asyncio.run(answered_then_refused()).next_retry_delay == timedelta(seconds=7)
