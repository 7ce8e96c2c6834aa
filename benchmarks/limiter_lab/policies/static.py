"""Limits that somebody wrote down: a semaphore, a bucket, aiolimiter, pyrate-limiter."""

import asyncio
import math

from benchmarks.limiter_lab.policies._shared import (
    HEADROOM,
    Line,
    each_process,
    full_jitter,
    retrying,
    sdk_pause,
    told_per_second,
)
from benchmarks.limiter_lab.world import Call, World


class SemaphoreAndJitter:
    """The usual advice: at most eight at a time, and jittered back-off."""

    def __init__(self, world: World, slots: int = 8, tries: int = 8) -> None:
        self._world, self._slots, self._tries = world, asyncio.Semaphore(slots), tries
        self._pause = full_jitter(world.rng)

    async def call(self, call: Call) -> None:
        async with self._slots:
            await retrying(self._world, call, self._tries, self._pause)


class Bucket:
    """A token bucket one second deep at 90 % of the known quota, and the SDK's retries."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rate = told_per_second(world) * HEADROOM
        self._level = self._depth = max(1.0, self._rate)
        self._at = world.now()
        self._line = Line(world)
        self._pause = sdk_pause(world.rng, 60.0)

    async def call(self, call: Call) -> None:
        async def send(call: Call):  # type: ignore[no-untyped-def]
            await self._line.join(self._take)
            return await self._world.send(call)

        await retrying(self._world, call, 3, self._pause, send)

    def _take(self) -> float:
        if math.isinf(self._rate):
            return 0.0
        now = self._world.now()
        self._level = min(self._depth, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < 1 - 1e-9:
            return (1 - self._level) / self._rate
        self._level -= 1
        return 0.0


class Aiolimiter:
    """aiolimiter as shipped: 90 % of the known quota per minute, and the SDK's retries."""

    def __init__(self, world: World) -> None:
        from aiolimiter import AsyncLimiter

        rate = told_per_second(world)
        self._world = world
        self._limiter = None if math.isinf(rate) else AsyncLimiter(max(1.0, rate * 60 * HEADROOM), 60)
        self._pause = sdk_pause(world.rng, 60.0)

    async def call(self, call: Call) -> None:
        async def send(call: Call):  # type: ignore[no-untyped-def]
            if self._limiter is not None:
                await self._limiter.acquire()
            return await self._world.send(call)

        await retrying(self._world, call, 3, self._pause, send)


class Pyrate:
    """pyrate-limiter as shipped: 90 % of the known quota per second, and the SDK's retries."""

    def __init__(self, world: World) -> None:
        from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate

        rate = told_per_second(world)
        self._world = world
        self._limiter = None
        if not math.isinf(rate):
            per_minute = max(1, int(rate * 60 * HEADROOM))
            self._limiter = Limiter(InMemoryBucket([Rate(per_minute, Duration.MINUTE)]))
        self._pause = sdk_pause(world.rng, 60.0)

    async def call(self, call: Call) -> None:
        async def send(call: Call):  # type: ignore[no-untyped-def]
            if self._limiter is not None:
                await self._limiter.try_acquire_async("pool")
            return await self._world.send(call)

        await retrying(self._world, call, 3, self._pause, send)


semaphore = each_process(SemaphoreAndJitter)
bucket = each_process(Bucket)
aiolimiter = each_process(Aiolimiter)
pyrate = each_process(Pyrate)
