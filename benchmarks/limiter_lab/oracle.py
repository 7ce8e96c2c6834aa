"""What could have been done: a central queue that asks the quota itself, and the quota's integral.

The oracle is first come first served, is never refused (asserted), prefers the first pool and spills
at once. A weak oracle would flatter everyone, so what it did is put beside a bound: no policy can do
more than the quota grants, nor more than the agents would ask for if nothing ever said no.
"""

import asyncio
import math
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.limiter_lab.workload import Policy, request_of
from benchmarks.limiter_lab.world import Call, GaveUpError, World
from penstock.simulator import Accepted, Event, Refusal, Scenario
from penstock.simulator.quota import SLOPE_FREE_SHARE, SLOPE_SECONDS
from penstock.simulator.scenario import Neighbour, Pool, Workload

_SAMPLES: Final = 4000
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


@dataclass(frozen=True, slots=True)
class Means:
    """What a call holds on average, once it is over, and how long it takes on a pool."""

    input: float
    output: float
    counted: float
    draws: tuple[float, ...]

    @property
    def tokens(self) -> float:
        """Input and output."""
        return self.input + self.output


def means(workload: Workload, config: Pool) -> Means:
    """Sample the workload."""
    rng = random.Random(0)
    requests = [request_of(workload, rng) for _ in range(_SAMPLES)]
    given = sum(r.input_tokens for r in requests) / _SAMPLES
    cached = 0.0 if config.cached_input_counts else sum(r.cached_tokens for r in requests) / _SAMPLES
    output = sum(r.output_tokens for r in requests) / _SAMPLES
    return Means(given, output, given - cached, tuple(r.draw or 0.0 for r in requests))


def _seconds(config: Pool, mean: Means) -> float:
    first = sum(config.latency_seconds.at(draw) for draw in mean.draws) / len(mean.draws)
    return first + config.seconds_per_output_token * mean.output


def calls_per_second(config: Pool, mean: Means) -> dict[str, float]:
    """Give each dimension's steady rate, in calls of mean size; inf where it is no limit."""

    def rate(limit: float, per_call: float) -> float:
        return limit / 60 / per_call if limit and per_call > 0 else math.inf

    return {
        "requests": rate(config.requests_per_minute, 1),
        "tokens": rate(config.tokens_per_minute, mean.counted + mean.output),
        "input_tokens": rate(config.input_tokens_per_minute, mean.counted),
        "output_tokens": rate(config.output_tokens_per_minute, mean.output),
        "concurrency": config.concurrency / _seconds(config, mean) if config.concurrency else math.inf,
    }


def token_bound(scenario: Scenario) -> bool:
    """Say whether the first pool runs out of tokens before anything else."""
    rates = calls_per_second(scenario.pools[0], means(scenario.workload, scenario.pools[0]))
    tightest = min(rates, key=rates.__getitem__)
    return "tokens" in tightest and math.isfinite(rates[tightest])


def granted_per_second(scenario: Scenario) -> list[float]:
    """Integrate the quota: calls of mean size that all pools together admit, for each second.

    The first second of a pool, and the first after an outage, also holds what its bucket saved up.
    """
    granted = [0.0] * math.ceil(scenario.horizon_seconds)
    for pool in scenario.pools:
        mean = means(scenario.workload, pool)
        since = 0
        for second, config, share, begins in _history(pool, len(granted)):
            since = second if begins else since
            rates = calls_per_second(config, mean)
            tightest = min(rates, key=rates.__getitem__)
            rate = rates[tightest] * share
            rate += rate * _depth(config, tightest) if begins else 0.0
            granted[second] += min(rate, _slope(config, second - since))
    return granted


def _slope(config: Pool, seconds: int) -> float:
    """What growth allows, in calls a second, so long after a start from nothing."""
    percent = config.slope_percent_per_15s
    if not percent or math.isinf(percent):
        return math.inf
    free = max(2.0, config.requests_per_minute / 60 * SLOPE_SECONDS * SLOPE_FREE_SHARE) / SLOPE_SECONDS
    growth = seconds / SLOPE_SECONDS * math.log1p(percent / 100)
    return free * math.exp(min(700.0, growth))


def _depth(config: Pool, dimension: str) -> float:
    if dimension == "concurrency" or config.algorithm == "fixed_window":
        return 0.0
    if dimension == "requests":
        return config.slice_seconds if config.algorithm == "sliced" else config.bucket_seconds
    return config.token_bucket_seconds


def _history(pool: Pool, seconds: int) -> Iterator[tuple[int, Pool, float, bool]]:
    """Walk a pool's seconds: its keys then, the share of its rate that is ours, and whether it is fresh."""
    config, neighbour, since, out_until = replace(pool, events=()), Neighbour(), 0.0, -1.0
    ahead: deque[Event] = deque(pool.events)
    fresh = True
    for second in range(seconds):
        while ahead and ahead[0].at_seconds <= second:
            event = ahead.popleft()
            config = replace(config, **event.changes)  # type: ignore[arg-type]
            out_until = max(out_until, event.at_seconds + event.outage_seconds)
            if event.neighbour is not None:
                neighbour, since = event.neighbour, event.at_seconds
        if second < out_until:
            fresh = True
            yield second, config, 0.0, False
            continue
        yield second, config, 1 - _drained(neighbour, second - since), fresh
        fresh = False


def _drained(neighbour: Neighbour, elapsed: float) -> float:
    if not neighbour.share:
        return 0.0
    phase = math.fmod(elapsed, neighbour.on_seconds + neighbour.off_seconds)
    return neighbour.share if phase < neighbour.on_seconds else 0.0


def bound(granted: list[float], wanted: list[float], *, backlog: bool) -> float:
    """Bound what any policy can do: second by second, no more than granted and no more than wanted.

    With `backlog` (open arrivals) what is not done now can be done later; agents in a closed loop ask
    for no more later because they had to wait now.
    """
    if not backlog:
        return sum(map(min, granted, wanted))
    done = left = 0.0
    for grant, want in zip(granted, wanted, strict=True):
        left += want
        served = min(left, grant)
        done += served
        left -= served
    return done
