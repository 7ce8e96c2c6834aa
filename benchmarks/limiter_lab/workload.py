"""Agents at work: tasks made of stages, some fanned out, with tool time between."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Protocol

from benchmarks.limiter_lab.world import Call, GaveUpError, Task, World
from penstock.simulator import Request
from penstock.simulator.scenario import Tenant, Workload


class Policy(Protocol):
    """How one process calls the provider."""

    async def call(self, call: Call) -> None:
        """Return once the call is answered. Raises GaveUpError."""
        ...


class Agents:
    """The workload of one run. The same seed makes the same tasks whatever the policy."""

    def __init__(self, world: World, policies: list[Policy], seed: int) -> None:
        self._world = world
        self._policies = policies
        self._seed = seed
        self._workload = world.scenario.workload
        self._running: set[asyncio.Task[None]] = set()
        self.tasks: list[Task] = []

    async def work(self) -> None:
        """Run until the horizon."""
        workload = self._workload
        if workload.mode == "closed":
            tenants = _spread(workload.tenants, workload.tasks)
            for agent, tenant in enumerate(tenants):
                self._spawn(self._agent(agent, tenant))
        else:
            self._spawn(self._arrivals())
        await self._world.sleep(self._world.scenario.horizon_seconds)
        for running in self._running:
            running.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._world.loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._world.fail(error)

    async def _agent(self, agent: int, tenant: Tenant) -> None:
        number = 0
        while True:
            task = await self._task(f"{agent}.{number}", agent, tenant)
            number += 1
            if task.failed:
                # An agent that fails at once and starts at once would never let time pass.
                await self._world.sleep(max(1e-3, self._workload.restart_seconds))

    async def _arrivals(self) -> None:
        rng = random.Random(f"{self._seed} arrivals")
        per_second = self._workload.tasks_per_second
        tenants = self._workload.tenants
        shares = [tenant.share for tenant in tenants]
        number = 0
        while per_second > 0:
            await self._world.sleep(rng.expovariate(per_second))
            tenant = rng.choices(tenants, shares)[0] if sum(shares) > 0 else tenants[0]
            self._spawn(self._arrived(number, tenant))
            number += 1

    async def _arrived(self, number: int, tenant: Tenant) -> None:
        await self._task(f"{number}", number, tenant)

    async def _task(self, id: str, agent: int, tenant: Tenant) -> Task:
        workload, started = self._workload, self._world.now()
        task = Task(id, started, tenant.name, tenant.priority, agent % workload.processes)
        self.tasks.append(task)
        limit = workload.deadline_seconds
        if 0 < limit < float("inf"):
            task.deadline = started + limit
        try:
            await self._in_time(task, random.Random(f"{self._seed} {id}"))
        except (GaveUpError, TimeoutError):
            task.failed = True
        task.ended = self._world.now()
        return task

    async def _in_time(self, task: Task, rng: random.Random) -> None:
        if task.deadline is None:
            await self._stages(task, rng)
            return
        async with asyncio.timeout_at(self._world.loop.time() + task.deadline - task.started):
            await self._stages(task, rng)

    async def _stages(self, task: Task, rng: random.Random) -> None:
        tool_seconds = self._workload.tool_seconds
        for number, width in enumerate(_widths(self._workload, rng)):
            if number and tool_seconds:
                await self._world.sleep(rng.expovariate(1 / tool_seconds))
            calls = [Call(task, request_of(self._workload, rng)) for _ in range(width)]
            task.calls += calls
            if width == 1:
                await self._call(calls[0])
            else:
                await _all(self._call, calls)

    async def _call(self, call: Call) -> None:
        call.wanted = self._world.now()
        await self._policies[call.task.process].call(call)
        call.done = self._world.now()


def request_of(workload: Workload, rng: random.Random) -> Request:
    """Draw one call."""
    given = max(1, round(workload.input_tokens.sample(rng)))
    return Request(
        input_tokens=given,
        output_tokens=min(workload.max_tokens, max(1, round(workload.output_tokens.sample(rng)))),
        max_tokens=workload.max_tokens,
        cached_tokens=int(given * workload.cached_input_share),
        stream=workload.stream,
        draw=rng.gauss(0.0, 1.0),
    )


def _widths(workload: Workload, rng: random.Random) -> Iterator[int]:
    left = workload.calls_per_task
    while left:
        width = 1
        if rng.random() < workload.fan_out_share:
            width = min(left, rng.randint(*workload.fan_out_calls))
        left -= width
        yield width


async def _all(run: Callable[[Call], Awaitable[None]], calls: list[Call]) -> None:
    """Run calls at once; the first that gives up takes the others with it."""
    running = [asyncio.ensure_future(run(call)) for call in calls]
    try:
        await asyncio.gather(*running)
    except BaseException:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise


def _spread(tenants: tuple[Tenant, ...], agents: int) -> list[Tenant]:
    """Give each agent a tenant, by largest remainders, interleaved."""
    total = sum(tenant.share for tenant in tenants)
    if total <= 0:
        return [tenants[0]] * agents
    credit = [0.0] * len(tenants)
    spread = []
    for _ in range(agents):
        for index, tenant in enumerate(tenants):
            credit[index] += tenant.share / total
        chosen = max(range(len(tenants)), key=credit.__getitem__)
        credit[chosen] -= 1
        spread.append(tenants[chosen])
    return spread
