"""Who is plugged into whom: the limiter behind the trust room, both into telemetry and the metrics."""

import functools
from collections import Counter
from collections.abc import Callable
from itertools import accumulate
from typing import Literal, cast

from opentelemetry import trace

from penstock._config import Settings
from penstock._memory import read
from penstock.classifiers import register_entry_points
from penstock.limiter import Change, Event, Limiter, parse_settings
from penstock.limiter.fleet import Fleet, RedisStore
from penstock.telemetry import Telemetry, TelemetryOptions, guard
from penstock.telemetry import metrics as m
from penstock.telemetry import semconv as names
from penstock.telemetry.export import SpanFile
from penstock.telemetry.registry import Bound, Histogram, Registry
from penstock.trust import TrustRoom


def start(
    settings: Settings, finished: Callable[[SpanFile], None] | None, would: Counter[str]
) -> tuple[Limiter | None, TrustRoom, Telemetry]:
    """Start what the settings ask for; `would` counts what an observing limiter would have done.

    Raises:
        UsageError: an option of a pool or of the trust room is wrong, or the metrics port cannot be served.
    """
    _packaged_rules()
    pools = parse_settings(settings.limiter)  # also where nothing is limited: a typo is a typo
    limiter: Limiter | None = None
    events: _Events | None = None
    if settings.limit != "off":
        events = _Events(would)
        mode = cast("Literal['enforce', 'observe']", settings.limit)
        limiter = Limiter(pools, mode=mode, on_event=events, fleet=_fleet(settings))
        if settings.state is not None and mode == "enforce":
            limiter.recall(read(settings.state))
    room = TrustRoom(settings.trust, limiter)
    if limiter is not None:
        limiter.move_cost = room.move_cost
    try:
        telemetry = Telemetry(
            TelemetryOptions(
                spans=settings.spans,
                metrics_port=settings.metrics_port,
                metrics_host=settings.metrics_host,
                names=settings.names,
            ),
            interceptor=room.interceptor,
            sinks=(room.feed,),
            finished=finished or (lambda file: None),
        )
    except BaseException:
        room.close()
        raise
    room.count_in(telemetry.registry)
    if limiter is not None and events is not None:
        events.registry = telemetry.registry
        telemetry.registry.add_source(_State(limiter, telemetry.registry))
    return limiter, room, telemetry


def _fleet(settings: Settings) -> Fleet | None:
    url = settings.store
    return Fleet(lambda: RedisStore(url)) if url is not None and settings.limit == "enforce" else None


@functools.cache
def _packaged_rules() -> None:
    """Take the error rules of installed packages, once a process; a broken package is logged."""
    try:
        register_entry_points()
    except guard.OURS as error:
        guard.failed("classifiers.entry_points", error)


class _Events:
    """Count the limiter's decisions, and note them on the span whose call brought them about."""

    def __init__(self, would: Counter[str]) -> None:
        self.registry: Registry | None = None
        self._would = would
        self._pool, self._reason = Bound(), Bound()

    def __call__(self, event: Event) -> None:
        registry = self.registry
        if registry is None:
            return
        pool = self._pool(event.pool)
        if isinstance(event, Change):
            registry.inc(m.CHANGES, (pool, event.what, event.direction, self._reason(event.reason)))
            noted: dict[str, str | float] = {
                names.POOL: event.pool,
                names.LIMITER_WHAT: event.what,
                names.LIMITER_DIRECTION: event.direction,
                names.LIMITER_REASON: event.reason,
                names.LIMITER_VALUE: event.value,
            }
            span = trace.get_current_span()
            if span.is_recording():  # a stream's span may have ended before its last byte
                span.add_event(names.LIMITER_CHANGE, noted)
        else:
            self._would[event.action] += 1
            registry.inc(m.WOULD, (pool, event.action))


class _State:
    """Read the limiter at each scrape."""

    def __init__(self, limiter: Limiter, registry: Registry) -> None:
        self._limiter, self._registry = limiter, registry
        self._pool = Bound()
        self._counting: Counter[str] | None = None
        self._operations: Counter[str] = Counter()

    def __call__(self) -> None:
        for name, pool in self._limiter.snapshot().items():
            labels = (self._pool(name),)
            self._registry.set(m.CAP, labels, pool.cap)
            self._registry.set(m.RATE, labels, pool.rate_per_second)
            self._registry.set(m.QUEUE, labels, pool.queued)
            self._registry.set(m.GATE, labels, float(pool.gate.value))
        if self._limiter.fleet is not None:
            self._tell_fleet(self._limiter.fleet)

    def _tell_fleet(self, fleet: Fleet) -> None:
        registry = self._registry
        registry.set(m.STORE, (), float(fleet.up))
        if self._counting is not fleet.operations:  # a forked child's fleet counts from nothing
            self._counting, self._operations = fleet.operations, Counter()
        for result, count in list(fleet.operations.items()):
            registry.inc(m.STORE_OPS, (result,), count - self._operations[result])
            self._operations[result] = count
        for name, share in fleet.shares.items():
            labels = (self._pool(name),)
            registry.set(m.MEMBERS, labels, share.members)
            if share.levels is not None:
                seconds, call_seconds = share.levels
                running = list(accumulate(seconds))
                registry.put(m.FLEET_LIVE_SECONDS, labels, Histogram(running, call_seconds, running=True))
