"""The root span of a trace as its task, where nobody named one.

A local root is a span without a parent, or with one in another process. A trace that comes in twice at a
time, as a caller's fan-out does, has two of them and is one task, which ends with the last. A root that is
itself one model call is no task.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

from penstock.classifiers import Verdict, classify, evidence_of_span
from penstock.telemetry import guard
from penstock.telemetry import semconv as names
from penstock.telemetry.attributes import put
from penstock.telemetry.records import Operation, Task, ToolCall
from penstock.telemetry.tasks import tail

_LIMIT: Final = 4096
_OURS: Final = frozenset(
    {
        names.KIND_TASK,
        names.KIND_OPERATION,
        names.KIND_ATTEMPT,
        names.KIND_QUEUE,
        # A tool or a guard alone at the top of a trace is a part of some user action, not the whole.
        names.KIND_TOOL,
        names.KIND_GUARD,
    }
)


@dataclass(slots=True)
class _Trace:
    open: dict[int, Span]
    """Its local roots that have not ended, by span id, the oldest first."""
    task: Task | None = None
    verdict: Verdict | None = None

    @property
    def root(self) -> Span | None:
        return next(iter(list(self.open.values())), None)


class TraceRoots(SpanProcessor):
    """Keep one implicit task per live trace, and report it when its root span ends.

    Also a `WorkSink`: the root span is told its figures while it can still be written.
    """

    def __init__(self, task_ended: Callable[[Task], None]) -> None:
        self._task_ended = task_ended
        self.after_fork()

    def task(self) -> Task | None:
        """Find the task of the current trace; None outside any trace."""
        if not self._traces:
            return None
        found = self._traces.get(trace.get_current_span().get_span_context().trace_id)
        if found is None:
            return None
        if found.task is None:
            with self._lock:
                root = found.root
                if found.task is None and root is not None:
                    found.task = _record(root)
        return found.task

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note a root."""
        parent = span.parent
        if parent is not None and not parent.is_remote:
            return
        if (span.attributes or {}).get(names.SPAN_KIND) in _OURS:
            return
        context = span.get_span_context()
        with self._lock:
            self._traces.setdefault(context.trace_id, _Trace({})).open[context.span_id] = span
            if len(self._traces) > _LIMIT:
                self._traces.popitem(last=False)

    def on_end(self, span: ReadableSpan) -> None:
        """Report the task of a trace whose last root ends."""
        parent = span.parent
        if parent is not None and not parent.is_remote:
            return
        context = span.context
        if context is None or context.trace_id not in self._traces:
            return
        with self._lock:
            ended = self._traces.get(context.trace_id)
            if ended is None or ended.open.pop(context.span_id, None) is None:
                return
            last = not ended.open
            if last:
                del self._traces[context.trace_id]
        ended.verdict = ended.verdict or _verdict(span)
        if last and ended.task is not None and ended.task.operations:
            ended.task.ended_ns = span.end_time
            ended.task.verdict = ended.verdict
            self._task_ended(ended.task)

    def operation_ended(self, operation: Operation) -> None:
        """Write a task's figures on its oldest open root, as far as they go."""
        task = operation.task
        if task is None or not task.root:
            return
        found = self._traces.get(int(task.id, 16))
        root = found.root if found is not None else None
        if root is not None and root.is_recording():
            put(root, {names.TASK_ID: task.id, names.TASK_NAME: task.name, **tail(task)})

    def tool_ended(self, call: ToolCall) -> None:
        """Nothing: a tool changes no figure of its task."""

    def task_ended(self, task: Task) -> None:
        """Nothing: named tasks have spans of their own."""

    def after_fork(self) -> None:
        """Forget the parent's traces."""
        self._lock = threading.RLock()  # a span may end by the collector, in the middle of us
        self._traces: OrderedDict[int, _Trace] = OrderedDict()


def _record(span: Span) -> Task:
    started_ns = span.start_time or time.time_ns()
    age = max(0.0, (time.time_ns() - started_ns) / 1e9)
    return Task(
        id=format(span.get_span_context().trace_id, "032x"),
        name=span.name,
        started_ns=started_ns,
        started_monotonic=time.monotonic() - age,
        root=True,
    )


def _verdict(span: ReadableSpan) -> Verdict | None:
    if span.status.status_code is not StatusCode.ERROR:
        return None
    events = [{"name": event.name, "attributes": dict(event.attributes or {})} for event in span.events]
    try:
        return classify(evidence_of_span(dict(span.attributes or {}), span.status.description, events))
    except guard.OURS as error:
        guard.failed("roots.verdict", error)
        return None
