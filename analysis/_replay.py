"""Play recorded demand against a quota, in virtual time: the production limiter, or an SDK's retries.

Sans I/O: demand, quota and policy in, an outcome out. What is kept of a recording is what the app
wanted: when tasks began, which calls came after which and how long the app paused in between, how
many tokens, and how long an accepted call took. Waiting, refusals and retries are played anew.
"""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from penstock.classifiers import CLASSES, ErrorClass, Verdict
from penstock.limiter import Limiter, LimiterSettings, PoolSettings
from penstock.providers import Quota as Facts
from penstock.providers import Usage
from penstock.providers import Window as FactsWindow
from penstock.simulator import Accepted, Dimension, Quota, Refused, Request
from penstock.simulator.scenario import Pool as PoolModel
from penstock.telemetry import interceptor as hook

SDK_TRIES: Final = 3
SDK_FIRST_PAUSE: Final = 0.5
SDK_LONGEST_PAUSE: Final = 8.0
"""openai-python and anthropic-sdk-python: 2 retries, 0.5 s doubling to 8 s, minus up to a quarter of jitter;
a Retry-After of at most 60 s goes first."""
SDK_LONGEST_RETRY_AFTER: Final = 60.0
_START: Final = 1_000.0


@dataclass(slots=True)
class Want:
    """One call the app wanted. `after` has the places of the calls of its task that it waited for."""

    pool: str
    pause_seconds: float
    service_seconds: float
    input_tokens: int
    output_tokens: int
    max_tokens: int
    after: tuple[int, ...] = ()


@dataclass(slots=True)
class Demand:
    """One task. `at` is seconds since the first task began."""

    at: float
    wants: list[Want]


@dataclass(frozen=True, slots=True)
class Wire:
    """How a pool's answers travel, and what they tell.

    `delays` are what round trips took beyond the shortest, in seconds: each attempt draws one of them, and
    meets half of it on its way there. So calls reach the provider at other times, and even in another
    order, than they were sent: nobody who paces them sees that before the answers come.
    """

    headers: bool = True
    retry_after: bool = True
    delays: Sequence[float] = (0.0,)


@dataclass(slots=True)
class Outcome:
    """What came of it. Seconds; `waits` are from wanting a call to its last send."""

    tasks: int = 0
    finished: int = 0
    attempts: int = 0
    rate_limited: int = 0
    calls: int = 0
    task_seconds: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    ended: float = 0.0
    time_at: dict[int, float] = field(default_factory=dict)


class Policy(Protocol):
    """Decides when a call is sent, and whether a refused one is sent again."""

    def start(self, run: "_Call") -> None:
        """Take a call that is wanted now; sooner or later `send` or `fail` it."""
        ...

    def heard(self, run: "_Call", refused: Refused | None, facts: Facts | None) -> None:
        """Learn how an attempt ended; finish the call, send it again, or fail it."""
        ...


class World:
    """Virtual time, the quotas and the tasks of one run."""

    def __init__(
        self,
        demand: Sequence[Demand],
        quotas: Mapping[str, PoolModel],
        wires: Mapping[str, Wire] | None = None,
        *,
        seed: int,
    ) -> None:
        self.now = _START
        self.rng = random.Random(seed)
        self.outcome = Outcome(tasks=len(demand))
        self._wires = wires or dict.fromkeys(quotas, Wire())
        self._quotas = {name: Quota(model, seed, now=_START) for name, model in quotas.items()}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._live, self._since = 0, _START
        self._tasks = [_Task(self, number, held) for number, held in enumerate(demand)]

    def run(self, policy: Policy) -> Outcome:
        """Play to the end."""
        for task in self._tasks:
            self.call_at(_START + task.demand.at, lambda task=task: task.begin(policy))  # type: ignore[misc]
        while self._events:
            when, _, act = heapq.heappop(self._events)
            self.now = max(self.now, when)
            act()
        return self.outcome

    def call_at(self, when: float, run: Callable[[], None]) -> None:
        """Run something at a time; this makes the world a limiter's scheduler."""
        heapq.heappush(self._events, (when, next(self._numbers), run))

    def send(self, call: "_Call", policy: Policy) -> None:
        """Put an attempt on the wire."""
        call.sent = self.now
        self.outcome.attempts += 1
        self._level(+1)
        wire = self._wires[call.want.pool]
        delay = self.rng.choice(wire.delays) / 2
        self.call_at(self.now + delay, lambda: self._arrived(call, policy, wire, delay))

    def _arrived(self, call: "_Call", policy: Policy, wire: Wire, delay: float) -> None:
        want = call.want
        quota = self._quotas[want.pool]
        decision = quota.ask(self.now, Request(want.input_tokens, want.output_tokens, want.max_tokens))
        facts = self._facts(quota) if wire.headers else None
        if isinstance(decision, Refused):
            self.outcome.rate_limited += 1
            refused = replace(decision, retry_after=_told(decision.retry_after) if wire.retry_after else None)
            back = self.now + decision.seconds + delay
            self.call_at(back, lambda: self._ended(call, policy, refused, None, facts))
        else:
            accepted = decision
            ends = max(self.now, call.sent + want.service_seconds)
            self.call_at(ends, lambda: self._ended(call, policy, None, accepted, facts))

    def _ended(
        self,
        call: "_Call",
        policy: Policy,
        refused: Refused | None,
        accepted: Accepted | None,
        facts: Facts | None,
    ) -> None:
        self._level(-1)
        if accepted is not None:
            self._quotas[call.want.pool].finish(self.now, accepted.id)
        policy.heard(call, refused, facts)

    def _facts(self, quota: Quota) -> Facts:
        seen = {
            dimension: FactsWindow(
                limit=held.limit,
                remaining=math.floor(max(0.0, held.remaining)),  # headers tell whole calls
                reset_seconds=held.reset_seconds,
            )
            for dimension, held in quota.windows(self.now).items()
        }
        return Facts(requests=seen.get(Dimension.REQUESTS), tokens=seen.get(Dimension.TOKENS))

    def _level(self, step: int) -> None:
        time_at = self.outcome.time_at
        time_at[self._live] = time_at.get(self._live, 0.0) + self.now - self._since
        self._live, self._since = self._live + step, self.now


class _Task:
    def __init__(self, world: World, number: int, demand: Demand) -> None:
        self.world, self.number, self.demand = world, number, demand
        self.began = 0.0
        self.left = len(demand.wants)
        self.failed = False
        self._next: dict[int, list[int]] = {}
        self._waits_for = [len(want.after) for want in demand.wants]
        for index, want in enumerate(demand.wants):
            for before in want.after:
                self._next.setdefault(before, []).append(index)

    def begin(self, policy: Policy) -> None:
        self.began = self.world.now
        for index, before in enumerate(self._waits_for):
            if not before:
                self._want(index, policy)

    def done(self, index: int, policy: Policy, *, failed: bool) -> None:
        """Go on after a call; a task whose call failed for good gives up."""
        outcome = self.world.outcome
        outcome.ended = self.world.now - _START
        self.left -= 1
        outcome.calls += not failed
        self.failed = self.failed or failed
        if self.failed:
            return
        if self.left == 0:
            outcome.finished += 1
            outcome.task_seconds.append(self.world.now - self.began)
        for follower in self._next.get(index, ()):
            self._waits_for[follower] -= 1
            if not self._waits_for[follower]:
                self._want(follower, policy)

    def _want(self, index: int, policy: Policy) -> None:
        call = _Call(self, index, self.demand.wants[index])
        self.world.call_at(self.world.now + call.want.pause_seconds, lambda: call.begin(policy))


@dataclass(slots=True)
class _Call:
    task: _Task
    index: int
    want: Want
    wanted: float = 0.0
    sent: float = 0.0
    tries: int = 0
    ticket: object = None

    def begin(self, policy: Policy) -> None:
        if not self.task.failed:
            self.wanted = self.task.world.now
            policy.start(self)

    def finish(self, policy: Policy, *, failed: bool) -> None:
        if not failed:
            self.task.world.outcome.waits.append(self.sent - self.wanted)
        self.task.done(self.index, policy, failed=failed)


class SdkRetries:
    """Fire at once; on a refusal pause and repeat, as SDKs do on their own."""

    def __init__(self, world: World) -> None:
        self._world = world

    def start(self, run: _Call) -> None:
        """Send at once."""
        run.tries += 1
        self._world.send(run, self)

    def heard(self, run: _Call, refused: Refused | None, facts: Facts | None) -> None:
        """Repeat twice, then fail."""
        if refused is None:
            run.finish(self, failed=False)
        elif run.tries >= SDK_TRIES:
            run.finish(self, failed=True)
        else:
            self._world.call_at(self._world.now + self._pause(run, refused), lambda: self.start(run))

    def _pause(self, run: _Call, refused: Refused) -> float:
        if refused.retry_after is not None and 0 < refused.retry_after <= SDK_LONGEST_RETRY_AFTER:
            return refused.retry_after
        pause: float = min(SDK_LONGEST_PAUSE, SDK_FIRST_PAUSE * 2 ** (run.tries - 1))
        return pause * (1 - 0.25 * self._world.rng.random())


class Guarded:
    """The production limiter, driven as the transport hook drives it."""

    def __init__(self, world: World, settings: dict[str, PoolSettings], seed: int) -> None:
        self._world = world
        self._limiter = Limiter(
            LimiterSettings(pools=settings),
            clock=lambda: world.now,
            wall=lambda: world.now,
            scheduler=world,
            seed=seed,
        )

    def start(self, run: _Call) -> None:
        """Queue."""
        want = run.want
        ticket = self._limiter.admit(
            hook.Call(
                provider="", host="", pool=want.pool, model="", operation="chat",
                input_tokens=want.input_tokens, max_output_tokens=want.max_tokens,
                task_id=str(run.task.number), task_started=run.task.began,
            )
        )  # fmt: skip
        run.ticket = ticket
        self._wait(run)

    def heard(self, run: _Call, refused: Refused | None, facts: Facts | None) -> None:
        """Tell the limiter; it says whether the app may see the answer."""
        ticket, now = run.ticket, self._world.now
        assert ticket is not None
        answer = hook.Answer(
            sent_at=run.sent,
            at=now,
            status=refused.status if refused else 200,
            quota=facts,
            verdict=_verdict(refused) if refused else None,
        )
        step = self._limiter.answer(ticket, answer)  # type: ignore[arg-type]
        if step is hook.Next.RETRY:
            self._wait(run)
            return
        usage = Usage(input=run.want.input_tokens, output=run.want.output_tokens)
        end = hook.Settlement(at=now, end="eof", usage=None if refused else usage)
        self._limiter.settle(ticket, end)  # type: ignore[arg-type]
        run.finish(self, failed=refused is not None)

    def _wait(self, run: _Call) -> None:
        ticket = run.ticket
        if ticket.admission is None:  # type: ignore[attr-defined]
            ticket.wake = lambda: self._world.call_at(self._world.now, lambda: self._admitted(run))  # type: ignore[attr-defined]
        else:
            self._admitted(run)

    def _admitted(self, run: _Call) -> None:
        if isinstance(run.ticket.admission, hook.Granted):  # type: ignore[attr-defined]
            self._world.send(run, self)
            return
        self._limiter.settle(run.ticket, hook.Settlement(at=self._world.now, end="cancelled"))  # type: ignore[arg-type]
        run.finish(self, failed=True)


def _told(wait: float | None) -> float | None:
    """Spell a Retry-After as providers do: whole seconds, none of 0."""
    return None if wait is None or math.isinf(wait) else max(1.0, math.ceil(wait))


def _verdict(refused: Refused) -> Verdict:
    found = ErrorClass.RATE_LIMIT if refused.status == 429 else ErrorClass.OVERLOADED
    facts = CLASSES[found]
    return Verdict(
        error_class=found,
        reason=refused.kind.value,
        retryable=facts.retryable,
        fault=facts.fault,
        side_effects=facts.side_effects,
        retry_after=refused.retry_after,
        limit_dimension=_DIMENSIONS.get(refused.kind.value),
    )


_DIMENSIONS: Final = {
    "requests": "requests_per_minute",
    "tokens": "tokens_per_minute",
    "concurrency": "concurrency",
}
