"""The parts of the loop as processes: each can be killed, stopped and started again where it stood."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from benchmarks.soak.door import Door

WORKERS = 3
RPM = 900
SETTLED = 300.0  # seconds after which a process has what it needs


class Part:
    """One process, always started by the same command."""

    def __init__(
        self, name: str, command: list[str], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.command, self.folder = name, command, folder
        self.env = dict(env or os.environ)
        self.log: IO[bytes] = (folder / f"{name}.log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.died: list[int] = []

    def start(self, **env: str) -> None:
        self.starts += 1
        self.process = subprocess.Popen(
            self.command,
            env={**self.env, **env},
            cwd=self.folder,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def check(self) -> None:
        """Note an end that nobody asked for, and start anew."""
        if self.process is not None and self.process.poll() is not None:
            self.died.append(self.process.returncode)
            self.start()

    def send(self, signum: signal.Signals) -> None:
        """Signal the process and all that it started."""
        if self.process is not None:
            os.killpg(self.process.pid, signum)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = 20) -> int | None:
        if self.process is None:
            return None
        code = self.process.wait(seconds)
        self.process = None
        return code

    def rss_bytes(self) -> int:
        """Resident memory of the process and its children."""
        total = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            if self.process is not None and int(fields[3]) == self.process.pid:  # its session
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        return total


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def found(*names: str) -> str:
    """Find a server's program.

    Raises:
        SystemExit: it is not installed.
    """
    for name in names:
        if path := shutil.which(name):
            return path
    raise SystemExit(f"soak: {names[0]} is missing; install it (tests/setup/servers.sh does)")


class World:
    """Provider, store, scraper, workers."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.provider_port, self.store_port, self.prometheus_port = free_port(), free_port(), free_port()
        self.metrics_ports = [free_port() for _ in range(WORKERS)]
        self.way_to_provider, self.way_to_store = Door(self.provider_port), Door(self.store_port)
        self.truth = folder / "truth.jsonl"
        self.provider = Part("provider", self._provider_command(seed), folder)
        self.store = Part(
            "redis",
            [found("redis-server"), "--port", str(self.store_port), "--bind", "127.0.0.1", "--save", ""],
            folder,
        )
        self._write_scrape_config()
        listen = f"127.0.0.1:{self.prometheus_port}"
        self.prometheus = Part(
            "prometheus",
            [
                found("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={listen}",
            ],
            folder,
        )
        self.workers = [self._worker(number, port) for number, port in enumerate(self.metrics_ports)]
        self._resident: dict[int, list[tuple[float, int]]] = {}

    @property
    def parts(self) -> list[Part]:
        return [self.provider, self.store, self.prometheus, *self.workers]

    def acknowledged(self) -> int:
        """Count the tasks that workers have acknowledged."""
        return sum(book.read_bytes().count(b"\n") for book in self.folder.glob("acknowledged-*.jsonl"))

    def weigh(self) -> None:
        """Note how much memory each worker holds now."""
        for worker in self.workers:
            if worker.process is not None:
                sample = (time.monotonic(), worker.rss_bytes())
                self._resident.setdefault(worker.process.pid, []).append(sample)

    @property
    def growth(self) -> float | None:
        """Resident memory at the end over that after five minutes, in the worker where that grew most.

        None where no worker lived ten minutes.
        """
        grown = []
        for samples in self._resident.values():
            settled = [size for at, size in samples if at - samples[0][0] > SETTLED]
            if samples[-1][0] - samples[0][0] > 2 * SETTLED:
                grown.append(samples[-1][1] / settled[0])
        return max(grown, default=None)

    def fault(self, **keys: object) -> None:
        """Change the provider now."""
        self._ask("/_sim/fault", keys)

    def told(self) -> dict[str, Any]:
        """Give the provider's own account."""
        return self._ask("/_sim/truth", None)

    def up(self, port: int, path: str) -> None:
        """Wait until a server answers.

        Raises:
            TimeoutError: it has not within 30 s.
        """
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).close()
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"nothing answers at port {port}{path}") from error
                time.sleep(0.05)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask Prometheus."""
        url = f"http://127.0.0.1:{self.prometheus_port}/api/v1/query?"
        with urllib.request.urlopen(
            url + urllib.parse.urlencode({"query": expression}), timeout=10
        ) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def _ask(self, path: str, body: object) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.provider_port}{path}"
        with urllib.request.urlopen(url, data=data, timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
        return told

    def _provider_command(self, seed: int) -> list[str]:
        command = [sys.executable, "-m", "penstock", "simulate", "--rpm", str(RPM), "--latency", "0.4"]
        command += ["--seed", str(seed), "--port", str(self.provider_port), "--truth", str(self.truth)]
        return command

    def _worker(self, number: int, port: int) -> Part:
        name = f"worker-{number}"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PENSTOCK", "OTEL_"))}
        env = {
            **kept,
            "OPENAI_BASE_URL": f"http://127.0.0.1:{self.way_to_provider.port}/v1",
            "OPENAI_API_KEY": "none",
            "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *filter(None, [kept.get("PYTHONPATH")])]),
            "PENSTOCK_SPANS": str(self.folder / f"spans-{name}.jsonl"),
            "PENSTOCK_STORE": f"redis://127.0.0.1:{self.way_to_store.port}/0",
        }
        command = [sys.executable, "-m", "penstock", "run", "--limit", "--metrics-port", str(port)]
        command += [sys.executable, "-m", "benchmarks.soak.worker", str(self.folder), name]
        return Part(name, command, self.folder, env)

    def _write_scrape_config(self) -> None:
        targets = [f"127.0.0.1:{port}" for port in self.metrics_ports]
        config = {
            "global": {"scrape_interval": "2s"},
            "scrape_configs": [{"job_name": "soak", "static_configs": [{"targets": targets}]}],
        }
        (self.folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML


@contextmanager
def running(folder: Path, seed: int) -> Iterator[World]:
    """Start every part, and end every part."""
    world = World(folder, seed)
    try:
        world.provider.start()
        world.store.start()
        world.prometheus.start()
        world.up(world.provider_port, "/_sim/truth")
        for worker in world.workers:
            worker.start()
        yield world
    finally:
        for part in reversed(world.parts):
            if part.process is not None and part.process.poll() is None:
                part.send(signal.SIGCONT)
                part.kill()
            part.log.close()
        world.way_to_provider.close()
        world.way_to_store.close()
