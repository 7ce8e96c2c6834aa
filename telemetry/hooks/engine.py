"""What all hooks share: who is told, who decides, how things are named."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Final

from penstock.providers import REGISTRY, Registry
from penstock.telemetry import guard
from penstock.telemetry.hooks.live import LiveAttempt
from penstock.telemetry.hooks.outgoing import UNREAD, Outgoing
from penstock.telemetry.interceptor import Call, Interceptor
from penstock.telemetry.operations import OperationScope
from penstock.telemetry.pools import PoolNamer
from penstock.telemetry.prompt_marks import PromptMarks
from penstock.telemetry.records import Attempt, AttemptSink, Operation, Task, WorkSink
from penstock.telemetry.spans import BurstSource, SpanWriter, TracerSource

MAX_AGE_SECONDS: Final = 3600.0
"""A body that moved no byte for this long was lost: its attempt ends as `collected`."""
_REAP_EVERY_SECONDS: Final = 60.0


class Engine:
    """Opens operations and attempts, and knows every attempt that is live.

    With `interceptor` None it only senses. All attributes may be changed while hooks are installed.
    """

    def __init__(
        self,
        *,
        interceptor: Interceptor | None = None,
        attempt_sinks: Sequence[AttemptSink] = (),
        work_sinks: Sequence[WorkSink] = (),
        tracer_source: TracerSource = lambda: None,
        burst_source: BurstSource = lambda pool: None,
        task_source: Callable[[], Task | None] = lambda: None,
        pools: PoolNamer | None = None,
        registry: Registry = REGISTRY,
        salt: bytes | None = None,
        max_age_seconds: float = MAX_AGE_SECONDS,
    ) -> None:
        self.interceptor = interceptor
        self.attempt_sinks = tuple(attempt_sinks)
        self.work_sinks = tuple(work_sinks)
        self.task_source = task_source
        self.pools = pools or PoolNamer()
        self.registry = registry
        self.writer = SpanWriter(tracer_source, burst_source)
        self.max_age_seconds = max_age_seconds
        self._marks = PromptMarks(salt if salt is not None else os.urandom(16))
        self._live: dict[int, LiveAttempt] = {}
        self._lock = threading.Lock()
        self._reap_due_ns = 0

    @property
    def live(self) -> int:
        """Attempts in flight now."""
        return len(self._live)

    def scope(self) -> OperationScope:
        """Make the scope of one logical request."""
        return OperationScope(self.writer, self.work_sinks)

    def open(self, out: Outgoing, scope: OperationScope) -> Operation:
        """Open the operation of a send, the first of its scope."""
        provider, facts = out.provider.name, out.facts
        return scope.open(
            Operation(
                provider,
                out.endpoint.operation,
                facts.model,
                self.pools.name_of(provider, facts.model, out.host, out.port, out.credential),
                scope.started_ns,
                facts.stream,
                self.task_source(),
                facts.max_output_tokens,
            )
        )

    def call(self, out: Outgoing, operation: Operation) -> Call:
        """Describe a send to the interceptor."""
        task, once = operation.task, out.facts is UNREAD
        return Call(
            provider=out.provider.name,
            host=out.host,
            pool=operation.pool,
            model=out.facts.model,
            operation=out.endpoint.operation,
            wire=out.endpoint.wire,
            input_tokens=out.facts.input_tokens,
            max_output_tokens=out.facts.max_output_tokens,
            stream=out.facts.stream,
            timeout_seconds=out.timeout_seconds,
            task_id=task.id if task else None,
            task_started=task.started_monotonic if task else None,
            priority=task.priority if task else "normal",
            tenant=task.tenant if task else "default",
            deadline=task.deadline if task else None,
            idempotency_key=out.idempotency_key,
            body=out.body,
            credential=out.credential,
            primary_only=once,
            once=once,
        )

    def start(self, out: Outgoing, scope: OperationScope, attempt: Attempt) -> LiveAttempt:
        """Put an attempt in the air, and tell that it is live."""
        if out.facts.head is not None:
            attempt.prefix = self._marks.mark(out.facts.head, out.credential)
        live = LiveAttempt(self, scope, attempt, out.provider, out.endpoint)
        self._live[id(live)] = live
        scope.attempt_started(attempt)
        for sink in self.attempt_sinks:
            try:
                sink.attempt_started(attempt)
            except guard.OURS as error:
                guard.failed("sink.attempt_started", error)
        if scope.span is not None:
            live.context = self.writer.attempt_started(attempt, scope.span)
        if attempt.started_ns >= self._reap_due_ns:
            self._reap(attempt.started_ns)
        return live

    def landed(self, live: LiveAttempt) -> None:
        """Forget an attempt that has ended."""
        self._live.pop(id(live), None)

    def forget(self) -> None:
        """Drop every live attempt without a word: in a forked child they are the parent's."""
        self._lock = threading.Lock()
        for live in list(self._live.values()):
            live.disown()
        self._live.clear()

    def _reap(self, now_ns: int) -> None:
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._reap_due_ns = now_ns + int(min(_REAP_EVERY_SECONDS, self.max_age_seconds) * 1e9)
            oldest_ns = now_ns - int(self.max_age_seconds * 1e9)
            for live in list(self._live.values()):
                if live.moved_ns < oldest_ns:
                    live.collected()
        except guard.OURS as error:
            guard.failed("engine.reap", error)
        finally:
            self._lock.release()
