"""Records as the hooks would write them, on a clock that the test moves."""

import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from penstock.classifiers import ErrorClass, Fault, SideEffects, Verdict
from penstock.telemetry.metering import Metering
from penstock.telemetry.records import Attempt, Operation, Task
from penstock.telemetry.registry import Registry

SECOND = 1_000_000_000


@dataclass
class Clock:
    ns: int = 1_700_000_000 * SECOND

    def __call__(self):
        return self.ns

    def tick(self, seconds):
        self.ns += round(seconds * SECOND)
        return self.ns


@dataclass
class Stage:
    """A metering sink, and hands that play the hooks."""

    clock: Clock = field(default_factory=Clock)
    registry: Registry = field(default_factory=Registry)

    def __post_init__(self):
        self.metering = Metering(self.registry, version="1.2.3", clock_ns=self.clock)

    def task(self, **fields):
        defaults = {"id": "t1", "name": "t", "started_ns": self.clock(), "started_monotonic": 0.0}
        return Task(**{**defaults, **fields})

    def operation(self, **fields):
        defaults = {"provider": "openai", "operation": "chat", "model": "gpt-5", "pool": "openai:gpt-5"}
        return Operation(**{**defaults, "started_ns": self.clock(), **fields})

    def send(self, operation=None, number=1, **fields):
        operation = operation or self.operation()
        attempt = Attempt(
            operation=operation,
            number=number,
            provider=operation.provider,
            host="api.openai.com",
            port=443,
            pool=fields.pop("pool", operation.pool),
            model=operation.model,
            started_ns=self.clock(),
            **fields,
        )
        self.metering.attempt_started(attempt)
        return attempt

    def end(self, attempt, verdict=None, **fields):
        for name, value in fields.items():
            setattr(attempt, name, value)
        attempt.verdict, attempt.ended_ns = verdict, self.clock()
        self.metering.attempt_ended(attempt)


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def rate_limited():
    return Verdict(
        error_class=ErrorClass.RATE_LIMIT,
        reason="requests_per_minute",
        retryable=True,
        fault=Fault.CALLER_LIMIT,
        side_effects=SideEffects.NONE,
        retry_after=1.5,
    )


class Prometheus:
    """A running server that scrapes one page once a second."""

    def __init__(self, url):
        self._url = url

    def __call__(self, expression):
        """Ask for the value of the first series found."""
        address = f"{self._url}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(address, timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        assert found, expression
        return float(found[0]["value"][1])


@pytest.fixture
def prometheus(tmp_path):
    """Start one on a page: `with prometheus(url) as query`."""

    @contextmanager
    def start(url):
        target = urllib.parse.urlsplit(url).netloc
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
            f"scrape_configs: [{{job_name: app, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            "prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        query = Prometheus(f"http://127.0.0.1:{port}")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                _wait_for(query)
                yield query
            finally:
                server.terminate()

    return start


def _wait_for(query):
    until = time.monotonic() + 30
    while True:
        try:
            return query("up")
        except (AssertionError, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
