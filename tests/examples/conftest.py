"""One simulator for all examples, and hands that start them as their pages say."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.simulator import Config, Distribution, Simulator, profile, serve

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def provider() -> Iterator[Simulator]:
    latency = Distribution("constant", 0.1)
    with serve(Config(pools=(replace(profile("openai"), latency_seconds=latency),))) as running:
        yield running


@pytest.fixture
def environment(provider: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK", "OTEL_"))}
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": scripts, "OPENAI_BASE_URL": f"{provider.url}/v1", "OPENAI_API_KEY": "none"}


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a program in the test's own folder; what still runs at its end is stopped."""
    started: list[subprocess.Popen[str]] = []

    def start(*command: str | Path, cwd: Path | None = None, **changes: str) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [str(part) for part in command],
            env={**environment, **changes},
            cwd=cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(program)
        return program

    yield start
    for program in started:
        program.terminate()
        program.communicate(timeout=20)
