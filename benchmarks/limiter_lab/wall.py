"""The same agents on the wall clock: real SDK clients, real HTTP, the simulator in a process of its own.

`python -m benchmarks.limiter_lab.wall SCENARIO.toml [--seconds 60] [--seed 1] [--record FOLDER]` runs the
OpenAI SDK bare and guarded by `penstock.instrument(limit="enforce")`, then both in virtual time, and puts
them side by side. With `--record` only the guarded one runs, to the scenario's own horizon, and each second
of it is written as JSON and as a plot. Prompts carry their answers' length but are short: use scenarios that
run out of requests, not tokens.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any, Final

import openai

import penstock
from benchmarks.limiter_lab.lab import play
from benchmarks.limiter_lab.policies import POLICIES
from benchmarks.limiter_lab.record import Recorder, draw
from benchmarks.limiter_lab.workload import Agents
from benchmarks.limiter_lab.world import Call, GaveUpError, Task, World
from penstock.simulator import Scenario, load_scenario

ARMS: Final = {"openai_sdk": "off", "penstock": "enforce"}


class WallWorld(World):
    """The part of a world that agents need, on a real loop."""

    def __init__(self, scenario: Scenario, seed: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(scenario, seed, loop)  # type: ignore[arg-type]
        self._began = loop.time()

    def now(self) -> float:
        return self.loop.time() - self._began

    def sleep(self, seconds: float) -> Any:
        return asyncio.sleep(seconds)


class WallAgents(Agents):
    """Agents whose tasks the limiter can tell apart."""

    async def _stages(self, task: Task, rng: Any) -> None:
        with penstock.task(task.id):
            await super()._stages(task, rng)


class Client:
    """The OpenAI SDK with its defaults."""

    def __init__(self, url: str, model: str) -> None:
        self._client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="lab")
        self._model = model

    async def call(self, call: Call) -> None:
        text = f"sim:tokens={call.request.output_tokens}"
        messages: Any = [{"role": "user", "content": text}]
        try:
            await self._client.chat.completions.create(
                model=self._model, messages=messages, max_tokens=call.request.max_tokens
            )
        except openai.APIError as error:
            raise GaveUpError from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def wall(
    path: Path, scenario: Scenario, seed: int, limit: str, record: Path | None = None
) -> dict[str, float]:
    """Run one arm for the scenario's horizon; `record` is a folder for what happened each second."""
    log = Path(tempfile.mkdtemp()) / "truth.jsonl"
    server = subprocess.Popen(
        [sys.executable, "-m", "penstock", "simulate", "--scenario", str(path), "--seed", str(seed),
         "--truth", str(log)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    home = scenario.pools[0].name
    runtime = penstock.instrument(limit=limit, spans="off", max_wait_seconds=1e9, **_routes(scenario))
    recorder = Recorder(runtime, home) if record else None
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        tasks = asyncio.run(_work(scenario, seed, url, recorder))
        with urllib.request.urlopen(f"{url}/_sim/truth") as page:
            truth = json.load(page)
    finally:
        runtime.shutdown()
        server.send_signal(signal.SIGTERM)
        server.wait(10)
    if record and recorder:
        rows = recorder.finish(log, home)
        (record / f"{path.stem}.json").write_text(json.dumps(rows) + "\n")
        (record / f"{path.stem}.svg").write_text(draw(f"{scenario.name} on the wall clock", rows))
    return _figures(tasks, truth["attempts"], truth["rate_limited"])


def _routes(scenario: Scenario) -> dict[str, Any]:
    """Name the pools as the scenario does, in its order of preference."""
    home, *others = (pool.name for pool in scenario.pools)
    pools: dict[str, Any] = {name: {"model": name} for name in others}
    pools[home] = {"wait_up_to_seconds": scenario.router.wait_up_to_seconds, "fallback": others}
    return {"pools": pools, "names": {f"*:{name}": name for name in (home, *others)}}


async def _work(scenario: Scenario, seed: int, url: str, recorder: Recorder | None) -> list[Task]:
    client = Client(url, scenario.pools[0].name)
    world = WallWorld(scenario, seed, asyncio.get_running_loop())
    agents = WallAgents(world, [client] * scenario.workload.processes, seed)
    watching = asyncio.create_task(recorder.watch(int(scenario.horizon_seconds))) if recorder else None
    await agents.work()
    if watching is not None:
        await watching
    with contextlib.suppress(Exception):
        await client.close()
    return agents.tasks


def virtual(scenario: Scenario, seed: int, policy: str) -> dict[str, float]:
    """Run the same arm in virtual time."""
    result = play(scenario, seed, POLICIES[policy].make)
    return {
        "useful_calls": result.work,
        "attempts": float(result.attempts),
        "rate_limited_per_1000": result.rate_limited_per_1000,
        "tasks_failed": float(result.tasks_failed),
    }


def _figures(tasks: list[Task], attempts: int, refused: int) -> dict[str, float]:
    useful = sum(call.done is not None for task in tasks if not task.failed for call in task.calls)
    return {
        "useful_calls": float(useful),
        "attempts": float(attempts),
        "rate_limited_per_1000": 1000 * refused / attempts if attempts else 0.0,
        "tasks_failed": float(sum(task.failed for task in tasks)),
    }


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.record:
        recorded = load_scenario(options.scenario)
        figures = wall(options.scenario, recorded, options.seed, "enforce", options.record)
        print(json.dumps(figures, indent=1))
        return
    scenario = dataclasses.replace(load_scenario(options.scenario), horizon_seconds=options.seconds)
    rows = {}
    for policy, limit in ARMS.items():
        rows[policy] = {
            "wall": wall(options.scenario, scenario, options.seed, limit),
            "virtual": virtual(scenario, options.seed, policy),
        }
        print(policy, json.dumps(rows[policy], indent=1), flush=True)


if __name__ == "__main__":
    main()
