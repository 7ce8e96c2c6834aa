"""Virtual time, verdicts as the classifier gives them, and a provider that keeps a quota."""

import heapq
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from penstock.classifiers import CLASSES, ErrorClass, Verdict
from penstock.limiter import Event, Fallback, Limiter, LimiterSettings, PoolSettings
from penstock.providers import Usage
from penstock.providers.anthropic import Anthropic
from penstock.providers.openai import OpenAICompatible
from penstock.simulator import Accepted, Quota, Refusal, Request, response_headers
from penstock.simulator.scenario import Pool
from penstock.telemetry.interceptor import Answer, Call, Granted, Next, Refused, Settlement


class Time:
    """A clock and a scheduler whose time is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def __call__(self) -> float:
        return self.now

    def call_at(self, when: float, run: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(when, self.now), next(self._numbers), run))

    def after(self, seconds: float, run: Callable[[], None]) -> None:
        self.call_at(self.now + seconds, run)

    def pass_(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, _, run = heapq.heappop(self._due)
            run()
        self.now = end


def verdict(error_class: str, reason: str = "x", **facts: object) -> Verdict:
    kind = ErrorClass(error_class)
    of = CLASSES[kind]
    values: dict[str, object] = {
        "retryable": of.retryable, "fault": of.fault, "side_effects": of.side_effects, **facts,
    }  # fmt: skip
    return Verdict(error_class=kind, reason=reason, **values)  # type: ignore[arg-type]


def refusal(retry_after: float | None = None, dimension: str = "requests_per_minute") -> Verdict:
    return verdict("rate_limit", retry_after=retry_after, limit_dimension=dimension)


_REASONS = {
    Refusal.REQUESTS: ("rate_limit", "requests_per_minute"),
    Refusal.TOKENS: ("rate_limit", "tokens_per_minute"),
    Refusal.INPUT_TOKENS: ("rate_limit", "input_tokens_per_minute"),
    Refusal.OUTPUT_TOKENS: ("rate_limit", "output_tokens_per_minute"),
    Refusal.TOO_LARGE: ("rate_limit", "tokens_per_minute"),
    Refusal.CONCURRENCY: ("rate_limit", "concurrency"),
    Refusal.SLOPE: ("rate_limit", "ramp"),
    Refusal.OVERLOADED: ("overloaded", None),
    Refusal.OUTAGE: ("overloaded", None),
}


@dataclass
class Tally:
    attempts: int = 0
    refused: int = 0
    answered: int = 0
    tokens: int = 0
    failed: int = 0
    waits: list[tuple[int, float]] = field(default_factory=list)
    by_age: list[tuple[float, float]] = field(default_factory=list)
    """How old a call's task was when it was wanted, and how long the call waited."""
    by_pool: dict[str, int] = field(default_factory=dict)
    sends: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    etas: list[tuple[float, float]] = field(default_factory=list)
    visits: list["Visit"] = field(default_factory=list)


@dataclass
class Visit:
    """One send: which operation, where, from when to when, and for how long it was told to stay away."""

    operation: int
    pool: str
    sent: float
    refused: bool = False
    heard: float = math.inf
    stay_away: float = 0.0


class Fleet:
    """Agents in a closed loop, each over the production limiter, against the simulator's quota model."""

    def __init__(
        self, pools: list[Pool], *, agents: int = 50, limiters: int = 1, seed: int = 1,
        settings: dict[str, PoolSettings] | None = None, wait_up_to: float = 0.0, sizes: float = 0.8,
        mode: str = "enforce", homes: int = 1,
    ) -> None:  # fmt: skip
        self.time = Time()
        self.time.now = 0.0
        self.rng = random.Random(seed)
        self.quotas = {pool.name: Quota(pool, seed) for pool in pools}
        self.home = pools[0].name
        self.homes = [pool.name for pool in pools[:homes]]
        self.tally = Tally()
        self.events: list[Event] = []
        self.sizes = sizes
        chosen = settings or {
            pool.name: PoolSettings(
                max_wait_seconds=math.inf,
                wait_up_to_seconds=wait_up_to,
                fallback=tuple(Fallback(pool=p.name) for p in pools[1:]) if pool is pools[0] else (),
            )
            for pool in pools
        }
        self.limiters = [
            Limiter(
                LimiterSettings(pools=chosen), clock=self.time, scheduler=self.time, seed=seed + n,
                on_event=self.events.append, mode=mode,  # type: ignore[arg-type]
            )
            for n in range(limiters)
        ]  # fmt: skip
        for agent in range(agents):
            self.time.call_at(0.0, lambda agent=agent: self._task(agent))  # type: ignore[misc]

    def run(self, seconds: float) -> Tally:
        self.time.pass_(seconds)
        return self.tally

    def describe(self) -> Call:
        """Describe a call of a task that is younger than all: it waits behind everyone."""
        return Call(
            provider="openai", host="h", pool=self.home, model="m", operation="chat",
            input_tokens=1000, max_output_tokens=1024, task_started=self.time.now,
        )  # fmt: skip

    def given_up(self) -> Settlement:
        return Settlement(at=self.time.now, end="cancelled")

    def _task(self, agent: int) -> None:
        self._next(agent, self.time.now, 20)

    def _next(self, agent: int, started: float, left: int) -> None:
        if not left:
            return self._task(agent)
        tokens = max(1, int(self.rng.lognormvariate(math.log(1100), self.sizes)))
        request = Request(
            input_tokens=tokens, output_tokens=min(1024, max(1, int(self.rng.lognormvariate(5.4, 0.8)))),
            max_tokens=1024, draw=self.rng.gauss(0, 1),
        )  # fmt: skip
        limiter = self.limiters[agent % len(self.limiters)]
        home = self.homes[agent % len(self.homes)]
        call = Call(
            provider="openai", host="h", pool=home, model="m", operation="chat", input_tokens=tokens,
            max_output_tokens=1024, task_started=started,
        )  # fmt: skip

        def done(ok: bool) -> None:
            self.tally.failed += not ok
            self.time.after(self.rng.expovariate(1.0), lambda: self._next(agent, started, left - 1))

        ticket = limiter.admit(call)
        self._wait(limiter, ticket, request, done, self.time.now)

    def _wait(self, limiter, ticket, request, done, wanted) -> None:  # type: ignore[no-untyped-def]
        if ticket.admission is None:
            ticket.wake = lambda: self.time.after(
                0.0, lambda: self._admitted(limiter, ticket, request, done, wanted)
            )
        else:
            self._admitted(limiter, ticket, request, done, wanted)

    def _admitted(self, limiter, ticket, request, done, wanted) -> None:  # type: ignore[no-untyped-def]
        now, tally = self.time.now, self.tally
        if isinstance(ticket.admission, Refused):
            limiter.settle(ticket, Settlement(at=now, end="cancelled"))
            return done(False)
        assert isinstance(ticket.admission, Granted)
        route = ticket.admission.route
        name = route.pool if route else ticket.call.pool
        quota = self.quotas[name]
        tally.attempts += 1
        tally.sends.append(now)
        tally.by_pool[name] = tally.by_pool.get(name, 0) + 1
        result = quota.ask(now, request)
        windows, config = quota.windows(now), quota.config
        refused = None if isinstance(result, Accepted) else result
        visit = Visit(ticket.number, name, now, refused=refused is not None)
        tally.visits.append(visit)
        headers = response_headers(config, windows, 1.75e9 + now, refused)
        provider = Anthropic() if config.headers == "anthropic" else OpenAICompatible()
        told = provider.quota(headers)
        if refused is not None:
            tally.refused += 1
            tally.refusals.append(now)
            kind, dimension = _REASONS[refused.kind]
            after = headers.get("retry-after")
            said = verdict(kind, retry_after=float(after) if after else None, limit_dimension=dimension)

            def heard() -> None:
                visit.heard, visit.stay_away = self.time.now, float(after or 0.0)
                answer = Answer(
                    sent_at=now, at=self.time.now, status=refused.status, quota=told, verdict=said
                )
                if limiter.answer(ticket, answer) is Next.RETRY:
                    self._wait(limiter, ticket, request, done, wanted)
                else:
                    limiter.settle(ticket, Settlement(at=self.time.now, end="eof"))
                    done(False)

            self.time.after(refused.seconds, heard)
            return None
        accepted = result

        def ended() -> None:
            quota.finish(self.time.now, accepted.id)
            limiter.answer(ticket, Answer(sent_at=now, at=self.time.now, status=200, quota=told))
            usage = Usage(input=request.input_tokens, output=request.output_tokens)
            limiter.settle(ticket, Settlement(at=self.time.now, end="eof", usage=usage))
            tally.answered += 1
            tally.tokens += request.input_tokens + request.output_tokens
            tally.waits.append((request.input_tokens, now - wanted))
            tally.by_age.append((ticket.queued_at - ticket.age, now - wanted))
            done(True)

        self.time.after(accepted.seconds, ended)
        return None


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def say() -> Callable[..., Verdict]:
    """Make a verdict: `say("rate_limit", retry_after=1.0)`."""
    return verdict


@pytest.fixture
def fleet() -> type[Fleet]:
    return Fleet


@pytest.fixture
def call() -> Callable[..., Call]:
    def make(**facts: object) -> Call:
        values: dict[str, object] = {
            "provider": "openai", "host": "h", "pool": "p", "model": "m", "operation": "chat", **facts,
        }  # fmt: skip
        return Call(**values)  # type: ignore[arg-type]

    return make


@pytest.fixture
def limiter(time: Time) -> Callable[..., Limiter]:
    """Make a limiter on virtual time: `limiter(mode=…, p={knob: value})`."""

    def make(
        mode: str = "enforce", on_event: Callable[[Event], None] | None = None, **pools: object
    ) -> Limiter:
        settings = {
            name: PoolSettings(**knobs)
            for name, knobs in pools.items()  # type: ignore[arg-type]
        }
        return Limiter(
            LimiterSettings(pools=settings), clock=time, scheduler=time, seed=7, wall=time,
            mode=mode, on_event=on_event,  # type: ignore[arg-type]
        )  # fmt: skip

    return make
