"""Every module that we hook, and how."""

from collections.abc import Callable
from types import ModuleType
from typing import Final

from penstock.telemetry.hooks import httpx_stack, otel_spans, stainless

STACKS: Final[dict[str, Callable[[ModuleType], None]]] = {
    "httpx": httpx_stack.patch,
    "httpx2": httpx_stack.patch,
    "opentelemetry.sdk.trace": otel_spans.patch,
    **dict.fromkeys(stainless.MODULES, stainless.patch),
}
