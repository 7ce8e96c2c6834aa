"""The demo, shortened: real clients, real HTTP, real time, three arms at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import UsageError
from penstock.simulator.demo import need_clients

FIELDS = {
    "tasks_total", "tasks_finished", "attempts", "rate_limited", "goodput_ratio",
    "live_p50", "live_p95", "live_p99", "task_p50_seconds", "task_p99_seconds",
}  # fmt: skip
TASKS, CALLS = 10, 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def arms(folder: Path) -> dict[str, dict[str, Any]]:
    command = [
        sys.executable, "-m", "penstock", "demo", "--json", "--out", str(folder),
        "--tasks", str(TASKS), "--calls", str(CALLS), "--rpm", "150",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return loaded


def test_prints_one_object_with_the_three_arms(arms: dict[str, dict[str, Any]]) -> None:
    assert list(arms) == ["naive", "handmade", "guarded"]
    for arm in arms.values():
        assert set(arm) >= FIELDS
        assert arm["tasks_total"] == TASKS
        assert 0 <= arm["goodput_ratio"] <= 1
        assert arm["live_p50"] <= arm["live_p95"] <= arm["live_p99"]


def test_guarded_agents_all_finish_and_are_hardly_ever_refused(arms: dict[str, dict[str, Any]]) -> None:
    guarded = arms["guarded"]
    assert guarded["tasks_finished"] == TASKS
    assert guarded["attempts"] == TASKS * CALLS + guarded["rate_limited"]
    assert guarded["rate_limited"] <= 2
    assert guarded["rate_limited"] < arms["naive"]["rate_limited"]


@pytest.mark.parametrize("name", ["naive", "handmade", "guarded"])
def test_spans_tell_what_the_simulator_saw(name: str, folder: Path, arms: dict[str, dict[str, Any]]) -> None:
    command = [sys.executable, "-m", "penstock", "traces", "errors", str(folder / f"{name}.jsonl")]
    done = subprocess.run(
        [*command, "--format", "json", "--store", str(folder / "store")],
        capture_output=True,
        text=True,
        check=True,
    )
    attempts = json.loads(done.stdout)["attempts"]
    assert attempts["total"] == arms[name]["attempts"]
    # A call that is cancelled while its 429 is under way is refused there and cancelled here.
    refused = attempts["by_class"].get("rate_limit", 0)
    assert arms[name]["rate_limited"] * 0.9 <= refused <= arms[name]["rate_limited"]


def test_ctrl_c_ends_it_without_a_word(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "penstock", "demo", "--out", str(tmp_path)]
    demo = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not all((tmp_path / f"{name}.jsonl").exists() for name in ("naive", "handmade", "guarded")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: to the demo and to all that it started
        _, err = demo.communicate(timeout=30)
    finally:
        demo.kill()
    assert demo.returncode == 130
    assert "Traceback" not in err
    assert "exception" not in err


def test_an_sdk_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(UsageError, match="anthropic is missing: pip install openai anthropic"):
        need_clients("the demo drives")
