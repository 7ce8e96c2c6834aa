"""The root span of a trace as its task, where nobody named one.

A local root is a span without a parent, or with one in another process. A root that is itself one
model call is no task.
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
class _Root:
    span: Span
    task: Task | None = None


class TraceRoots(SpanProcessor):
    """Keep one implicit task per live trace, and report it when its root span ends.

    Also a `WorkSink`: the root span is told its figures while it can still be written.
    """

    def __init__(self, task_ended: Callable[[Task], None]) -> None:
        self._task_ended = task_ended
        self.after_fork()

    def task(self) -> Task | None:
        """Find the task of the current trace; None outside any trace."""
        if not self._roots:
            return None
        root = self._roots.get(trace.get_current_span().get_span_context().trace_id)
        if root is None:
            return None
        if root.task is None:
            root.task = _record(root.span)
        return root.task

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note a root."""
        parent = span.parent
        if parent is not None and not parent.is_remote:
            return
        if (span.attributes or {}).get(names.SPAN_KIND) in _OURS:
            return
        with self._lock:
            self._roots[span.get_span_context().trace_id] = _Root(span)
            if len(self._roots) > _LIMIT:
                self._roots.popitem(last=False)

    def on_end(self, span: ReadableSpan) -> None:
        """Report the task of a root that ends."""
        parent = span.parent
        if parent is not None and not parent.is_remote:
            return
        context = span.context
        if context is None or context.trace_id not in self._roots:
            return
        with self._lock:
            root = self._roots.get(context.trace_id)
            if root is None or root.span.get_span_context().span_id != context.span_id:
                return
            del self._roots[context.trace_id]
        if root.task is not None and root.task.operations:
            root.task.ended_ns = span.end_time
            root.task.verdict = _verdict(span)
            self._task_ended(root.task)

    def operation_ended(self, operation: Operation) -> None:
        """Write a root's figures, as far as they go."""
        task = operation.task
        root = self._roots.get(int(task.id, 16)) if task is not None and task.root else None
        if task is not None and root is not None and root.span.is_recording():
            put(root.span, {names.TASK_ID: task.id, names.TASK_NAME: task.name, **tail(task)})

    def tool_ended(self, call: ToolCall) -> None:
        """Nothing: a tool changes no figure of its task."""

    def task_ended(self, task: Task) -> None:
        """Nothing: named tasks have spans of their own."""

    def after_fork(self) -> None:
        """Forget the parent's traces."""
        self._lock = threading.Lock()
        self._roots: OrderedDict[int, _Root] = OrderedDict()


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
