"""Retries alone: no queue, no memory between calls. Rebuilt from public descriptions."""

from benchmarks.limiter_lab.policies._shared import Pause, each_process, full_jitter, retrying, sdk_pause
from benchmarks.limiter_lab.world import Call, World


class Retry:
    """Try so often, with a pause between."""

    def __init__(self, world: World, tries: int, pause: Pause) -> None:
        self._world, self._tries, self._pause = world, tries, pause

    async def call(self, call: Call) -> None:
        await retrying(self._world, call, self._tries, self._pause)


class Decorrelated:
    """AWS's decorrelated jitter: up to three times the last pause (aws.amazon.com/blogs/architecture)."""

    def __init__(self, world: World, tries: int = 8, base: float = 1.0, cap: float = 60.0) -> None:
        self._world, self._tries, self._base, self._cap = world, tries, base, cap

    async def call(self, call: Call) -> None:
        last = self._base

        def pause(tries: int, reply: object) -> float:
            nonlocal last
            last = min(self._cap, self._world.rng.uniform(self._base, last * 3))
            return last

        await retrying(self._world, call, self._tries, pause)


immediate = each_process(lambda world: Retry(world, 5, lambda tries, reply: 0.0))
full = each_process(lambda world: Retry(world, 8, full_jitter(world.rng)))
decorrelated = each_process(Decorrelated)
sdk = each_process(lambda world: Retry(world, 3, sdk_pause(world.rng, 60.0)))
