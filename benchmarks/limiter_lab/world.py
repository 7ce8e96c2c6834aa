"""The provider in virtual time, as a client meets it, and what is counted on the way."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks.limiter_lab.clock import EPOCH, START, VirtualLoop
from penstock.providers import Usage
from penstock.simulator import (
    Accepted,
    Dimension,
    Fault,
    Quota,
    Refused,
    Request,
    Scenario,
    Window,
    refusal_body,
    response_headers,
)
from penstock.simulator.scenario import Pool

CLIENT_TIMEOUT_SECONDS: Final = 60.0
"""When a client gives up on a call that hangs."""
NETWORK_SECONDS: Final = 1e-3
"""The least that a call takes: agents that cost no time would never let any pass."""


@dataclass(slots=True, eq=False)
class Task:
    """One agent run. Times are seconds since the start."""

    id: str
    started: float
    tenant: str
    priority: str
    process: int
    deadline: float | None = None
    ended: float | None = None
    failed: bool = False
    calls: "list[Call]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Call:
    """One logical request. `waited` runs from when it was wanted to when its last send began."""

    task: Task
    request: Request
    wanted: float = 0.0
    sent: float = 0.0
    done: float | None = None
    pool: int = 0
    attempts: int = 0

    @property
    def tokens(self) -> int:
        """Input and output."""
        return self.request.input_tokens + self.request.output_tokens

    @property
    def waited(self) -> float:
        """Seconds before the send that was answered."""
        return self.sent - self.wanted


@dataclass(slots=True)
class Reply:
    """What a client sees of one attempt. `fault` is timeout or broken_stream when no answer came whole."""

    ok: bool
    status: int | None
    sent: float
    at: float
    config: Pool
    refused: Refused | None = None
    fault: Fault | None = None
    usage: Usage | None = None
    windows: Mapping[Dimension, Window] = field(default_factory=dict)
    _headers: dict[str, str] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The response's headers, spelled by the simulator as over HTTP."""
        if self._headers is None:
            self._headers = response_headers(self.config, self.windows, EPOCH + self.sent, self.refused)
        return self._headers

    def body(self) -> tuple[int, bytes]:
        """A refusal's status and body, spelled as over HTTP."""
        assert self.refused is not None
        return refusal_body(self.config, self.refused)

    @property
    def retry_after(self) -> float | None:
        """What an SDK reads from `retry-after-ms` or `retry-after`, in seconds."""
        headers = self.headers
        if "retry-after-ms" in headers:
            return float(headers["retry-after-ms"]) / 1000
        value = headers.get("retry-after")
        if value is None:
            return None
        try:
            return float(value)
        except ValueError:
            from email.utils import parsedate_to_datetime

            return max(0.0, parsedate_to_datetime(value).timestamp() - (EPOCH + self.at))


class GaveUpError(Exception):
    """A policy will not try this call again."""


@dataclass(slots=True)
class Seconds:
    """Counts per whole second, for plots."""

    accepted: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    moved: Counter[int] = field(default_factory=Counter)
    in_flight: dict[int, int] = field(default_factory=dict)
    cap: dict[int, float] = field(default_factory=dict)
    rate: dict[int, float] = field(default_factory=dict)


class World:
    """One run's pools and clock."""

    def __init__(self, scenario: Scenario, seed: int, loop: VirtualLoop) -> None:
        self.scenario = scenario
        self.loop = loop
        self.rng = random.Random(seed * 7919 + 1)
        self.quotas = [Quota(pool, seed * 100 + index) for index, pool in enumerate(scenario.pools)]
        self.attempts = 0
        self.rate_limited = 0
        self.live = 0
        self.seconds = Seconds()
        self.on_finish: Callable[[], None] | None = None
        self.watched = False
        self.broken: asyncio.Future[None] = loop.create_future()

    def now(self) -> float:
        """Seconds since the start."""
        return self.loop.time() - START

    def fail(self, error: BaseException) -> None:
        """Stop the run: something other than a refusal went wrong."""
        if not self.broken.done():
            self.broken.set_exception(error)

    def sleep(self, seconds: float) -> "asyncio.Future[None]":
        """Wait."""
        return self.loop.sleep_until(self.loop.time() + seconds)

    async def send(self, call: Call, pool: int = 0, on_head: Callable[[Reply], None] | None = None) -> Reply:
        """Send one attempt. A stream's head is told to `on_head` when it comes, before the rest."""
        decision = self.ask(call, pool)
        if isinstance(decision, Refused):
            return await self.refuse(call, pool, decision, on_head)
        return await self.answer(call, pool, decision, on_head)

    def ask(self, call: Call, pool: int) -> Accepted | Refused:
        """Put the request to the quota."""
        now = self.now()
        call.sent = now
        call.pool = pool
        call.attempts += 1
        self.attempts += 1
        self._level(+1)
        return self.quotas[pool].ask(now, call.request)

    async def refuse(
        self, call: Call, pool: int, refused: Refused, on_head: Callable[[Reply], None] | None = None
    ) -> Reply:
        """Play a refusal."""
        quota, sent = self.quotas[pool], call.sent
        windows = quota.windows(sent)
        if refused.status == 429:
            self.rate_limited += 1
            self.seconds.refused[int(sent)] += 1
        try:
            await self.sleep(max(NETWORK_SECONDS, refused.seconds))
        finally:
            self._level(-1)
        reply = Reply(False, refused.status, sent, self.now(), quota.config, refused, windows=windows)
        if on_head:
            on_head(reply)
        return reply

    async def answer(
        self, call: Call, pool: int, accepted: Accepted, on_head: Callable[[Reply], None] | None = None
    ) -> Reply:
        """Play an accepted call."""
        quota, sent, request = self.quotas[pool], call.sent, call.request
        windows = quota.windows(sent)
        self.seconds.accepted[int(sent)] += 1
        if pool:
            self.seconds.moved[int(sent)] += 1
        fault, head = accepted.fault, accepted.head_seconds
        seconds = max(NETWORK_SECONDS, accepted.seconds)
        if fault is Fault.TIMEOUT:
            seconds = head = CLIENT_TIMEOUT_SECONDS
        status = None if fault is Fault.TIMEOUT else 500 if fault is Fault.SERVER_ERROR else 200
        if fault is Fault.BROKEN_STREAM and not request.stream:
            status = None
        reply = Reply(fault is None, status, sent, 0.0, quota.config, fault=fault, windows=windows)
        try:
            if request.stream and head < seconds and status == 200:
                await self.sleep(head)
                reply.at = self.now()
                if on_head:
                    on_head(reply)
                    on_head = None
                await self.sleep(seconds - head)
            else:
                await self.sleep(seconds)
        finally:
            self._level(-1)
            quota.finish(self.now(), accepted.id)
            if self.on_finish:
                self.on_finish()
        reply.at = self.now()
        if fault is None:
            reply.usage = Usage(
                input=request.input_tokens, output=request.output_tokens, cache_read=request.cached_tokens
            )
        if on_head:
            on_head(reply)
        return reply

    def _level(self, step: int) -> None:
        self.live += step
        second = int(self.now())
        if self.live > self.seconds.in_flight.get(second, -1):
            self.seconds.in_flight[second] = self.live
