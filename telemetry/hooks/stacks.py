"""Every module that we hook, and how."""

from collections.abc import Callable
from types import ModuleType
from typing import Final

from penstock.telemetry.hooks import (
    agent_runs,
    aiohttp_stack,
    botocore_stack,
    callbacks,
    httpx_stack,
    loops,
    otel_spans,
    requests_stack,
    tool_runs,
)

STACKS: Final[dict[str, Callable[[ModuleType], None]]] = {
    "aiohttp.client": aiohttp_stack.patch_client,
    "aiohttp.client_reqrep": aiohttp_stack.patch_response,
    "aiohttp.streams": aiohttp_stack.patch_streams,
    "botocore.httpsession": botocore_stack.patch,
    "httpx": httpx_stack.patch,
    "httpx2": httpx_stack.patch,
    "langchain_core.callbacks.manager": callbacks.patch,
    "opentelemetry.sdk.trace": otel_spans.patch,
    "requests.sessions": requests_stack.patch,
    **{name: loops.patch(name) for name in loops.LOOPS},
    **{name: tool_runs.patch(name) for name in tool_runs.CALLS},
    **{name: agent_runs.patch(name) for name in agent_runs.RUNS},
}
