"""The workers of a fleet: a program that imports what they need once, and forks one each time it is told.

`python -m benchmarks.fleet.crew ARM SIMULATOR STORE [POOL]` reads an order a line, as JSON, and answers with
the process id. It runs under any interpreter that has the arm's libraries. POOL is the options of the pool
that the arm `permits` draws on.
"""

import asyncio
import contextlib
import importlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import penstock
from benchmarks.fleet import permits
from benchmarks.limiter_lab.wall import Client, WallAgents, WallWorld
from benchmarks.limiter_lab.world import Call, GaveUpError
from penstock.simulator import Scenario
from penstock.simulator.scenario import Pool, Workload

LATER: Final = (
    "anyio._backends._asyncio", "httpcore", "httpcore2", "openai.resources.chat.completions",
    "penstock._wiring", "redis.cluster",
)  # fmt: skip
"""What the clients would import with their first call: once here instead of twenty times at once."""
RPM: Final = 500
MEMBERS: Final = 20


@dataclass(frozen=True, slots=True)
class Order:
    """A worker to be: so many agents, from `start` `until` by the machine's monotonic clock.

    What it did is written to `out`, which is empty once the worker is ready.
    """

    out: str
    start: float
    until: float
    agents: int = 1
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to share a quota: what is set up in a worker, and the client that its agents call."""

    guard: Callable[[str], AbstractContextManager[object]]
    client: Callable[[str, str], Any]


def _limit(**options: Any) -> AbstractContextManager[object]:
    return penstock.instrument(limit="enforce", spans="off", **options)


def _openai(url: str, store: str) -> Client:
    return Client(url, "lab")


class Router:
    """litellm's router as its manual shares a limit: the deployment's rpm, and its usage kept in Redis."""

    def __init__(self, url: str, store: str) -> None:
        import litellm

        litellm.suppress_debug_info = True
        deployment = {"model": "openai/lab", "api_base": f"{url}/v1", "api_key": "lab", "rpm": RPM}
        self._router = litellm.Router(
            model_list=[{"model_name": "lab", "litellm_params": deployment}],
            routing_strategy="usage-based-routing-v2",
            redis_url=store,
        )

    async def call(self, call: Call) -> None:
        text = f"sim:tokens={call.request.output_tokens}"
        messages = [{"role": "user", "content": text}]
        try:
            await self._router.acompletion("lab", messages, max_tokens=call.request.max_tokens)
        except Exception as error:
            raise GaveUpError from error

    async def close(self) -> None:
        """Leave the connections to the process's end."""


ARMS: Final[dict[str, Arm]] = {
    "fleet": Arm(lambda store: _limit(store=store), _openai),
    "alone": Arm(lambda store: _limit(), _openai),
    "split": Arm(lambda store: _limit(requests_per_minute=RPM / MEMBERS, headroom_ratio=0.0), _openai),
    "sdk": Arm(lambda store: nullcontext(), _openai),
    "litellm": Arm(lambda store: nullcontext(), Router),
}


class _Patient:
    """A client that counts how its calls ended."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.ends: Counter[str] = Counter()

    async def call(self, call: Call) -> None:
        try:
            await self._client.call(call)
        except GaveUpError as error:
            self.ends[type(error.__cause__).__name__] += 1
            raise
        self.ends["answered"] += 1


def work(arm: Arm, url: str, store: str, order: Order) -> None:
    """Be one worker."""
    with arm.guard(store):
        asyncio.run(_agents(arm, url, store, order))


async def _agents(arm: Arm, url: str, store: str, order: Order) -> None:
    client = arm.client(url, store)
    patient = _Patient(client)
    _write(order.out, None)
    await asyncio.sleep(order.start - time.monotonic())
    workload, seconds = Workload(tasks=order.agents), order.until - time.monotonic()
    scenario = Scenario(name="fleet", horizon_seconds=seconds, workload=workload, pools=(Pool(),))
    world = WallWorld(scenario, order.seed, asyncio.get_running_loop())
    agents = WallAgents(world, [patient], order.seed)
    await agents.work()
    done = [call for task in agents.tasks if not task.failed for call in task.calls if call.done is not None]
    told = {"useful": len(done), "tasks_failed": sum(t.failed for t in agents.tasks), "ends": patient.ends}
    _write(order.out, told)
    with contextlib.suppress(Exception):
        await client.close()


def _write(path: str, told: dict[str, Any] | None) -> None:
    Path(path).write_text(json.dumps(told) if told is not None else "")


def main() -> None:
    """Fork workers as they are ordered."""
    name, url, store, *rest = sys.argv[1:]
    if name == "litellm":
        import litellm  # noqa: F401 - once, for all
    for module in LATER:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    pool = json.loads(rest[0]) if rest else {}
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if name == "permits":
                permits.work(store, pool, permits.Order(**order))
            else:
                work(ARMS[name], url, store, Order(**order))
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
