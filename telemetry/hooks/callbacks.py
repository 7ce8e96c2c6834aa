"""LangChain's callbacks: instrumentors that listen to them keep a span for each model call, never current.

The callback may run in another thread, so its span is looked up by the run that it is kept for.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from opentelemetry.sdk.trace import Span as SdkSpan

from penstock.telemetry import guard
from penstock.telemetry.adoption import announce
from penstock.telemetry.hooks.patching import active, wrap

_STARTS: Final = ("on_chat_model_start", "on_llm_start")


def patch(module: ModuleType) -> None:
    """Look at every model call that LangChain announces."""
    for method in _STARTS:
        wrap(module.CallbackManager, method, _started)
        wrap(module.AsyncCallbackManager, method, _started_async)


def _started(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    managers = wrapped(*args, **kwargs)
    guard.quietly("callbacks.started", _announce, managers)
    return managers


async def _started_async(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    managers = await wrapped(*args, **kwargs)
    guard.quietly("callbacks.started", _announce, managers)
    return managers


def _announce(managers: Any) -> None:
    if active() is None:
        return
    for manager in reversed(managers):  # the first is sent first, so it is to be the newest
        kept = (_kept(handler, manager.run_id) for handler in manager.handlers)
        announce([span for span in kept if isinstance(span, SdkSpan)], manager.run_id)


def _kept(handler: Any, run_id: object) -> object:
    """Find a run's span: OpenInference gives it, OpenLLMetry keeps a map of holders."""
    if callable(getattr(handler, "get_span", None)):
        return handler.get_span(run_id)
    spans = getattr(handler, "spans", None)
    holder = spans.get(run_id) if isinstance(spans, Mapping) else None
    return getattr(holder, "span", None)
