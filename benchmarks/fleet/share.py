"""Twenty processes at twice one quota: shared through a store, beside what others do."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from typing import Any, Final

from benchmarks.fleet.crew import MEMBERS
from benchmarks.fleet.stage import Crew, folder, provider, redis_on_loopback
from benchmarks.limiter_lab.clock import VirtualLoop, run
from benchmarks.limiter_lab.measure import measure
from benchmarks.limiter_lab.oracle import Oracle
from benchmarks.limiter_lab.workload import Agents
from benchmarks.limiter_lab.world import World
from penstock.simulator import Scenario
from penstock.simulator.scenario import Pool, Tenant, Workload


@dataclass(frozen=True, slots=True)
class Load:
    """How agents are spread: a worker for each entry, (agents, seconds after the start)."""

    name: str
    workers: tuple[tuple[int, float], ...]


def loads(seconds: float) -> dict[str, Load]:
    """Name the loads: each asks for twice the quota or more."""
    half = seconds / 2
    return {
        "even": Load("even", tuple((1 + at % 2, 0.0) for at in range(MEMBERS))),
        "uneven": Load("uneven", ((16, 0.0), *((1, 0.0) for _ in range(MEMBERS - 1)))),
        "scale-out": Load("scale-out", ((8, 0.0), (8, 0.0), *((1, half) for _ in range(MEMBERS - 2)))),
    }


LEAD_SECONDS: Final = 12.0
"""Workers are hired so long before their agents begin: twenty processes on few cores need it to be ready."""
_LITELLM_ENV: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "CRITICAL",
    "PYTHONWARNINGS": "ignore",  # of calls that are broken off at the end
}
RUNS: Final = (
    ("fleet", "even"), ("alone", "even"), ("split", "even"), ("sdk", "even"), ("litellm", "even"),
    ("fleet", "uneven"), ("split", "uneven"), ("fleet", "scale-out"), ("alone", "scale-out"),
)  # fmt: skip


class _Oracle(Agents):
    """The same agents in virtual time, each from when it comes."""

    def __init__(self, world: World, load: Load, seed: int) -> None:
        super().__init__(world, [Oracle(world)], seed)
        self._starts = [start for agents, start in load.workers for _ in range(agents)]

    async def work(self) -> None:
        for agent, start in enumerate(self._starts):
            self._spawn(self._come(agent, start))
        await self._world.sleep(self._world.scenario.horizon_seconds)

    async def _come(self, agent: int, start: float) -> None:
        if start:
            await self._world.sleep(start)
        await self._agent(agent, Tenant())


def oracle(load: Load, seconds: float, seeds: range = range(1, 6)) -> float:
    """Count the calls that a central queue gets answered that asks the quota itself; mean of some seeds."""
    works = []
    for seed in seeds:
        scenario = Scenario(name="fleet", horizon_seconds=seconds, workload=Workload(), pools=(Pool(),))
        loop = VirtualLoop()
        world = World(scenario, seed, loop)
        agents = _Oracle(world, load, seed)
        run(loop, agents.work())
        works.append(measure(world, agents.tasks, tokens=False).work)
    return sum(works) / len(works)


def compare(runs: list[tuple[str, str]], seconds: float, seed: int, litellm: str) -> Iterator[dict[str, Any]]:
    """Run each arm under its load. Yields a row for each."""
    known = loads(seconds)
    for arm, name in runs:
        if arm == "litellm":
            yield measured(arm, known[name], seconds, seed, python=litellm, worlds=[_LITELLM_ENV])
        else:
            yield measured(arm, known[name], seconds, seed)


def measured(
    arm: str, load: Load, seconds: float, seed: int, *, python: str = sys.executable,
    worlds: Sequence[dict[str, str]] = ({},),
) -> dict[str, Any]:  # fmt: skip
    """Run an arm once, its workers by turns in the given environments."""
    with ExitStack() as stack:
        where = stack.enter_context(folder())
        _, store = stack.enter_context(redis_on_loopback(where))
        simulator = stack.enter_context(provider(where, seed))
        crews = [
            stack.enter_context(Crew(arm, simulator.url, store, where, python=python, env=env))
            for env in worlds
        ]
        hands = list(zip(cycle(crews), load.workers, count(seed * 1000), strict=False))
        began = time.monotonic() + LEAD_SECONDS
        for crew, (agents, start), number in sorted(hands, key=lambda hand: hand[1][1]):
            if start:
                _ready(crews, began)
            time.sleep(max(0.0, began + start - LEAD_SECONDS - time.monotonic()))
            crew.hire(agents=agents, start=began + start, until=began + seconds, seed=number)
        _ready(crews, began)
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        truth = simulator.truth()
        told = [json.loads(path.read_text()) for crew in crews for path in crew.wait(began + seconds)]
    attempts, refused = truth["attempts"], truth["rate_limited"]
    useful, best = sum(one["useful"] for one in told), oracle(load, seconds)
    return {
        "arm": arm,
        "load": load.name,
        "attempts": attempts,
        "accepted_in_10_s": sum(truth["accepted_per_second"][:10]),
        "rate_limited_per_1000": 1000 * refused / max(1, attempts),
        "useful": useful,
        "of_oracle": useful / best,
        "tasks_failed": sum(one["tasks_failed"] for one in told),
    }


def _ready(crews: list[Crew], began: float) -> None:
    """Wait for the start, at which all who are hired by then have to be there; or, later, for nothing."""
    if time.monotonic() < began:
        time.sleep(began - time.monotonic())
        ready = [path.exists() for crew in crews for path in crew.outputs()]
        assert all(ready), f"{ready.count(False)} workers were not ready in time: is the machine busy?"


def default_litellm() -> str:
    """Where litellm lives, as it pins other majors of what we need."""
    return str(Path(".venv-openai2/bin/python"))
