"""One arm of the demo: its simulator, its app, and what is known of both."""

import asyncio
import importlib.util
import json
import math
import os
import re
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from penstock.errors import PenstockError, UsageError

AGENT: Final = Path(__file__).with_name("agent.py")
START_SECONDS: Final = 30.0
SAMPLE: Final = re.compile(r"^(penstock_limiter_(?:cap|queue)_calls)\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class Live:
    """What the screen shows of an arm right now."""

    in_flight: int = 0
    cap: float | None = None
    queue: int | None = None
    refused_per_second: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Arm:
    """One habit at work. `tasks` holds the app's own report of each task that ended."""

    name: str
    says: str
    spans: Path
    fixed_cap: float | None = None
    tasks: list[dict[str, Any]] = field(default_factory=list)
    live: Live = field(default_factory=Live)
    truth: Mapping[str, Any] = field(default_factory=dict)
    began: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    _url: str = ""
    _metrics_url: str | None = None
    _simulator: asyncio.subprocess.Process | None = None
    _app: asyncio.subprocess.Process | None = None

    @property
    def finished(self) -> int:
        """Tasks that ended well."""
        return sum(task["ok"] for task in self.tasks)

    @property
    def failed(self) -> int:
        """Tasks that ended with an error."""
        return len(self.tasks) - self.finished

    @property
    def refused(self) -> int:
        """Attempts that the simulator refused, as it counted them."""
        return int(self.truth.get("rate_limited", 0))

    @property
    def seconds(self) -> float:
        """Time from the app's first call until its last task ended; imports don't count."""
        if self.began is None or self.ended is None:
            return 0.0
        return self.ended - self.began

    async def open_quota(self, scenario: Path, seed: int) -> None:
        """Start this arm's simulator on a free port."""
        self._simulator = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "penstock", "simulate",
            "--scenario", str(scenario), "--seed", str(seed), "--port", "0", "--format", "json",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._simulator.stdout is not None
        line = await asyncio.wait_for(self._simulator.stdout.readline(), START_SECONDS)
        if not line:
            raise PenstockError("the demo's simulator did not start; try `penstock simulate` for its error")
        self._url = json.loads(line)["url"]

    async def start(self, run: list[str], agent: list[str], metrics_port: int | None) -> None:
        """Start the app against this arm's simulator."""
        if metrics_port is not None:
            self._metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        environment = {
            **os.environ,
            "OPENAI_BASE_URL": f"{self._url}/v1",
            "ANTHROPIC_BASE_URL": self._url,
            "OPENAI_API_KEY": "demo",
            "ANTHROPIC_API_KEY": "demo",
        }
        self._app = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "penstock", "run", "--spans", str(self.spans), *run,
            sys.executable, str(AGENT), *agent,
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def follow(self) -> None:
        """Read the app's report until it ends. Raises PenstockError when the app itself broke."""
        app = self._app
        assert app is not None
        assert app.stdout is not None
        assert app.stderr is not None
        complaints = asyncio.ensure_future(app.stderr.read())
        async for line in app.stdout:
            told = json.loads(line)
            self.ended = time.monotonic()
            if "started" in told:
                self.began = self.ended
            else:
                self.tasks.append(told)
        self.exit_code = await app.wait()
        said = (await complaints).decode(errors="replace").strip()
        if self.exit_code:
            raise PenstockError(f"the demo's {self.name} app ended with {self.exit_code}: {said[-500:]}")

    async def look(self) -> None:
        """Refresh `truth` and `live`."""
        truth = await asyncio.to_thread(_get_json, f"{self._url}/_sim/truth")
        if truth is not None:
            self.live.refused_per_second.append(max(0, int(truth["rate_limited"]) - self.refused))
            self.truth = truth
            self.live.in_flight = int(truth["in_flight"])
        self.live.cap = self.fixed_cap
        if self._metrics_url is not None:
            text = await asyncio.to_thread(_get, self._metrics_url)
            if text is not None:
                samples = SAMPLE.findall(text)
                caps = [float(value) for name, value in samples if "_cap_" in name]
                known = [cap for cap in caps if math.isfinite(cap)]
                self.live.cap = sum(known) if known else None
                self.live.queue = int(sum(float(value) for name, value in samples if "_queue_" in name))

    async def stop(self) -> None:
        """End this arm's processes, by id."""
        for process in (self._app, self._simulator):
            if process is not None and process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), 5)
                except TimeoutError:
                    process.kill()
                    await process.wait()


def need_clients(who: str) -> None:
    """Look for the SDKs that the agents call with; `who` says in the error who wants them: "the demo drives".

    Raises:
        UsageError: one is not installed.
    """
    for name in ("openai", "anthropic"):
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"{who} the real SDKs; {name} is missing: pip install openai anthropic")


def _get(url: str) -> str | None:
    """Read a loopback page; None while its server is not up."""
    try:
        with urllib.request.urlopen(url, timeout=2) as page:  # noqa: S310 - a loopback URL of our own
            body: bytes = page.read()
    except OSError:
        return None
    return body.decode()


def _get_json(url: str) -> dict[str, Any] | None:
    page = _get(url)
    return None if page is None else json.loads(page)
