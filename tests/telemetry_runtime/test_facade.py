"""The façade: light to import, configured from one table, started and dropped at will."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import penstock
from penstock import _runtime
from penstock._config import KNOBS, OPTIONS, Settings, load
from penstock.errors import UsageError
from penstock.telemetry.metrics_page import page, sections

DOCS = Path(__file__).parents[2] / "docs"
HEAVY = {"duckdb", "grafana_foundation_sdk", "rich", "typer", "pyarrow", "uvicorn", "starlette"}


def loaded(code):
    out = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
        env={k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK")},
    ).stdout  # fmt: skip
    return {name.partition(".")[0] for name in out.split()}


def test_importing_loads_nothing_heavy():
    assert loaded("import penstock") & (HEAVY | {"opentelemetry", "prometheus_client"}) == set()


def test_instrumenting_loads_nothing_of_the_look_back():
    code = "import penstock; penstock.instrument(spans='off', limit='enforce').shutdown()"
    assert loaded(code) & HEAVY == set()


def test_every_exported_name_loads():
    assert penstock.__all__ == sorted(penstock.__all__)
    for name in penstock.__all__:
        assert getattr(penstock, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = penstock.nothing


def test_code_beats_environment_beats_file_beats_default(tmp_path):
    (tmp_path / "penstock.toml").write_text('limit = "observe"\nspans = "file.jsonl"\nmax_wait_seconds = 7\n')
    env = {"PENSTOCK_SPANS": "env.jsonl", "PENSTOCK_REQUESTS_PER_MINUTE": "500"}
    settings = load({"limit": "enforce", "spans": None}, environ=env, folder=tmp_path)
    assert settings.limit == "enforce"
    assert settings.spans == Path("env.jsonl").absolute()
    assert settings.metrics_host == "127.0.0.1"
    assert settings.limiter == {"requests_per_minute": 500, "max_wait_seconds": 7, "pools": {}}


def test_pyproject_is_read_where_there_is_no_file_of_ours(tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text('[tool.penstock]\nlimit = "observe"\n[tool.penstock.pools.a]\nqueue_limit = 3\n')
    assert load(environ={}, folder=tmp_path).limiter["pools"] == {"a": {"queue_limit": 3}}
    assert load(environ={"PENSTOCK_CONFIG": str(project)}).limit == "observe"
    (tmp_path / "penstock.toml").write_text("")
    assert load(environ={}, folder=tmp_path).limit == "off"


@pytest.mark.parametrize(
    ("given", "env", "file", "said"),
    [
        ({"limits": "x"}, {}, "", "unknown option 'limits' in instrument()"),
        ({}, {}, "spanz = 3", "unknown option 'spanz' in .*penstock.toml"),
        ({}, {"PENSTOCK_LIMIT": "on"}, "", "PENSTOCK_LIMIT must be one of off, observe, enforce, not 'on'"),
        ({"metrics_port": 70000}, {}, "", "metrics_port must be a port from 0 to 65535, not 70000"),
        ({"metrics_port": True}, {}, "", "metrics_port must be a port"),
        ({}, {"OTEL_EXPORTER_PROMETHEUS_PORT": "x"}, "", "OTEL_EXPORTER_PROMETHEUS_PORT must be a port"),
        ({}, {}, "queue_limit = true", "queue_limit in .* must be a number, not True"),
        ({}, {}, "pools = 3", "pools in .* must be a table"),
        ({}, {}, "limit =", "is not valid TOML"),
        ({}, {"PENSTOCK_CONFIG": "nowhere.toml"}, "", "cannot read nowhere.toml"),
    ],
)
def test_a_mistake_is_named(tmp_path, given, env, file, said):
    (tmp_path / "penstock.toml").write_text(file)
    with pytest.raises(UsageError, match=said):
        load(given, environ=env, folder=tmp_path)


@pytest.mark.parametrize("option", [*OPTIONS, *KNOBS], ids=lambda option: option.name)
def test_the_word_that_the_table_has_for_a_default_can_be_said(tmp_path, option):
    file, others = tmp_path / "penstock.toml", {"OTEL_EXPORTER_PROMETHEUS_PORT": "9464"}
    file.write_text(f'{option.name} = "{option.default}"\n')
    told, unsaid = load(environ={}, folder=tmp_path), load(environ={}, folder=tmp_path / "empty")
    if option.default[0].isalpha():  # a number that is said holds for a pool as if it were known
        assert told == unsaid
    said = {option.variable: option.default}
    assert load(environ=others | said, folder=tmp_path).metrics_port == (
        None if option.name == "metrics_port" else 9464
    )


@pytest.mark.parametrize(
    ("env", "written"),
    [
        ({}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "PENSTOCK_SPANS": "x"}, True),
        ({"PENSTOCK_SPANS": "off"}, False),
    ],
)
def test_spans_stay_local_unless_they_leave_otherwise(tmp_path, env, written):
    assert (load(environ=env, folder=tmp_path).spans is not None) is written


def test_disabled_beats_everything(tmp_path):
    off = load({"limit": "enforce"}, environ={"PENSTOCK_DISABLE": "1"}, folder=tmp_path)
    assert off == Settings(disabled=True)
    assert load(environ={"PENSTOCK_DISABLE": "0"}, folder=tmp_path).disabled is False


def test_runtimes_come_and_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(8):
        runtime = penstock.instrument(spans="off", metrics_port=0, limit="observe")
        assert penstock.runtime() is runtime
        assert penstock.instrument(spans="off", metrics_port=0, limit="observe") is runtime
        runtime.shutdown()
        runtime.shutdown()
        assert penstock.runtime() is None
    assert list(tmp_path.iterdir()) == []


def test_a_new_setting_replaces_the_running_one(tmp_path):
    with penstock.instrument(spans=tmp_path / "a.jsonl") as first:
        second = penstock.instrument(spans=tmp_path / "b.jsonl", limit="enforce")
        assert second is not first
        assert second.spans == tmp_path / "b.jsonl"
        assert second.headroom("openai:gpt-5") is not None
        second.shutdown()


def test_code_asks_a_pool_for_permits_once_something_is_limited():
    with pytest.raises(UsageError, match=r"instrument\(limit='enforce'\)"):
        penstock.pool("tool:search")
    with penstock.instrument(spans="off", limit="enforce") as runtime:
        with penstock.pool("tool:search", max_concurrency=1).permit():
            assert runtime.headroom("tool:search") == 0
        with pytest.raises(UsageError, match="unknown option 'rpm'"):
            penstock.pool("tool:search", rpm=3)


def test_nothing_is_hooked_when_the_metrics_port_is_taken(stage):
    from penstock.telemetry.exposition import Endpoint
    from penstock.telemetry.hooks import installed

    endpoint = Endpoint(stage.registry.collect, 0)
    try:
        with pytest.raises(UsageError, match="is in use"):
            penstock.instrument(spans="off", metrics_port=endpoint.port)
    finally:
        endpoint.close()
    assert penstock.runtime() is None
    assert installed() == ()


def test_an_unknown_pool_option_is_named_also_where_nothing_is_limited():
    with pytest.raises(UsageError, match=r"unknown option 'rpm' of pool 'openai:gpt-5'"):
        penstock.instrument(spans="off", pools={"openai:gpt-5": {"rpm": 3}})


def test_the_metrics_page_is_the_catalogue():
    assert (DOCS / "metrics.md").read_text() == page()
    from penstock.telemetry.metrics import CATALOGUE

    assert sum(len(family) for _, family in sections()) == len(CATALOGUE)


def test_a_child_forked_while_another_thread_starts_us_can_start_us_itself():
    held, over = threading.Event(), threading.Event()

    def starting() -> None:
        with _runtime._lock:
            held.set()
            over.wait()

    threading.Thread(target=starting, daemon=True).start()
    assert held.wait(10)
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        penstock.instrument(spans="off").shutdown()
        os._exit(0)
    over.set()
    assert os.waitpid(pid, 0)[1] == 0
