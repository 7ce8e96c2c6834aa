"""What could have been done: a central queue that asks the quota itself before it sends.

First come first served, never refused (asserted), prefers the first pool and spills at once. `bound.py`
says how much of what was possible it did.
"""

import asyncio
import math
from collections import deque
from typing import Final

from benchmarks.limiter_lab.workload import Policy
from benchmarks.limiter_lab.world import Call, GaveUpError, World
from penstock.simulator import Accepted, Refusal

_REPEATS: Final = 50


class Oracle(Policy):
    """One queue over all processes and pools."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._queue: deque[tuple[Call, asyncio.Future[tuple[int, Accepted]]]] = deque()
        self._wake_at = math.inf
        world.on_finish = self._pump

    async def call(self, call: Call) -> None:
        """Wait in line, run, and repeat at once when the provider itself fails."""
        world = self._world
        for _ in range(_REPEATS):
            future: asyncio.Future[tuple[int, Accepted]] = world.loop.create_future()
            self._queue.append((call, future))
            if len(self._queue) == 1:
                self._pump()
            pool, accepted = await future
            reply = await world.answer(call, pool, accepted)
            if reply.ok:
                return
        raise GaveUpError

    def _pump(self) -> None:
        world, queue = self._world, self._queue
        while queue:
            call, future = queue[0]
            if future.done():  # its task was cancelled
                queue.popleft()
                continue
            now = world.now()
            granted = self._grant(call, now)
            if granted is None:
                if all(quota.too_large(now, call.request) for quota in world.quotas):
                    queue.popleft()
                    future.set_exception(GaveUpError("larger than any bucket"))
                    continue
                self._wake(min(quota.next_possible(now, call.request) for quota in world.quotas))
                return
            queue.popleft()
            future.set_result(granted)

    def _grant(self, call: Call, now: float) -> tuple[int, Accepted] | None:
        world = self._world
        for index, quota in enumerate(world.quotas):
            if not quota.would_accept(now, call.request):
                continue
            decision = world.ask(call, index)
            while not isinstance(decision, Accepted):
                # A random "overloaded" is no verdict of the quota, and free: ask again.
                assert decision.kind is Refusal.OVERLOADED, f"the oracle was refused: {decision}"
                decision = quota.ask(now, call.request)
            return index, decision
        return None

    def _wake(self, at: float) -> None:
        now = self._world.now()
        if at < self._wake_at or self._wake_at <= now:
            if math.isinf(at):
                return
            self._wake_at = max(at, now + 1e-9)
            self._world.loop.call_later(self._wake_at - now, self._woken, self._wake_at)

    def _woken(self, at: float) -> None:
        if at == self._wake_at:
            self._wake_at = math.inf
            self._pump()
