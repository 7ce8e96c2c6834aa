"""A provider's quota as a state machine: who gets in, who is refused and why, what the headers say.

Sans-IO: every method takes `now`, seconds on any clock that starts near 0 and never goes back. The
HTTP server and the virtual-time lab run this same code. The model: requests and tokens in buckets
(continuous, or set anew each window or slice), live calls, and growth. OpenAI reserves
max(max_tokens, …) at the start and counts refused requests; Anthropic meters output as it is produced
and reads its prompt cache for free; Azure cuts minutes into slices of one or ten seconds.
"""

import dataclasses
import math
import random
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from penstock.providers import Usage
from penstock.simulator._buckets import SLACK, Bucket, Continuous, Windowed
from penstock.simulator.facts import Accepted, Dimension, Fault, Refusal, Refused, Request, Window
from penstock.simulator.scenario import Event, Neighbour, Pool

SLOPE_SECONDS: Final = 15.0
SLOPE_FREE_SHARE: Final = 0.1
"""Growth is tolerated from nothing up to this share of the request rate."""
HANG_SECONDS: Final = 600.0
"""How long a hung call stays live if its client never gives up."""
_UNCHARGED: Final = frozenset({Refusal.OUTAGE, Refusal.OVERLOADED})
"""Refusals that never reach the quota."""


@dataclass(slots=True)
class _Live:
    began: float
    held: dict[Dimension, float]
    request: Request


class Quota:
    """One pool's quota, its events and its faults. The same seed and calls give the same answers."""

    def __init__(self, config: Pool, seed: int = 0, *, now: float = 0.0) -> None:
        self.config = self._first = config
        self.live = 0
        self._rng = random.Random(seed)
        self._now = now
        self._ids = 0
        self._calls: dict[int, _Live] = {}
        self._buckets: dict[Dimension, Bucket] = {}
        self._tariffs: list[_Tariff] = []
        self._slope = _Slope()
        self._events = deque(config.events)
        self._origin = now
        self._outage_until = -math.inf
        self._outage_status = 503
        self._neighbour = Neighbour()
        self._neighbour_since = now
        self._drained = 0.0
        self._grabs = False
        self._rebuild()
        self._boundary = now
        self._advance(now)

    def ask(self, now: float, request: Request) -> Accepted | Refused:
        """Accept and charge a request, or refuse it."""
        self._advance(now)
        refused = self._refused(request) or self._overloaded()
        if refused:
            self._charge_refused(refused)
            return refused
        costs: dict[Dimension, float] = {}
        for tariff in self._tariffs:
            costs[tariff.dimension] = cost = tariff.cost(request)
            tariff.bucket.level -= cost
        self._slope.accepted(now)
        self.live += 1
        self._ids += 1
        self._calls[self._ids] = _Live(now, costs, request)
        charged = costs.get(Dimension.TOKENS, 0.0) or costs.get(Dimension.INPUT_TOKENS, 0.0)
        fault = self._fault()
        head, seconds = self._latency(request, fault)
        return Accepted(self._ids, head, seconds, charged, fault)

    def finish(self, now: float, id: int, usage: Usage | None = None) -> None:
        """End an accepted call: free its slot and settle its tokens; None settles what was asked for."""
        self._advance(now)
        call = self._calls.pop(id)
        self.live -= 1
        request = call.request
        if usage is None:
            usage = Usage(
                input=request.input_tokens, output=request.output_tokens, cache_read=request.cached_tokens
            )
        for tariff in self._tariffs:
            if tariff.dimension is Dimension.REQUESTS:
                continue
            owed = tariff.used(usage) - call.held[tariff.dimension]
            if owed > 0:
                tariff.bucket.level -= owed
            elif owed < 0:
                tariff.bucket.refund(-owed, call.began)

    def would_accept(self, now: float, request: Request) -> bool:
        """Say whether the quota has room, faults apart. Charges nothing."""
        self._advance(now)
        return self._obstacle(request) is None

    def next_possible(self, now: float, request: Request) -> float:
        """Say the earliest time at which asking again makes sense; inf while only a `finish` can help."""
        self._advance(now)
        obstacle = self._obstacle(request)
        if obstacle is None:
            return now
        if obstacle.kind is Refusal.OUTAGE:
            return self._outage_until
        wait = math.inf if obstacle.kind is Refusal.CONCURRENCY else 0.0
        if obstacle.kind is Refusal.SLOPE:
            wait = self._slope.wait(now)
        for tariff in self._tariffs:
            wait = max(wait, tariff.bucket.wait(tariff.need(request), self._drained))
        return min(now + wait, self._boundary)

    def too_large(self, now: float, request: Request) -> bool:
        """Say whether the request exceeds what a bucket can ever hold."""
        self._advance(now)
        return any(tariff.need(request) > tariff.bucket.capacity + SLACK for tariff in self._tariffs)

    def windows(self, now: float) -> dict[Dimension, Window]:
        """Tell each limited dimension's state, as exact numbers."""
        self._advance(now)
        return {dimension: self._window(bucket) for dimension, bucket in self._buckets.items()}

    def apply(self, now: float, event: Event) -> None:
        """Let an event happen now, whatever its `at_seconds`."""
        self._advance(now)
        self._happen(now, event)
        self._boundary = now
        self._advance(now)

    def restore(self, now: float) -> None:
        """Undo what events changed; those yet to come still will."""
        self._advance(now)
        self.config, self._neighbour, self._outage_until = self._first, Neighbour(), -math.inf
        self._rebuild()
        self._boundary = now
        self._advance(now)

    # Who gets in

    def _obstacle(self, request: Request) -> "_Obstacle | None":
        """Find what stands in a request's way, the longest wait of all dimensions."""
        now = self._now
        if now < self._outage_until:
            return _Obstacle(Refusal.OUTAGE)
        worst: _Tariff | None = None
        longest = -1.0
        for tariff in self._tariffs:
            need, bucket = tariff.need(request), tariff.bucket
            if need > bucket.level + SLACK:
                if need > bucket.capacity + SLACK:
                    return _Obstacle(Refusal.TOO_LARGE, tariff)
                wait = bucket.wait(need, 0.0)
                if wait > longest:
                    longest, worst = wait, tariff
        if self.config.concurrency and self.live >= self._slots():
            return _Obstacle(Refusal.CONCURRENCY)
        if not self._slope.allows(now):
            return _Obstacle(Refusal.SLOPE)
        return None if worst is None else _Obstacle(Refusal(worst.dimension.value), worst, longest)

    def _refused(self, request: Request) -> Refused | None:
        obstacle, config = self._obstacle(request), self.config
        if obstacle is None:
            return None
        kind, tariff = obstacle.kind, obstacle.tariff
        if kind is Refusal.OUTAGE:
            return self._outage()
        if kind is Refusal.CONCURRENCY:
            return Refused(kind, 429, None, config.rejection_seconds, config.concurrency)
        if kind is Refusal.SLOPE:
            return Refused(kind, 429, self._slope.wait(self._now), config.rejection_seconds)
        assert tariff is not None
        # Groq answers 413 where others answer 429: console.groq.com/docs/errors.
        status = 413 if kind is Refusal.TOO_LARGE and config.speaks == "groq" else 429
        bucket = tariff.bucket
        limit = bucket.per_second * 60
        used = (
            max(limit, bucket.capacity) - bucket.level
        )  # a small bucket is told as the minute it is cut from
        return Refused(
            kind, status, obstacle.wait, config.rejection_seconds, limit, used, tariff.need(request)
        )

    def _outage(self) -> Refused:
        # 5xx answers name no time; a 429 in an outage names the outage's end.
        wait = self._outage_until - self._now if self._outage_status == 429 else None
        return Refused(Refusal.OUTAGE, self._outage_status, wait, self.config.rejection_seconds)

    def _slots(self) -> float:
        return max(1.0, math.floor(self.config.concurrency * (1 - self._drained) + SLACK))

    def _charge_refused(self, refused: Refused) -> None:
        requests = self._buckets.get(Dimension.REQUESTS)
        if self.config.charge_rejected and requests and refused.kind not in _UNCHARGED:
            requests.level = min(requests.level, max(0.0, requests.level - 1))

    def _overloaded(self) -> Refused | None:
        share = self.config.error_rates.overloaded
        if share and self._rng.random() < share:
            status = 529 if self.config.speaks == "anthropic" else 503
            return Refused(Refusal.OVERLOADED, status, None, self.config.rejection_seconds)
        return None

    def _fault(self) -> Fault | None:
        rates = self.config.error_rates
        if not (rates.timeout or rates.server_error or rates.broken_stream):
            return None
        draw = self._rng.random()
        for fault, share in (
            (Fault.TIMEOUT, rates.timeout),
            (Fault.SERVER_ERROR, rates.server_error),
            (Fault.BROKEN_STREAM, rates.broken_stream),
        ):
            if draw < share:
                return fault
            draw -= share
        return None

    def _latency(self, request: Request, fault: Fault | None) -> tuple[float, float]:
        draw = self._rng.gauss(0.0, 1.0) if request.draw is None else request.draw
        first = self.config.latency_seconds.at(draw)
        per_token = self.config.seconds_per_output_token
        seconds = first + per_token * request.output_tokens
        if fault is Fault.TIMEOUT:
            return HANG_SECONDS, HANG_SECONDS
        if fault is Fault.BROKEN_STREAM:
            seconds = (first + seconds) / 2
        if not request.stream:
            return seconds, seconds
        # Without a pace per token, a quarter of the latency is time to first byte.
        return (first if per_token else first / 4), seconds

    # Time

    def _advance(self, now: float) -> None:
        """Move to `now`, stopping wherever something changes."""
        now = max(now, self._now)
        while self._boundary <= now:
            at = max(self._boundary, self._now)
            self._move(at)
            while self._events and self._events[0].at_seconds + self._origin <= at + SLACK:
                self._happen(at, self._events.popleft())
            self._boundary = self._next_boundary(at)
        self._move(now)

    def _move(self, now: float) -> None:
        if now > self._now:
            for bucket in self._buckets.values():
                bucket.advance(now, self._drained, self._grabs)
            self._now = now

    def _next_boundary(self, now: float) -> float:
        """Set the neighbour's present phase; say when anything changes next."""
        ahead = [self._events[0].at_seconds + self._origin] if self._events else []
        neighbour, phase_end = self._neighbour, math.inf
        self._drained, self._grabs = 0.0, False
        if neighbour.share:
            period = neighbour.on_seconds + neighbour.off_seconds
            elapsed = math.fmod(now - self._neighbour_since, period)
            if elapsed > period - SLACK:
                elapsed = 0.0
            if elapsed < neighbour.on_seconds - SLACK:
                self._drained, self._grabs = neighbour.share, neighbour.competes
                phase_end = now + neighbour.on_seconds - elapsed
            else:
                phase_end = now + period - elapsed
            if not neighbour.off_seconds:
                phase_end = math.inf
        return min([*ahead, phase_end])

    def _happen(self, now: float, event: Event) -> None:
        if event.changes:
            self.config = dataclasses.replace(self.config, **event.changes)  # type: ignore[arg-type]
            self._rebuild()
        if event.outage_seconds:
            self._outage_until = max(self._outage_until, now + event.outage_seconds)
            self._outage_status = event.outage_status
        if event.neighbour is not None:
            self._neighbour, self._neighbour_since = event.neighbour, now

    def _rebuild(self) -> None:
        """Make the buckets of the present keys; each holds what it held, as far as that fits."""
        config, before = self.config, self._buckets
        limits = {
            Dimension.REQUESTS: config.requests_per_minute,
            Dimension.TOKENS: config.tokens_per_minute,
            Dimension.INPUT_TOKENS: config.input_tokens_per_minute,
            Dimension.OUTPUT_TOKENS: config.output_tokens_per_minute,
        }
        self._buckets = {
            dimension: self._bucket(dimension, limit)
            for dimension, limit in limits.items()
            if limit and math.isfinite(limit)
        }
        for dimension, bucket in self._buckets.items():
            if dimension in before:
                bucket.level = min(bucket.level, before[dimension].level)
        self._tariffs = [_Tariff(dimension, bucket, config) for dimension, bucket in self._buckets.items()]
        for call in self._calls.values():
            call.held = {dimension: call.held.get(dimension, 0.0) for dimension in self._buckets}
        free = limits[Dimension.REQUESTS] / 60 * SLOPE_SECONDS * SLOPE_FREE_SHARE
        self._slope.configure(config.slope_percent_per_15s, max(2.0, free if math.isfinite(free) else 2.0))

    def _bucket(self, dimension: Dimension, per_minute: float) -> Bucket:
        config = self.config
        if config.algorithm == "fixed_window":
            return Windowed(self._now, per_minute, config.window_seconds)
        if dimension is not Dimension.REQUESTS:
            return Continuous(self._now, per_minute, config.token_bucket_seconds)
        if config.algorithm == "sliced":
            return Windowed(self._now, per_minute, config.slice_seconds)
        return Continuous(self._now, per_minute, config.bucket_seconds)

    def _window(self, bucket: Bucket) -> Window:
        return Window(
            bucket.per_second * 60, bucket.level, bucket.wait(bucket.capacity, 0.0), bucket.capacity
        )


class _Obstacle(NamedTuple):
    """What stands in the way: its kind, the dimension that ran out, and for how long."""

    kind: Refusal
    tariff: "_Tariff | None" = None
    wait: float | None = None


class _Tariff:
    """What a request costs in one dimension: at the start, and once its usage is known."""

    __slots__ = ("_base", "_cached_counts", "_per_read", "_per_reserved", "bucket", "dimension")

    def __init__(self, dimension: Dimension, bucket: Bucket, config: Pool) -> None:
        self.dimension = dimension
        self.bucket = bucket
        produces = dimension in (Dimension.TOKENS, Dimension.OUTPUT_TOKENS)
        reads = dimension in (Dimension.TOKENS, Dimension.INPUT_TOKENS)
        self._base = 1.0 if dimension is Dimension.REQUESTS else 0.0
        self._per_read = 1.0 if reads else 0.0
        self._per_reserved = 1.0 if produces and config.token_accounting != "actual" else 0.0  # noqa: S105
        self._cached_counts = config.cached_input_counts

    def cost(self, request: Request) -> float:
        """What is taken at the start."""
        # A cache read is known when the prompt has been looked up, which is before the first token.
        read = request.input_tokens - (0 if self._cached_counts else request.cached_tokens)
        return self._base + self._per_read * read + self._per_reserved * request.max_tokens

    def need(self, request: Request) -> float:
        """What must be there at the start: the cost, and one unit where output is metered later."""
        return max(1.0, self.cost(request))

    def used(self, usage: Usage) -> float:
        """What it was in the end."""
        read = (usage.input or 0) - (0 if self._cached_counts else usage.cache_read or 0)
        output = 0 if self.dimension is Dimension.INPUT_TOKENS else usage.output or 0
        return self._per_read * read + output


class _Slope:
    """How fast accepted requests may grow: the last 15 s against the 15 s before them."""

    def __init__(self) -> None:
        self._tolerated = 0.0
        self._free = 0.0
        self._recent: deque[float] = deque()
        self._before: deque[float] = deque()

    def configure(self, percent: float, free: float) -> None:
        self._tolerated = percent / 100 if math.isfinite(percent) else 0.0
        self._free = free

    def accepted(self, now: float) -> None:
        if self._tolerated:
            self._recent.append(now)

    def allows(self, now: float) -> bool:
        if not self._tolerated:
            return True
        while self._recent and self._recent[0] <= now - SLOPE_SECONDS + SLACK:
            self._before.append(self._recent.popleft())
        while self._before and self._before[0] <= now - 2 * SLOPE_SECONDS + SLACK:
            self._before.popleft()
        return len(self._recent) + 1 <= max(self._free, len(self._before) * (1 + self._tolerated))

    def wait(self, now: float) -> float:
        """Seconds until the oldest recent request no longer counts as recent."""
        return max(0.0, self._recent[0] + SLOPE_SECONDS - now) if self._recent else 0.0
