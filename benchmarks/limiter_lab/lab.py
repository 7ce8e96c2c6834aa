"""Run policies over scenarios and seeds, each beside the oracle of its scenario and seed."""

import asyncio
import dataclasses
import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from benchmarks.limiter_lab import bound, oracle
from benchmarks.limiter_lab.clock import VirtualLoop, run
from benchmarks.limiter_lab.measure import Result, measure, row
from benchmarks.limiter_lab.policies import POLICIES, SkippedError
from benchmarks.limiter_lab.workload import Agents, Policy
from benchmarks.limiter_lab.world import NETWORK_SECONDS, World
from penstock.simulator import Scenario
from penstock.simulator.scenario import ErrorRates

Maker = Callable[[World], list[Policy]]

WEAK_ORACLE: Final = 0.97
_DEMAND_SECONDS: Final = 600.0
_DEMAND_CALLS: Final = 50_000


def compare(
    scenario: Scenario, policies: Sequence[str], seeds: Sequence[int], *, watched: bool = False
) -> Iterator[tuple[dict[str, Any], Result | None]]:
    """Yield a row for each policy and seed, and its run; a peer that cannot run gives its reason.

    `watched` runs also record the limiter's cap and pace, for plots.
    """
    tokens = bound.token_bound(scenario)
    for seed in seeds:
        best, over_bound = None, 0.0
        for name in policies:
            reason = skip_reason(name, scenario)
            if reason:
                yield {"scenario": scenario.name, "policy": name, "seed": seed, "skipped": reason}, None
                continue
            if best is None:
                best = play(scenario, seed, lambda world: [oracle.Oracle(world)] * processes(world), tokens)
                over_bound = _over_bound(scenario, seed, best)
            try:
                result = (
                    best if name == "oracle" else play(scenario, seed, POLICIES[name].make, tokens, watched)
                )
            except SkippedError as skipped:
                yield {"scenario": scenario.name, "policy": name, "seed": seed, "skipped": str(skipped)}, None
                continue
            yield row(scenario.name, name, seed, result, best, over_bound), result


def skip_reason(name: str, scenario: Scenario) -> str | None:
    """Say why a policy cannot run here, or None."""
    if scenario.workload.store == "redis":
        return 'store = "redis" needs a real server and the wall clock'
    if name == "oracle":
        return None
    return POLICIES[name].missing()


def processes(world: World) -> int:
    """How many limiter instances the agents are spread over."""
    return world.scenario.workload.processes


def play(scenario: Scenario, seed: int, make: Maker, tokens: bool = False, watched: bool = False) -> Result:
    """Run one policy over one scenario with one seed."""
    loop = VirtualLoop()
    world = World(scenario, seed, loop)
    world.watched = watched
    agents: list[Agents] = []

    async def main() -> None:
        agents.append(Agents(world, make(world), seed))
        working = loop.create_task(agents[0].work())
        await asyncio.wait((working, world.broken), return_when=asyncio.FIRST_COMPLETED)
        if world.broken.done():
            world.broken.result()
        working.result()

    began = time.process_time()
    random.seed(seed)  # libraries draw their jitter from the generator that all share
    # Nothing here makes cycles worth collecting while it runs; a pass over a day's calls costs seconds.
    gc.disable()
    try:
        run(loop, main())
    finally:
        gc.enable()
    spent = time.process_time() - began
    return dataclasses.replace(measure(world, agents[0].tasks, tokens=tokens), compute_seconds=spent)


def _over_bound(scenario: Scenario, seed: int, best: Result) -> float:
    """Put the oracle's answered calls beside what quota and demand allow."""
    most = bound.most_calls(scenario, _wanted(scenario, seed, best.fallback_ratio > 0.5))
    return best.calls / most if most >= 1 else 1.0


def _wanted(scenario: Scenario, seed: int, elsewhere: bool = False) -> list[float]:
    """Count what would be answered each second if nothing ever said no.

    The pace is the first pool's, or, where most calls run `elsewhere`, the quickest other's.
    """
    workload, horizon = scenario.workload, scenario.horizon_seconds
    open_loop = workload.mode == "open"
    others = scenario.pools[1:] if elsewhere else scenario.pools[:1]
    quickest = min(others, key=lambda pool: bound.means(workload, pool).seconds)
    if not open_loop:
        a_call = bound.means(workload, quickest).seconds + workload.tool_seconds + NETWORK_SECONDS
        enough = _DEMAND_CALLS * a_call / max(1, workload.tasks)
        horizon = min(horizon, _DEMAND_SECONDS, max(1.0, enough))
    free = dataclasses.replace(
        quickest,
        requests_per_minute=0.0,
        tokens_per_minute=0.0,
        input_tokens_per_minute=0.0,
        output_tokens_per_minute=0.0,
        concurrency=0.0,
        slope_percent_per_15s=0.0,
        error_rates=ErrorRates(),
        events=(),
    )
    unbound = dataclasses.replace(scenario, pools=(free,), horizon_seconds=horizon)
    result = play(unbound, seed, lambda world: [oracle.Oracle(world)] * processes(world))
    seconds = math.ceil(scenario.horizon_seconds)
    if open_loop:
        return [float(result.answered[second]) for second in range(seconds)]
    # Agents in a closed loop ask as much at all times, but for the first answers' delay.
    began = min(result.answered, default=seconds)
    steady = result.calls / max(1.0, horizon - began)
    return [0.0 if second < began else steady for second in range(seconds)]
