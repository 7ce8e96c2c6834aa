"""What a run stands on: a Redis on loopback, a simulator in a process of its own, crews of workers."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.fleet.servers import Redis, on_free_ports

SCENARIO: Final = 'name = "fleet"\n'
"""500 requests a minute in a bucket of ten seconds, calls of two seconds, headers as OpenAI sends them."""
POOL: Final = "openai:lab"
_END_SECONDS: Final = 15.0


class Crew:
    """Processes of one arm: forked when hired, killed when told, gone at the end."""

    def __init__(
        self, arm: str, url: str, store: str, folder: Path, *, python: str = sys.executable,
        env: dict[str, str] | None = None, pool: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.pids: list[int] = []
        self._outputs: dict[int, Path] = {}
        self._hired = 0
        command = [python, "-m", "benchmarks.fleet.crew", arm, url, store, json.dumps(pool or {})]
        given = {**os.environ, **(env or {})}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=given
        )
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, f"the crew ended with {self._process.wait()}"
        return line

    def hire(self, **order: Any) -> int:
        """Fork a worker. Returns its process id."""
        self._hired += 1
        out = self.folder / f"{id(self)}-{self._hired}.json"
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"out": str(out), "seed": self._hired, **order}) + "\n")
        self._process.stdin.flush()
        pid = int(self._read())
        self.pids.append(pid)
        self._outputs[pid] = out
        return pid

    def output(self, pid: int) -> Path:
        """Say where a worker writes."""
        return self._outputs[pid]

    def outputs(self) -> list[Path]:
        """Say where all workers write or wrote, also those that are gone."""
        return list(self._outputs.values())

    def kill(self, pids: list[int]) -> None:
        """Kill workers as `kill -9` does."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            self.pids.remove(pid)

    def wait(self, until: float) -> list[Path]:
        """Wait for workers that end then; end those that cannot. Returns what all wrote, also the killed."""
        deadline = until + _END_SECONDS
        while any(_alive(pid) for pid in self.pids) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.kill([pid for pid in self.pids if _alive(pid)])
        self.pids.clear()
        return self.outputs()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill([pid for pid in self.pids if _alive(pid)])
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Simulator:
    """The provider, in its own process."""

    def __init__(self, folder: Path, seed: int, *options: str) -> None:
        scenario = folder / "scenario.toml"
        scenario.write_text(SCENARIO)
        given = options or ("--scenario", str(scenario))
        command = [sys.executable, "-m", "penstock", "simulate", "--seed", str(seed), *given]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def truth(self) -> dict[str, Any]:
        """Ask what happened so far."""
        with urllib.request.urlopen(f"{self.url}/_sim/truth") as page:
            told: dict[str, Any] = json.load(page)
        return told

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def folder() -> Iterator[Path]:
    """Make a place for sockets and notes."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as path:
        yield Path(path)


@contextmanager
def redis_on_loopback(where: Path, name: str = "redis") -> Iterator[tuple[Redis, str]]:
    """Start a Redis. Gives it, and its URL over TCP."""
    home = where / name
    home.mkdir()

    def start(port: int) -> tuple[Redis, int]:
        return Redis(home, "--port", port, "--bind", "127.0.0.1").start(), port

    server, port = on_free_ports(1, start)
    try:
        yield server, f"redis://127.0.0.1:{port}/0"
    finally:
        server.stop()


@contextmanager
def provider(where: Path, seed: int, *options: str) -> Iterator[Simulator]:
    """Start a simulator."""
    with ExitStack() as stack:
        simulator = Simulator(where, seed, *options)
        stack.callback(simulator.stop)
        yield simulator


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows as a table: what can be added up to the right."""
    print(f"\n{title}")
    if not rows:
        return
    names = list(rows[0])
    cells = [names] + [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(names))]
    for row in cells:
        words = [f"{word:>{width}}" for word, width in zip(row, widths, strict=True)]
        print("  ".join([f"{row[0]:{widths[0]}}", *words[1:]]), flush=True)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 10 else f"{value:,.0f}"
    return "-" if value is None else str(value)
