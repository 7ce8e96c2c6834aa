"""The examples run as their page says, against the simulator."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "penstock", "simulate", "--rpm", "600", "--latency", "0.2"]
    with subprocess.Popen([*command, "--format", "json"], stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        url = json.loads(simulator.stdout.readline())["openai_base_url"]
        yield {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}
        simulator.terminate()


def test_an_untouched_app_streams_under_run(environment: dict[str, str], tmp_path: Path) -> None:
    run = [sys.executable, "-m", "penstock", "run", sys.executable, str(EXAMPLES / "chat.py")]
    done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    assert "penstock-spans.jsonl" in done.stderr
    assert (tmp_path / "penstock-spans.jsonl").read_text().count('"penstock.attempt.number"') == 1


def test_a_guarded_fan_out_gets_every_answer(environment: dict[str, str], tmp_path: Path) -> None:
    run = [sys.executable, str(EXAMPLES / "fan_out.py")]
    done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "40 answers\n"
