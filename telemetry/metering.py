"""Turn records into metrics: the sink between the hooks and the registry."""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final

from opentelemetry.trace import Span

from penstock.classifiers import ErrorClass, Verdict
from penstock.providers import Quota, Usage, Window
from penstock.telemetry import metrics as m
from penstock.telemetry.levels import LevelHistogram, LevelSummary, LevelTracker
from penstock.telemetry.records import Attempt, Operation, Task, ToolCall
from penstock.telemetry.registry import Bound, Cell, Exemplar, Histogram, Registry, product

OK: Final = "ok"
PRIMARY: Final = "primary"
# Classes that ratios are made of: they stand at 0 from a pool's first call.
_WATCHED: Final = (
    OK,
    ErrorClass.RATE_LIMIT.value,
    ErrorClass.QUOTA.value,
    ErrorClass.OVERLOADED.value,
    ErrorClass.TIMEOUT.value,
    ErrorClass.NETWORK.value,
    ErrorClass.SERVER_ERROR.value,
)
_OPERATION_CLASSES: Final = (
    *_WATCHED,
    ErrorClass.AUTH.value,
    ErrorClass.MODEL.value,
    ErrorClass.UNKNOWN.value,
)
_TASK_CLASSES: Final = (*_WATCHED, ErrorClass.TOOL.value, ErrorClass.MODEL.value, ErrorClass.UNKNOWN.value)
_TRUSTS: Final = (PRIMARY, "fallback", "cache_stale")
_CACHE: Final = {True: "hit", False: "miss"}
_DIMENSIONS: Final = ("requests", "tokens", "input_tokens", "output_tokens")
_TOKEN_TYPES: Final = ("input", "output", "cache_read", "cache_write")
QUANTILES: Final = ("0.5", "0.95", "0.99")
_SECOND_NS: Final = 1_000_000_000


class _Names:
    """The labels of one provider, pool and model, within their bounds, and the series they name.

    Held on to, since looking a series up costs more than writing it.
    """

    __slots__ = ("_outcomes", "cache", "first_byte", "model", "pool", "provider", "seen", "tokens")

    def __init__(self, registry: Registry, provider: str, pool: str, model: str) -> None:
        self.provider, self.pool, self.model = provider, pool, model
        base = (provider, pool, model)
        self.tokens = [registry.cell(m.TOKENS, (*base, kind)) for kind in _TOKEN_TYPES]
        self.cache = {hit: registry.cell(m.CACHE_MISSES, (pool, name)) for hit, name in _CACHE.items()}
        self.first_byte = registry.histogram(m.FIRST_BYTE, (pool,))
        self.seen: Cell | None = None
        self._outcomes: dict[str, tuple[Cell, Histogram]] = {}

    def outcome(self, registry: Registry, name: str) -> tuple[Cell, Histogram]:
        """Find the counter and the durations of one class."""
        found = self._outcomes.get(name)
        if found is None:
            labels = (self.provider, self.pool, self.model, name)
            found = (
                registry.cell(m.ATTEMPTS, labels),
                registry.histogram(m.ATTEMPT_SECONDS, (self.pool, name)),
            )
            self._outcomes[name] = found
        return found

    def show_quota(self, registry: Registry, quota: Quota, at_seconds: float) -> None:
        """Show the newest headers: answers of long streams are told of late and may be old."""
        if self.seen is None:
            self.seen = registry.cell(m.QUOTA_SEEN, (self.pool,))
        if at_seconds < self.seen.value:
            return
        self.seen.value = at_seconds
        for dimension in _DIMENSIONS:
            window = getattr(quota, dimension)
            if window is not None:
                self._show_window(registry, dimension, window, at_seconds)

    def _show_window(self, registry: Registry, dimension: str, window: Window, at_seconds: float) -> None:
        labels = (self.pool, dimension)
        if window.limit is not None:
            registry.cell(m.QUOTA_LIMIT, labels).value = window.limit
        if window.remaining is not None:
            registry.cell(m.QUOTA_REMAINING, labels).value = window.remaining
        if window.reset_seconds is not None:
            registry.cell(m.QUOTA_RESET, labels).value = at_seconds + window.reset_seconds


class Metering:
    """Count attempts, operations, tools and tasks; follow each pool's level of live calls.

    Implements `AttemptSink` and `WorkSink`. `clock_ns` is `time.time_ns` outside tests.
    """

    def __init__(
        self, registry: Registry, *, version: str = "", clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.registry = registry
        self._version = version
        self._clock_ns = clock_ns
        self.on_transition: Callable[[str, int, int], None] | None = None
        """Told of each pool's transitions, one by one: pool, when, up or down. Must not block."""
        self._pool, self._model, self._provider, self._tool = Bound(), Bound(), Bound(), Bound()
        self._reset()
        registry.add_source(self._write_levels)

    def attempt_started(self, attempt: Attempt) -> None:
        """Raise the pool's level; count the attempt into its tasks."""
        names = self._names(attempt.provider, attempt.pool, attempt.model)
        with self._lock:
            self._live[id(attempt)] = (attempt, names.pool)
            self._trackers[names.pool].start(attempt.started_ns)
            if self.on_transition is not None:
                self.on_transition(names.pool, attempt.started_ns, 1)
        if attempt.number > 1:
            self.registry.inc(m.RETRIES, (names.pool, attempt.retry_owner or "sdk"))
        for task in _lineage(attempt.operation.task):
            task.attempts += 1
            task.live += 1
            task.live_peak = max(task.live_peak, task.live)

    def attempt_ended(self, attempt: Attempt) -> None:
        """Lower the level and count the outcome; an attempt that this process never saw start is ignored."""
        ended_ns = attempt.ended_ns if attempt.ended_ns is not None else self._clock_ns()
        with self._lock:
            known = self._live.pop(id(attempt), None)
            if known is None:
                return
            self._trackers[known[1]].end(ended_ns)
            if self.on_transition is not None:
                self.on_transition(known[1], ended_ns, -1)
        names = self._names(attempt.provider, attempt.pool, attempt.model)
        for task in _lineage(attempt.operation.task):
            task.live -= 1
        self._count_outcome(attempt, names, ended_ns)

    def operation_ended(self, operation: Operation) -> None:
        """Count a logical request by its final verdict."""
        names = self._names(operation.provider, operation.pool, operation.model)
        kind = operation.operation
        self._welcome_operation(names, kind)
        self.registry.inc(
            m.OPERATIONS, (names.provider, names.pool, names.model, kind, class_of(operation.verdict))
        )
        ended_ns = operation.ended_ns if operation.ended_ns is not None else self._clock_ns()
        seconds = (ended_ns - operation.started_ns) / _SECOND_NS
        self.registry.observe(m.OPERATION_SECONDS, (kind, names.provider, names.model), seconds)
        if operation.verdict is None:
            self.registry.inc(m.ANSWERS, (names.pool, operation.trust or PRIMARY))
        if operation.task is not None:  # which counted it at its start
            for task in _lineage(operation.task.parent):
                task.operations += 1

    def tool_ended(self, call: ToolCall) -> None:
        """Count a tool call."""
        tool = self._tool(call.name)
        self.registry.create(m.TOOLS, (tool, OK), (tool, ErrorClass.TOOL.value))
        self.registry.inc(m.TOOLS, (tool, class_of(call.verdict)))
        ended_ns = call.ended_ns if call.ended_ns is not None else self._clock_ns()
        self.registry.observe(m.TOOL_SECONDS, (tool,), (ended_ns - call.started_ns) / _SECOND_NS)

    def task_ended(self, task: Task) -> None:
        """Count a task, its length and its fan-out. A task inside another is part of the outer one."""
        if task.parent is not None:
            return
        self.registry.inc(m.TASKS, (class_of(task.verdict),))
        ended_ns = task.ended_ns if task.ended_ns is not None else self._clock_ns()
        self.registry.observe(m.TASK_SECONDS, (), (ended_ns - task.started_ns) / _SECOND_NS)
        self.registry.observe(m.FANOUT, (), task.operations)
        self.registry.observe(m.FANOUT_LIVE, (), task.live_peak)

    def live(self, pool: str) -> int:
        """Live calls of a pool, now."""
        with self._lock:
            tracker = self._trackers.get(self._pool(pool))
            return tracker.level if tracker else 0

    def levels(self) -> dict[str, tuple[LevelSummary, LevelSummary]]:
        """Per pool: first start … last end, and its busy time; what offline analysis must equal."""
        with self._lock:
            return {pool: (tracker.closed(), tracker.busy()) for pool, tracker in self._trackers.items()}

    def after_fork(self) -> None:
        """Start from nothing in a child: the parent's live calls are not ours."""
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._created_ns = self._clock_ns()
        self._live: dict[int, tuple[Attempt, str]] = {}
        self._trackers: dict[str, LevelTracker] = {}
        self._names_known: dict[tuple[str, str, str], _Names] = {}
        self._kinds_known: set[tuple[_Names, str]] = set()
        self.registry.set(m.BUILD, (self._version,), 1.0)
        self.registry.create(m.TASKS, *product(m.TASKS, **{"class": _TASK_CLASSES}))
        for metric in (m.TASK_SECONDS, m.FANOUT, m.FANOUT_LIVE):
            self.registry.create(metric, ())

    def _names(self, provider: str, pool: str, model: str) -> _Names:
        key = (provider, pool, model)
        names = self._names_known.get(key)
        if names is None:
            labels = (self._provider(provider), self._pool(pool), self._model(model))
            self._welcome(*labels)
            with self.registry.lock:
                names = _Names(self.registry, *labels)
            if len(self._names_known) < 1000:
                self._names_known[key] = names
        return names

    def _welcome(self, provider: str, name: str, model: str) -> None:
        """Make a new pool's series stand at 0."""
        pool = (name,)
        with self._lock:
            if name not in self._trackers:
                self._trackers[name] = LevelTracker(self._created_ns)
        base = {"provider": (provider,), "pool": pool, "model": (model,)}
        create = self.registry.create
        create(m.ATTEMPTS, *product(m.ATTEMPTS, **base, **{"class": _WATCHED}))
        create(m.TOKENS, *product(m.TOKENS, **base, type=_TOKEN_TYPES))
        create(m.RETRIES, *product(m.RETRIES, pool=pool, owner=("sdk", "penstock")))
        create(m.CACHE_MISSES, *product(m.CACHE_MISSES, pool=pool, result=("hit", "miss")))
        create(m.CACHE_BURSTS, *product(m.CACHE_BURSTS, pool=pool, kind=("hit", "miss")))
        create(m.CACHE_BURST_TOKENS, pool)
        create(m.ANSWERS, *product(m.ANSWERS, pool=pool, trust=_TRUSTS))
        create(m.FIRST_BYTE, pool)
        create(m.ATTEMPT_SECONDS, (name, OK))
        create(m.LIVE, pool)

    def _welcome_operation(self, names: _Names, kind: str) -> None:
        """Make the series of a pool's first operation of a kind stand at 0."""
        if (names, kind) in self._kinds_known:
            return
        self._kinds_known.add((names, kind))
        base = {"provider": (names.provider,), "pool": (names.pool,), "model": (names.model,)}
        outcomes = {"operation": (kind,), "class": _OPERATION_CLASSES}
        self.registry.create(m.OPERATIONS, *product(m.OPERATIONS, **base, **outcomes))

    def _count_outcome(self, attempt: Attempt, names: _Names, ended_ns: int) -> None:
        outcome = class_of(attempt.verdict)
        registry, seconds = self.registry, (ended_ns - attempt.started_ns) / _SECOND_NS
        first_ns = attempt.first_byte_ns
        first = (
            None
            if first_ns is None or attempt.verdict is not None
            else (first_ns - attempt.started_ns) / _SECOND_NS
        )
        exemplar = _exemplar(attempt.span, seconds)
        with registry.lock:
            counter, durations = names.outcome(registry, outcome)
            counter.value += 1
            durations.add(bisect_left(m.ATTEMPT_SECONDS.buckets, seconds), seconds, exemplar)
            if first is not None:
                names.first_byte.add(bisect_left(m.FIRST_BYTE.buckets, first), first)
            if attempt.usage is not None:
                _count_usage(names, attempt.usage)
            if attempt.quota is not None:
                names.show_quota(registry, attempt.quota, (first_ns or ended_ns) / _SECOND_NS)
        if registry.mirror is not None:
            registry.mirror(m.ATTEMPT_SECONDS, (names.pool, outcome), seconds)
            if first is not None:
                registry.mirror(m.FIRST_BYTE, (names.pool,), first)

    def _write_levels(self) -> None:
        now_ns = self._clock_ns()
        with self._lock:
            for pool, tracker in self._trackers.items():
                self.registry.set(m.LIVE, (pool,), tracker.level)
                self.show(self.registry, pool, tracker, now_ns)

    @staticmethod
    def show(registry: Registry, pool: str, tracker: LevelTracker, now_ns: int) -> None:
        """Write what a tracker says of a pool at a time."""
        summary = tracker.window(now_ns)
        registry.set(m.LIVE_PEAK, (pool,), tracker.peak(now_ns))
        for quantile, value in zip(QUANTILES, (summary.p50, summary.p95, summary.p99), strict=True):
            registry.set(m.LIVE_QUANTILE, (pool, quantile), value)
        registry.put(m.LIVE_SECONDS, (pool,), _as_histogram(tracker.histogram(now_ns, m.LEVELS)))
        registry.put(m.LIVE_AT_ARRIVAL, (pool,), _as_histogram(tracker.arrivals(m.LEVELS)))


def class_of(verdict: Verdict | None) -> str:
    """Name a verdict for the `class` label; no verdict is `ok`."""
    return OK if verdict is None else verdict.error_class.value


def _count_usage(names: _Names, usage: Usage) -> None:
    counts = (usage.input, usage.output, usage.cache_read, usage.cache_write)
    for cell, tokens in zip(names.tokens, counts, strict=True):
        if tokens:
            cell.value += tokens
    if usage.cache_read is not None:
        names.cache[usage.cache_read > 0].value += 1


def _lineage(task: Task | None) -> Iterator[Task]:
    while task is not None:
        yield task
        task = task.parent


def _as_histogram(levels: LevelHistogram) -> Histogram:
    return Histogram([*(upto for _, upto in levels.buckets), levels.total], levels.weighted_sum, running=True)


def _exemplar(span: object, seconds: float) -> Exemplar | None:
    if not isinstance(span, Span):
        return None
    context = span.get_span_context()
    if not (context.is_valid and context.trace_flags.sampled):
        return None
    return Exemplar(format(context.trace_id, "032x"), seconds, time.time())
