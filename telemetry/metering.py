"""Turn records into metrics: the sink between the hooks and the registry.

A call only leaves notes (`backlog`). Trackers and series are touched when those are written, by one
thread at a time.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from penstock.classifiers import ErrorClass, Verdict
from penstock.providers import Quota, Usage, Window
from penstock.telemetry import metrics as m
from penstock.telemetry.levels import LevelHistogram, LevelSummary, LevelTracker
from penstock.telemetry.records import Attempt, Operation, Task, ToolCall
from penstock.telemetry.registry import Bound, Cell, Exemplar, Histogram, Labels, Registry, product

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
_DIMENSIONS: Final = Quota._fields
_EXEMPLAR_SECONDS: Final = 1.0
"""A bucket's exemplar stands this long: writing one costs more than counting, and scrapes are rarer."""
_TOKEN_TYPES: Final = ("input", "output", "cache_read", "cache_write")
QUANTILES: Final = ("0.5", "0.95", "0.99")
_SECOND_NS: Final = 1_000_000_000


@dataclass(slots=True)
class _Cells:
    """The series of one quota window; what its headers never tell has none."""

    limit: Cell | None = None
    remaining: Cell | None = None
    reset: Cell | None = None


class _Names:
    """The labels of one provider, pool and model, within their bounds, and the series they name.

    Held on to, since looking a series up costs more than writing it. Hold the registry's lock, but to
    show a quota.
    """

    __slots__ = (
        "_operations", "_outcomes", "_quota", "_registry", "_trusts", "answered", "cache", "first_byte",
        "model", "pool", "provider", "seen", "tokens", "tracker",
    )  # fmt: skip

    def __init__(self, registry: Registry, tracker: LevelTracker, labels: Labels) -> None:
        self._registry, self.tracker = registry, tracker
        self.provider, self.pool, self.model = labels
        self.tokens = [registry.cell(m.TOKENS, (*labels, kind)) for kind in _TOKEN_TYPES]
        self.cache = {hit: registry.cell(m.CACHE_MISSES, (self.pool, name)) for hit, name in _CACHE.items()}
        self.first_byte = registry.histogram(m.FIRST_BYTE, (self.pool,))
        self.seen: Cell | None = None
        self.answered: list[Attempt] = []
        """Answers whose quota headers were not looked at yet."""
        self._outcomes: dict[str, tuple[Cell, Histogram]] = {}
        self._operations: dict[tuple[str, str], tuple[Cell, Histogram]] = {}
        self._trusts: dict[str, Cell] = {}
        self._quota: dict[str, _Cells] = {}

    def outcome(self, name: str) -> tuple[Cell, Histogram]:
        """Find the counter and the durations of one class."""
        found = self._outcomes.get(name)
        if found is None:
            labels = (self.provider, self.pool, self.model, name)
            found = self._outcomes[name] = (
                self._registry.cell(m.ATTEMPTS, labels),
                self._registry.histogram(m.ATTEMPT_SECONDS, (self.pool, name)),
            )
        return found

    def operation(self, kind: str, outcome: str) -> tuple[Cell, Histogram]:
        """Find the counter of one kind of operation that ended so, and the durations of the kind."""
        found = self._operations.get((kind, outcome))
        if found is None:
            base = (self.provider, self.pool, self.model, kind)
            for watched in _OPERATION_CLASSES:  # ratios need them at 0
                self._registry.cell(m.OPERATIONS, (*base, watched))
            found = self._operations[kind, outcome] = (
                self._registry.cell(m.OPERATIONS, (*base, outcome)),
                self._registry.histogram(m.OPERATION_SECONDS, (kind, self.provider, self.model)),
            )
        return found

    def answers(self, trust: str) -> Cell:
        """Find the counter of answers from one origin."""
        found = self._trusts.get(trust)
        if found is None:
            found = self._trusts[trust] = self._registry.cell(m.ANSWERS, (self.pool, trust))
        return found

    def show_quota(self) -> None:
        """Show the newest headers: answers of long streams are told of late and may be old."""
        answered, self.answered = self.answered, []
        for attempt in sorted(answered, key=_told_ns, reverse=True):
            quota = attempt.quota
            if quota is not None:
                with self._registry.lock:
                    self._show(quota, _told_ns(attempt) / _SECOND_NS)
                return

    def _show(self, quota: Quota, at_seconds: float) -> None:
        if self.seen is None:
            self.seen = self._registry.cell(m.QUOTA_SEEN, (self.pool,))
        if at_seconds < self.seen.value:
            return
        self.seen.value = at_seconds
        for dimension, window in zip(_DIMENSIONS, quota, strict=True):
            if window is not None:
                self._show_window(dimension, window, at_seconds)

    def _show_window(self, dimension: str, window: Window, at_seconds: float) -> None:
        limit, remaining, full_in, _ = window
        cells = self._quota.get(dimension) or self._quota.setdefault(dimension, _Cells())
        if limit is not None:
            cells.limit = cells.limit or self._registry.cell(m.QUOTA_LIMIT, (self.pool, dimension))
            cells.limit.value = limit
        if remaining is not None:
            cells.remaining = cells.remaining or self._registry.cell(
                m.QUOTA_REMAINING, (self.pool, dimension)
            )
            cells.remaining.value = remaining
        if full_in is not None:
            cells.reset = cells.reset or self._registry.cell(m.QUOTA_RESET, (self.pool, dimension))
            cells.reset.value = at_seconds + full_in


class Metering:
    """Count attempts, operations, tools and tasks; follow each pool's level of live calls.

    Implements `AttemptSink` and `WorkSink`. `clock_ns` is `time.time_ns` outside tests.
    """

    def __init__(
        self, registry: Registry, *, version: str = "", clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.registry = registry
        self._backlog = registry.backlog
        self._version = version
        self._clock_ns = clock_ns
        self.on_transition: Callable[[str, int, int], None] | None = None
        """Told of each pool's transitions, one by one: pool, when, up or down. Must not block."""
        self.on_answer: Callable[[Attempt, int], None] | None = None
        """Told of each attempt that has ended, and how many calls it left in flight in its pool."""
        self._pool, self._model, self._provider, self._tool = Bound(), Bound(), Bound(), Bound()
        self._reset()
        registry.add_source(self._write_levels)

    def attempt_started(self, attempt: Attempt) -> None:
        """Count the attempt into its tasks, and note that its pool's level rises."""
        if attempt.operation.task is not None:
            for task in _lineage(attempt.operation.task):
                task.attempts += 1
                task.live += 1
                task.live_peak = max(task.live_peak, task.live)
        self._backlog.note(self._rise, attempt, attempt.started_ns)

    def attempt_ended(self, attempt: Attempt) -> None:
        """Note that the level falls, and the outcome."""
        if attempt.operation.task is not None:
            for task in _lineage(attempt.operation.task):
                task.live -= 1
        if attempt.ended_ns is None:
            attempt.ended_ns = self._clock_ns()
        self._backlog.note(self._fall, attempt, attempt.ended_ns)

    def operation_ended(self, operation: Operation) -> None:
        """Note how a logical request ended."""
        if operation.task is not None:  # which counted it at its start
            for task in _lineage(operation.task.parent):
                task.operations += 1
        if operation.ended_ns is None:
            operation.ended_ns = self._clock_ns()
        self._backlog.note(self._count_operation, operation, operation.ended_ns)

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
        with self._backlog.written():
            tracker = self._trackers.get(pool) or self._trackers.get(self._pool(pool))
            return tracker.level if tracker else 0

    def levels(self) -> dict[str, tuple[LevelSummary, LevelSummary]]:
        """Per pool: first start … last end, and its busy time; what offline analysis must equal."""
        with self._backlog.written():
            return {pool: (tracker.closed(), tracker.busy()) for pool, tracker in self._trackers.items()}

    def after_fork(self) -> None:
        """Start from nothing in a child: the parent's live calls are not ours."""
        self._reset()

    def _reset(self) -> None:
        self._created_ns = self._clock_ns()
        self._live: dict[int, tuple[Attempt, _Names]] = {}
        self._trackers: dict[str, LevelTracker] = {}
        self._names_known: dict[tuple[str, str, str], _Names] = {}
        self.registry.set(m.BUILD, (self._version,), 1.0)
        self.registry.create(m.TASKS, *product(m.TASKS, **{"class": _TASK_CLASSES}))
        for metric in (m.TASK_SECONDS, m.FANOUT, m.FANOUT_LIVE):
            self.registry.create(metric, ())

    def _names(self, key: tuple[str, str, str]) -> _Names:
        """Meet a provider, pool and model that are not known yet."""
        provider, pool, model = key
        labels = (self._provider(provider), self._pool(pool), self._model(model))
        tracker = self._welcome(*labels)
        with self.registry.lock:
            names = _Names(self.registry, tracker, labels)
        if len(self._names_known) < 1000:
            self._names_known[key] = names
        return names

    def _welcome(self, provider: str, name: str, model: str) -> LevelTracker:
        """Make a new pool's series stand at 0, and follow its level."""
        pool = (name,)
        tracker = self._trackers.setdefault(name, LevelTracker(self._created_ns))
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
        return tracker

    def _rise(self, attempt: Attempt) -> None:
        key = (attempt.provider, attempt.pool, attempt.model)
        names = self._names_known.get(key) or self._names(key)
        self._live[id(attempt)] = (attempt, names)
        names.tracker.start(attempt.started_ns)
        if self.on_transition is not None:
            self.on_transition(names.pool, attempt.started_ns, 1)
        if attempt.number > 1:
            self.registry.inc(m.RETRIES, (names.pool, attempt.retry_owner or "sdk"))

    def _fall(self, attempt: Attempt) -> None:
        """An attempt that this process never saw start is ignored, and so is a second end."""
        known = self._live.pop(id(attempt), None)
        if known is None or attempt.ended_ns is None:
            return
        names = known[1]
        names.tracker.end(attempt.ended_ns)
        if self.on_transition is not None:
            self.on_transition(names.pool, attempt.ended_ns, -1)
        self._count_outcome(attempt, names, attempt.ended_ns)
        if not names.answered:
            self._backlog.afterwards(names.show_quota)
        names.answered.append(attempt)
        if self.on_answer is not None:
            self.on_answer(attempt, names.tracker.level)

    def _count_outcome(self, attempt: Attempt, names: _Names, ended_ns: int) -> None:
        outcome = class_of(attempt.verdict)
        registry, seconds = self.registry, (ended_ns - attempt.started_ns) / _SECOND_NS
        first_ns, first = attempt.first_byte_ns, None
        if first_ns is not None and attempt.verdict is None:
            first = (first_ns - attempt.started_ns) / _SECOND_NS
        bucket = bisect_left(m.ATTEMPT_SECONDS.buckets, seconds)
        with registry.lock:
            counter, durations = names.outcome(outcome)
            counter.value += 1
            durations.add(bucket, seconds)
            if attempt.span is not None:
                _exemplify(durations, bucket, attempt, seconds, ended_ns / _SECOND_NS)
            if first is not None:
                names.first_byte.add(bisect_left(m.FIRST_BYTE.buckets, first), first)
            if attempt.usage is not None:
                _count_usage(names, attempt.usage)
        if registry.mirror is not None:
            span = attempt.span.get_span_context() if attempt.span is not None else None
            registry.mirror(m.ATTEMPT_SECONDS, (names.pool, outcome), seconds, span)
            if first is not None:
                registry.mirror(m.FIRST_BYTE, (names.pool,), first, span)

    def _count_operation(self, operation: Operation) -> None:
        key = (operation.provider, operation.pool, operation.model)
        names = self._names_known.get(key) or self._names(key)
        registry, kind = self.registry, operation.operation
        ended_ns = operation.ended_ns if operation.ended_ns is not None else operation.started_ns
        seconds = (ended_ns - operation.started_ns) / _SECOND_NS
        with registry.lock:
            counter, durations = names.operation(kind, class_of(operation.verdict))
            counter.value += 1
            durations.add(bisect_left(m.OPERATION_SECONDS.buckets, seconds), seconds)
            if operation.verdict is None:
                names.answers(operation.trust or PRIMARY).value += 1
        if registry.mirror is not None:
            labels = (kind, names.provider, names.model)
            registry.mirror(m.OPERATION_SECONDS, labels, seconds, operation.span)

    def _write_levels(self) -> None:
        now_ns = self._clock_ns()
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


def _told_ns(attempt: Attempt) -> int:
    return attempt.first_byte_ns or attempt.ended_ns or attempt.started_ns


def _count_usage(names: _Names, usage: Usage) -> None:
    read, written, cache_read, cache_write = names.tokens
    read.value += usage.input or 0
    written.value += usage.output or 0
    cache_read.value += usage.cache_read or 0
    cache_write.value += usage.cache_write or 0
    if usage.cache_read is not None:
        names.cache[usage.cache_read > 0].value += 1


def _lineage(task: Task | None) -> Iterator[Task]:
    while task is not None:
        yield task
        task = task.parent


def _as_histogram(levels: LevelHistogram) -> Histogram:
    return Histogram([*(upto for _, upto in levels.buckets), levels.total], levels.weighted_sum, running=True)


def _exemplify(durations: Histogram, bucket: int, attempt: Attempt, value: float, at: float) -> None:
    """Give a bucket the trace of a sampled attempt, unless it has a fresh one."""
    standing = durations.exemplars.get(bucket)
    if attempt.span is None or (standing is not None and at - standing.at_seconds < _EXEMPLAR_SECONDS):
        return
    context = attempt.span.get_span_context()
    if context.is_valid and context.trace_flags.sampled:
        durations.exemplars[bucket] = Exemplar(format(context.trace_id, "032x"), value, at)
