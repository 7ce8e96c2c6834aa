"""The OpenTelemetry SDK's spans: remember parents at start, stamp adopted spans before their end.

A processor cannot do it: the SDK freezes a span before `_on_ending` (opentelemetry-python #5614).
"""

from types import ModuleType
from typing import Any

from penstock.telemetry import guard
from penstock.telemetry.adoption import span_started, stamp
from penstock.telemetry.hooks.patching import active, wrap


def patch(module: ModuleType) -> None:
    """Wrap `Span.start` and `Span.end`."""
    wrap(module.Span, "start", _start)
    wrap(module.Span, "end", _end)


def _start(wrapped: Any, span: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if active() is not None:
        try:
            span_started(span, kwargs.get("parent_context") or (args[1] if len(args) > 1 else None))
        except guard.OURS as error:
            guard.failed("otel.start", error)
    return wrapped(*args, **kwargs)


def _end(wrapped: Any, span: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if active() is not None:
        try:
            stamp(span)
        except guard.OURS as error:
            guard.failed("otel.end", error)
    return wrapped(*args, **kwargs)
