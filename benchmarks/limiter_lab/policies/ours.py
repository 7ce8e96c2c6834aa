"""The production limiter, driven as the transport hooks drive it, under an SDK with its own retries.

429s are absorbed by the limiter; what it passes on (5xx, timeouts) the SDK above repeats twice, as it
ships. A refusal by the limiter is final: it carries `x-should-retry: false`.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Final

from benchmarks.limiter_lab.policies._shared import sdk_pause
from benchmarks.limiter_lab.world import Call, GaveUpError, Reply, World
from penstock.classifiers import Evidence, SpanKind, Verdict, classify, evidence_of_response
from penstock.limiter import Fallback, Limiter, LimiterSettings, LoopScheduler, PoolSettings
from penstock.providers import Quota, lookup
from penstock.simulator.facts import Fault
from penstock.simulator.scenario import Pool
from penstock.telemetry import interceptor as hook

SDK_TRIES: Final = 3
_HOSTS: Final = {
    "openai": ("api.openai.com", "/v1/chat/completions"),
    "anthropic": ("api.anthropic.com", "/v1/messages"),
    "azure": ("simulated.openai.azure.com", "/openai/deployments/d/chat/completions"),
    "groq": ("api.groq.com", "/openai/v1/chat/completions"),
    "none": ("api.deepseek.com", "/chat/completions"),
}


class Without(Enum):
    """What an ablation takes away: what each part is worth."""

    NOTHING = "nothing"
    QUEUE = "queue"
    MIRROR = "mirror"
    GATE = "gate"
    RETRIES = "retries"


class Penstock:
    """One process's limiter and the calls through it."""

    def __init__(self, world: World, limiter: Limiter, without: Without = Without.NOTHING) -> None:
        self._world = world
        self._without = without
        self._limiter = limiter
        self._names = [_name(pool) for pool in world.scenario.pools]
        self._index = {name: index for index, name in enumerate(self._names)}
        self._readers = [_reader(pool) for pool in world.scenario.pools]
        self._pause = sdk_pause(world.rng, 60.0)
        self._second = -1

    async def call(self, call: Call) -> None:
        for tries in range(1, SDK_TRIES + 1):
            reply = await self._guarded(call)
            if reply.ok:
                return
            streaming = call.request.stream and reply.status == 200
            if streaming or tries == SDK_TRIES:
                raise GaveUpError
            await self._world.sleep(self._pause(tries, reply))

    async def _guarded(self, call: Call) -> Reply:
        """One SDK send: queue, send, and repeat below the SDK what the limiter absorbs."""
        limiter, world = self._limiter, self._world
        ticket = limiter.admit(self._described(call))
        end, usage, verdict = "cancelled", None, None
        try:
            while True:
                admission = await ticket.wait_async()
                if isinstance(admission, hook.Refused):
                    raise GaveUpError
                assert isinstance(admission, hook.Granted)
                pool = self._index[admission.route.pool] if admission.route else 0
                step = hook.Next.PASS

                def heard(reply: Reply, pool: int = pool) -> None:
                    nonlocal step
                    step = limiter.answer(ticket, self._answer(reply, pool))

                reply = await world.send(call, pool, heard)
                if world.watched:
                    self._watch()
                if step is hook.Next.RETRY and self._without is not Without.RETRIES:
                    continue
                end, usage = ("eof", reply.usage) if reply.ok or reply.status != 200 else ("broken", None)
                verdict = _broken(reply) if end == "broken" else None
                return reply
        finally:
            at = world.loop.time()
            limiter.settle(ticket, hook.Settlement(at=at, end=end, usage=usage, verdict=verdict))

    def _described(self, call: Call) -> hook.Call:
        task, request, start = call.task, call.request, self._world.loop.time() - self._world.now()
        return hook.Call(
            provider=self._readers[0][0],
            host="",
            pool=self._names[0],
            model=self._names[0],
            operation="chat",
            input_tokens=request.input_tokens,
            max_output_tokens=request.max_tokens,
            stream=request.stream,
            task_id=task.id,
            task_started=start + task.started,
            priority=task.priority,
            tenant=task.tenant,
            deadline=None if task.deadline is None else start + task.deadline,
        )

    def _answer(self, reply: Reply, pool: int) -> hook.Answer:
        provider, read = self._readers[pool]
        start = self._world.loop.time() - self._world.now()
        headers = reply.headers if reply.status is not None else {}
        verdict = _verdict(reply, provider, headers)
        if verdict is not None and self._without is Without.GATE:
            verdict = verdict._replace(retry_after=None)
        return hook.Answer(
            sent_at=start + reply.sent,
            at=start + reply.at,
            status=reply.status,
            quota=None if self._without is Without.MIRROR else read(headers),
            verdict=verdict,
            headers=headers,
        )

    def _watch(self) -> None:
        second = int(self._world.now())
        if second != self._second:
            self._second = second
            snapshot = self._limiter.snapshot()[self._names[0]]
            self._world.seconds.cap[second] = snapshot.cap
            self._world.seconds.rate[second] = snapshot.rate_per_second


def _verdict(reply: Reply, provider: str, headers: dict[str, str]) -> Verdict | None:
    if reply.status == 200:
        return None
    if reply.status is None:
        return classify(_exception(provider, "ReadTimeout" if reply.fault is Fault.TIMEOUT else "ReadError"))
    body = (
        reply.body()[1] if reply.refused else b'{"error":{"message":"Internal error","type":"server_error"}}'
    )
    return classify(
        evidence_of_response(reply.status, headers, body, provider=provider, span_kind=SpanKind.LLM)
    )


def _broken(reply: Reply) -> Verdict:
    return classify(replace(_exception("openai", "RemoteProtocolError"), stream_started=True))


def _exception(provider: str, name: str) -> Evidence:
    return Evidence(provider=provider, span_kind=SpanKind.LLM, exception_types=(name,))


def _name(pool: Pool) -> str:
    return f"{pool.headers}:{pool.name}"


def _reader(pool: Pool) -> tuple[str, Callable[[dict[str, str]], Quota | None]]:
    found = lookup(*_HOSTS[pool.headers])
    assert found is not None
    provider, endpoint = found
    return endpoint.provider, provider.quota


def settings(world: World) -> LimiterSettings:
    """Say to the limiter what a user of this scenario would: routes, patience, and limits if known."""
    scenario = world.scenario
    others = tuple(Fallback(pool=_name(pool)) for pool in scenario.pools[1:])
    pools = {}
    for index, pool in enumerate(scenario.pools):
        chosen = PoolSettings(
            wait_up_to_seconds=scenario.router.wait_up_to_seconds,
            max_wait_seconds=math.inf,
            queue_limit=1_000_000,
            fallback=others if index == 0 else (),
        )
        pools[_name(pool)] = _told(chosen, pool) if pool.limits_known else chosen
    return LimiterSettings(pools=pools)


def _told(chosen: PoolSettings, pool: Pool) -> PoolSettings:
    def known(limit: float) -> float | None:
        return limit if limit and math.isfinite(limit) else None

    slots = known(pool.concurrency)
    return replace(
        chosen,
        requests_per_minute=known(pool.requests_per_minute),
        tokens_per_minute=known(pool.tokens_per_minute),
        max_concurrency=int(slots) if slots else None,
        headroom_ratio=0.0,
    )


def _limiter(world: World, without: Without) -> Limiter:
    return Limiter(
        settings(world),
        mode="observe" if without is Without.QUEUE else "enforce",
        clock=world.loop.time,
        scheduler=LoopScheduler(world.loop),
        seed=world.rng.randrange(2**31),
    )


def _make(world: World, without: Without) -> list[Penstock]:
    workload = world.scenario.workload
    shared = _limiter(world, without) if workload.store == "memory" else None
    return [Penstock(world, shared or _limiter(world, without), without) for _ in range(workload.processes)]


def penstock(world: World) -> list[Penstock]:
    """One limiter a process; `store = "memory"` is one shared by all, as a central budget would be."""
    return _make(world, Without.NOTHING)


def without_queue(world: World) -> list[Penstock]:
    """The limiter only watches: calls go at once, and the SDK repeats what is refused."""
    return _make(world, Without.QUEUE)


def without_mirror(world: World) -> list[Penstock]:
    """Quota headers are not read."""
    return _make(world, Without.MIRROR)


def without_gate(world: World) -> list[Penstock]:
    """Retry-After is not read."""
    return _make(world, Without.GATE)


def without_retries(world: World) -> list[Penstock]:
    """A refusal goes up to the SDK, which repeats twice as it ships."""
    return _make(world, Without.RETRIES)
