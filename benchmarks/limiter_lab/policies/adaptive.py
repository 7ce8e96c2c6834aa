"""Adaptive controllers rebuilt from public descriptions and sources, each with its shipped defaults.

They are ours to have got wrong: each says where it comes from. Where a product ships with less patience
than its users would give it, it is given more.
"""

import math
from collections import deque

from benchmarks.limiter_lab.policies._shared import Line, each_process, full_jitter, retrying, told_per_second
from benchmarks.limiter_lab.world import Call, GaveUpError, Reply, World


class Capped:
    """A cap on live calls with a first-come queue before it; subclasses move `cap`."""

    def __init__(self, world: World, cap: float) -> None:
        self.world, self.cap, self.live = world, cap, 0
        self._line = Line(world)

    def may_go(self) -> float:
        """Seconds until the first in line may go; 0: now, and it is counted in; inf: when told."""
        if self.live + 1 > math.floor(self.cap):
            return math.inf
        self.live += 1
        return 0.0

    async def send(self, call: Call) -> Reply:
        """Queue, send, and learn."""
        await self._line.join(self.may_go)
        cap = self.cap
        try:
            reply = await self.world.send(call)
            self.learn(reply, cap)
            return reply
        finally:
            self.live -= 1
            self._line.look()

    def learn(self, reply: Reply, cap_then: float) -> None:
        """Move the cap."""
        raise NotImplementedError


class NetflixAimd(Capped):
    """github.com/Netflix/concurrency-limits AIMDLimit: 20, +1, ×0.9 on a drop or above five seconds.

    Its floor is 1 here and 20 as shipped, in its favour.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world, 20)
        self._pause = full_jitter(world.rng)

    async def call(self, call: Call) -> None:
        await retrying(self.world, call, 8, self._pause, self.send)

    def learn(self, reply: Reply, cap_then: float) -> None:
        if not reply.ok or reply.at - reply.sent > 5.0:
            self.cap = max(1, math.floor(self.cap * 0.9))
        elif self.live * 2 >= self.cap:
            self.cap = min(200, self.cap + 1)


class DataDesigner(Capped):
    """NVIDIA DataDesigner's request admission: ×0.75 once an epoch, +1 per 25 successes, cool-down.

    `…/engine/models/request_admission/controller.py`. Its cap may start at 64, and a refused call is
    queued again for up to ten minutes, where the product stops after two rounds.
    """

    def __init__(self, world: World, most: int = 64) -> None:
        super().__init__(world, most)
        self._most, self._good, self._cold_until = most, 0, 0.0

    async def call(self, call: Call) -> None:
        began = self.world.now()
        while self.world.now() - began < 600:
            if (await self.send(call)).ok:
                return
        raise GaveUpError

    def may_go(self) -> float:
        wait = self._cold_until - self.world.now()
        return wait if wait > 0 else super().may_go()

    def learn(self, reply: Reply, cap_then: float) -> None:
        if reply.ok:
            self._good += 1
            if self._good >= 25:
                self._good, self.cap = 0, min(self._most, self.cap + 1)
        elif reply.status == 429:
            self._good = 0
            if cap_then <= self.cap:
                self.cap = max(1, math.floor(self.cap * 0.75))
            told = reply.retry_after
            self._cold_until = max(self._cold_until, self.world.now() + (2.0 if told is None else told))


class LlmdAimd(Capped):
    """llm-d's batch gateway: ×0.5 on a 429 or 5xx, +1 per clean second, between 5 and 100."""

    def __init__(self, world: World) -> None:
        super().__init__(world, 10)
        self._pause = full_jitter(world.rng)
        self._window, self._clean = 0, True

    async def call(self, call: Call) -> None:
        await retrying(self.world, call, 8, self._pause, self.send)

    def learn(self, reply: Reply, cap_then: float) -> None:
        window = int(self.world.now())
        if window != self._window:
            if self._clean:
                self.cap = min(100, self.cap + 1)
            self._window, self._clean = window, True
        if not reply.ok and self._clean:
            self._clean, self.cap = False, max(5, self.cap * 0.5)


class HiveMind(Capped):
    """hivemind-scheduler 0.2 (arXiv 2604.17111): ×0.5 per error, ±1 each five seconds against a latency.

    Tuned in its favour: told the true quota, up to 64 live calls, a target of ten seconds.
    """

    TARGET_SECONDS = 10.0

    def __init__(self, world: World) -> None:
        super().__init__(world, 32)
        self._sent: deque[float] = deque()
        self._per_minute = told_per_second(world) * 60
        self._adjust_at, self._times = 5.0, deque[float](maxlen=50)
        self._pause = full_jitter(world.rng)

    async def call(self, call: Call) -> None:
        def pause(tries: int, reply: Reply) -> float:
            return reply.retry_after or self._pause(tries, reply)

        await retrying(self.world, call, 6, pause, self.send)

    def may_go(self) -> float:
        now = self.world.now()
        while self._sent and self._sent[0] <= now - 60:
            self._sent.popleft()
        if len(self._sent) + 1 > self._per_minute:
            return self._sent[0] + 60 - now + 1e-6 if self._sent else 1.0
        verdict = super().may_go()
        if verdict == 0:
            self._sent.append(now)
        return verdict

    def learn(self, reply: Reply, cap_then: float) -> None:
        now = self.world.now()
        if not reply.ok:
            self.cap = max(1, self.cap * 0.5)
            return
        self._times.append(reply.at - reply.sent)
        if now >= self._adjust_at:
            self._adjust_at = now + 5
            mean = sum(self._times) / len(self._times)
            self.cap = min(64, self.cap + 1) if mean < self.TARGET_SECONDS else max(1, self.cap - 1)


class GoogleThrottle:
    """Client-side throttling of the SRE book, chapter 21: K = 2 over two minutes, refused locally."""

    def __init__(self, world: World, k: float = 2.0) -> None:
        self._world, self._k = world, k
        self._seen: deque[tuple[float, bool]] = deque()
        self._accepted = 0
        self._pause = full_jitter(world.rng)

    async def call(self, call: Call) -> None:
        async def send(call: Call) -> Reply:
            world = self._world
            if world.rng.random() < self._chance():
                self._note(False)
                here = world.now()
                return Reply(False, None, here, here, world.scenario.pools[0])
            reply = await world.send(call)
            self._note(reply.ok)
            return reply

        await retrying(self._world, call, 8, lambda tries, reply: self._pause(tries, reply), send)

    def _note(self, ok: bool) -> None:
        self._seen.append((self._world.now(), ok))
        self._accepted += ok

    def _chance(self) -> float:
        while self._seen and self._seen[0][0] < self._world.now() - 120:
            self._accepted -= self._seen.popleft()[1]
        return max(0.0, (len(self._seen) - self._k * self._accepted) / (len(self._seen) + 1))


class Langroid:
    """langroid's limiter: paces at 0.9 × (limit − remaining) ÷ reset; without headers ×2 and ×0.9.

    `langroid/language_models/rate_limiter.py`. Given the true rate to start from, and one doubling for
    all refusals of one burst.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        rate = told_per_second(world)
        self._interval = 0.0 if math.isinf(rate) else 1 / (0.9 * rate)
        self._next = self._floor = self._cut_at = 0.0
        self._pause = full_jitter(world.rng)

    async def call(self, call: Call) -> None:
        await retrying(self._world, call, 8, self._pause, self._send)

    async def _send(self, call: Call) -> Reply:
        now = self._world.now()
        slot = max(now, self._next, self._floor)
        self._next = slot + self._interval
        while slot > now:
            await self._world.sleep(slot - now)
            now = self._world.now()
            if self._floor > now:  # a cool-down began while we slept: reserve again behind it
                slot = max(self._next, self._floor)
                self._next = slot + self._interval
        reply = await self._world.send(call)
        self._learn(reply)
        return reply

    def _learn(self, reply: Reply) -> None:
        if reply.status == 429:
            told = reply.retry_after
            self._floor = max(self._floor, self._world.now() + min(60.0, told or 1.0))
            if "x-ratelimit-limit-requests" not in reply.headers and reply.sent >= self._cut_at:
                self._cut_at = reply.at
                self._interval = min(60.0, max(self._interval, 0.01) * 2)
        elif reply.ok and "x-ratelimit-limit-requests" not in reply.headers:
            self._interval *= 0.9


class AdaptiveTokenBucket:
    """ATB (arXiv 2510.04516): each client paces by a bucket whose rate follows what was let in.

    From the paper's description: additive growth on success, multiplicative cut on a 429, sends and
    retries alike wait for a token; no quota is known.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rate, self._level, self._at = 1.0, 1.0, 0.0
        self._line = Line(world)

    async def call(self, call: Call) -> None:
        for _ in range(200):
            await self._line.join(self._take)
            reply = await self._world.send(call)
            if reply.ok:
                self._rate += 0.5 / max(self._rate, 1.0)
                return
            if reply.status == 429:
                self._rate = max(0.05, self._rate * 0.85)
        raise GaveUpError

    def _take(self) -> float:
        now = self._world.now()
        self._level = min(max(1.0, self._rate), self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < 1 - 1e-9:
            return (1 - self._level) / self._rate
        self._level -= 1
        return 0.0


class Cooldown:
    """A router of the LiteLLM shape: a pool that refuses rests a while; so many tries over all pools."""

    def __init__(self, world: World, rest: float = 5.0, tries: int = 9) -> None:
        self._world, self._rest, self._tries = world, rest, tries
        self._cold = [0.0] * len(world.quotas)

    async def call(self, call: Call) -> None:
        for number in range(self._tries):
            now = self._world.now()
            warm = [index for index, until in enumerate(self._cold) if until <= now]
            if warm:
                reply = await self._world.send(call, warm[0])
                if reply.ok:
                    return
                self._cold[warm[0]] = self._world.now() + self._rest
            await self._world.sleep(min(8.0, 0.5 * 2**number) * (1 - 0.25 * self._world.rng.random()))
        raise GaveUpError


netflix_aimd = each_process(NetflixAimd)
data_designer = each_process(DataDesigner)
llmd_aimd = each_process(LlmdAimd)
hivemind = each_process(HiveMind)
google_throttle = each_process(GoogleThrottle)
langroid = each_process(Langroid)
atb = each_process(AdaptiveTokenBucket)
cooldown_router = each_process(Cooldown)
