"""The OpenTelemetry SDK's spans: remember parents at start, stamp adopted spans before their end.

A processor cannot do it: the SDK freezes a span before `_on_ending` (opentelemetry-python #5614).
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from opentelemetry.trace import SpanKind

from penstock.telemetry import guard
from penstock.telemetry.adoption import span_ending, span_started
from penstock.telemetry.hooks.patching import active, replace
from penstock.telemetry.tracing import SCOPE


def patch(module: ModuleType) -> None:
    """Replace `Span.start` and `Span.end` by plain functions: every span of the app passes here."""
    replace(module.Span, "start", _start)
    replace(module.Span, "end", _end)


def _start(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def start(span: Any, start_time: int | None = None, parent_context: Any = None) -> None:
        if not _of_a_call(span) and active() is not None:
            try:
                span_started(span, parent_context)
            except guard.OURS as error:
                guard.failed("otel.start", error)
        original(span, start_time, parent_context)

    return start


def _end(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def end(span: Any, end_time: int | None = None) -> None:
        if not _of_a_call(span) and active() is not None:
            try:
                span_ending(span)
            except guard.OURS as error:
                guard.failed("otel.end", error)
        original(span, end_time)

    return end


def _of_a_call(span: Any) -> bool:
    """Tell our own spans of operations and attempts: nobody looks for an LLM span below them, or in them."""
    scope = getattr(span, "_instrumentation_scope", None)
    known = _scopes.get(id(scope))
    if known is None:
        if len(_scopes) >= _SCOPES:
            _scopes.clear()
        known = _scopes[id(scope)] = (scope, scope is not None and scope.name == SCOPE)
    return known[1] and span.kind is SpanKind.CLIENT


_SCOPES: Final = 256
_scopes: Final[dict[int, tuple[Any, bool]]] = {}
"""Each tracer's scope, by its id, and whether it is ours: every span of the app asks, and most have few."""
