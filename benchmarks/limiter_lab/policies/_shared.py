"""What peers have in common: how often they try, how long they pause, what an operator tells them."""

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from benchmarks.limiter_lab.bound import calls_per_second, means
from benchmarks.limiter_lab.workload import Policy
from benchmarks.limiter_lab.world import Call, GaveUpError, Reply, World

HEADROOM = 0.9
"""Operators who set a static limit leave a tenth of the quota unused."""

Pause = Callable[[int, Reply], float]
"""Seconds before try number n (from 1) after a failed reply."""


def each_process(build: Callable[[World], Policy]) -> Callable[[World], list[Policy]]:
    """Make one uncoordinated instance a process."""

    def make(world: World) -> list[Policy]:
        return [build(world) for _ in range(world.scenario.workload.processes)]

    return make


def told_per_second(world: World) -> float:
    """What an operator knows of the first pool's quota before anything happens, in calls a second."""
    pool = world.scenario.pools[0]
    return min(calls_per_second(pool, means(world.scenario.workload, pool)).values())


def full_jitter(rng: random.Random, base: float = 1.0, cap: float = 60.0) -> Pause:
    """AWS's full jitter: anything up to base × 2ⁿ."""
    return lambda tries, reply: rng.uniform(0, min(cap, base * 2 ** (tries - 1)))


def sdk_pause(rng: random.Random, longest: float) -> Pause:
    """What the OpenAI and Anthropic SDKs do: Retry-After up to `longest`, else 0.5–8 s less a quarter."""

    def pause(tries: int, reply: Reply) -> float:
        told = reply.retry_after
        if told is not None and 0 < told <= longest:
            return told
        return min(8.0, 0.5 * 2 ** (tries - 1)) * (1 - 0.25 * rng.random())

    return pause


async def retrying(world: World, call: Call, tries: int, pause: Pause, send: Any = None) -> None:
    """Try so often. Raises GaveUpError."""
    for number in range(1, tries + 1):
        reply = await (send or world.send)(call)
        if reply.ok:
            return
        if number < tries:
            await world.sleep(pause(number, reply))
    raise GaveUpError


class Line:
    """A first-come queue in front of a condition that its head re-checks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._wake_at = math.inf

    async def join(self, may_go: Callable[[], float]) -> None:
        """Wait for the turn and until `may_go` says 0; it returns seconds to look again, inf: when told."""
        turn: asyncio.Future[None] = self._world.loop.create_future()
        self._waiting.append(turn)
        try:
            while self._waiting[0] is not turn or (again := may_go()) > 0:
                if self._waiting[0] is turn:
                    self._look_in(again)
                await turn
                behind = self._waiting.index(turn)
                turn = self._world.loop.create_future()
                self._waiting[behind] = turn
        finally:
            self._waiting.remove(turn)
            self.look()

    def look(self) -> None:
        """Let the first in line look again."""
        if self._waiting and not self._waiting[0].done():
            self._waiting[0].set_result(None)

    def _look_in(self, seconds: float) -> None:
        at = self._world.now() + seconds
        if at < self._wake_at - 1e-9:
            self._wake_at = at
            self._world.loop.call_later(seconds, self._woken, at)

    def _woken(self, at: float) -> None:
        if at == self._wake_at:
            self._wake_at = math.inf
        self.look()
