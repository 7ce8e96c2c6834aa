"""`penstock stack`: one command to apps, Prometheus and Alertmanager; Ctrl-C ends all of it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from penstock.dashboards import Filling, Prometheus, check, end_process, expressions, shipped


def heed_ctrl_c():
    """What a shell starts in the background ignores SIGINT, and hands that down to its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def started(*arguments, folder):
    command = [sys.executable, "-m", "penstock", "stack", "--folder", str(folder), *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stack")
    with started("--prometheus-port", "0", "--alertmanager-port", "0", folder=folder) as process:
        lines = {}
        for line in process.stdout:
            name, _, rest = line.strip().partition("  ")
            lines[name] = rest.strip()
            if line.startswith("Ctrl-C"):
                break
        yield {"lines": lines, "folder": folder, "process": process}


def test_it_names_what_runs_and_what_to_type_next(stack):
    assert {"Prometheus", "Alertmanager", "naive", "guarded", "Grafana", "Check"} <= set(stack["lines"])
    assert "docker compose -f" in stack["lines"]["Grafana"]


def test_no_panel_of_the_guarded_demo_is_empty_but_those_of_what_it_does_not_use(stack):
    api = Prometheus(stack["lines"]["Prometheus"])
    asked = [e for board in shipped() for e in expressions(board.model)]
    unused = {e for e in asked if e.needs in ("a shared store (Redis)", "the response cache", "a fallback")}
    awaited = {e for e in asked if "traced tasks" in e.needs}  # the first task takes its time
    empty, deadline = set(asked), time.monotonic() + 60
    while not empty <= unused | awaited and time.monotonic() < deadline:
        time.sleep(0.5)
        findings = check(api, asked, Filling("8s", "2s", "guarded"), 60)
        empty = {finding.expression for finding in findings if finding.empty}
    assert empty - awaited == unused
    now = api.now()
    rows = api.query_range("penstock_build_info", now, now + 0.001)
    assert {row["metric"]["job"] for row in rows} == {"naive", "guarded"}


def test_prometheus_has_the_rules(stack):
    with urllib.request.urlopen(f"{stack['lines']['Prometheus']}/api/v1/rules", timeout=5) as answer:
        assert b"PenstockRateLimited" in answer.read()


@pytest.mark.parametrize("name", ["Prometheus", "Alertmanager"])
def test_a_port_that_is_taken_is_one_line_and_exit_2_though_another_stack_answers_there(
    stack, name, tmp_path
):
    port = stack["lines"][name].rsplit(":", 1)[1]
    ports = {"--prometheus-port": "0", "--alertmanager-port": "0"} | {f"--{name.lower()}-port": port}
    with started(*(word for option in ports.items() for word in option), folder=tmp_path) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use; choose another with --{name.lower()}-port" in err
    assert len(err.splitlines()) == 1
    assert "Ctrl-C" not in out


def test_grafanas_files_are_ready_beside_it(stack):
    place = stack["folder"] / "grafana"
    assert {path.stem for path in place.glob("*.json")} == {board.uid for board in shipped()}
    assert yaml.safe_load((place / "compose.yaml").read_text())["services"]


def test_ctrl_c_ends_every_process(stack):
    process = stack["process"]
    below = [pid for child in children(process.pid) for pid in (child, *children(child))]
    assert len(below) >= 4
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 0
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in below) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in below if alive(pid)] == []


def test_a_process_that_does_not_heed_sigterm_is_ended_all_the_same():
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    deaf = f"import signal, time; {ignore}; print(flush=True); time.sleep(99)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        end_process(process, patience_seconds=0.1)
        assert process.returncode == -signal.SIGKILL
        end_process(process)


def test_a_missing_server_is_one_line_and_exit_2(tmp_path):
    command = [sys.executable, "-m", "penstock", "stack", "--folder", str(tmp_path / "new")]
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 2
    assert "apt-get install prometheus-alertmanager" in done.stderr
    assert len(done.stderr.splitlines()) == 1
