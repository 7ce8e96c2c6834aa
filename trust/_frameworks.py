"""Tools that a framework runs, guarded by name without code change.

LangChain/LangGraph, OpenAI Agents, pydantic-ai, MCP.

Each is caught where the app's own function is called, below the framework's turning of exceptions into
text for the model: a failed payment must not be put on record as a result that reads like one.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any, Final

import wrapt

from penstock.telemetry import guard
from penstock.trust._irreversible import run_tool, run_tool_async, tool_rule
from penstock.trust._ledger import Codec

_INJECTED: Final = ("config", "run_manager")
_GATED: Final = "__penstock_gated__"
_hooked: Final[set[str]] = set()


def hook_frameworks() -> None:
    """Hook what is imported and what will be. Hooks stay; without a rule for a tool's name they pass."""
    for module, patch in _PATCHES.items():
        if module not in _hooked:
            _hooked.add(module)
            wrapt.register_post_import_hook(functools.partial(_apply, patch), module)


def _apply(patch: Callable[[ModuleType], None], module: ModuleType) -> None:
    try:
        patch(module)
    except guard.OURS as error:
        guard.failed(f"trust.{module.__name__}", error)


def _langchain_function_tool(class_name: str, module: ModuleType) -> None:
    owner = getattr(module, class_name)
    owner._run = wrapt.FunctionWrapper(owner.__dict__["_run"], _langchain_run)
    owner._arun = wrapt.FunctionWrapper(owner.__dict__["_arun"], _langchain_arun)


def _langchain_run(wrapped: Any, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    policy = tool_rule(tool.name)
    if policy is None:
        return wrapped(*args, **kwargs)
    return run_tool(policy, lambda: wrapped(*args, **kwargs), _named(tool, args, kwargs))


async def _langchain_arun(wrapped: Any, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    policy = tool_rule(tool.name)
    if policy is None or tool.coroutine is None:  # without a coroutine it calls `_run`, which is guarded
        return await wrapped(*args, **kwargs)
    return await run_tool_async(policy, lambda: wrapped(*args, **kwargs), _named(tool, args, kwargs))


def _named(tool: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: value for name, value in kwargs.items() if name not in _INJECTED}
    return {**dict(zip(tool.args, args, strict=False)), **named}


def _langchain_base(module: ModuleType) -> None:
    """Cover classes with a `_run` of their own: they are caught a level higher, at `run`."""
    base = module.BaseTool
    base.run = wrapt.FunctionWrapper(base.__dict__["run"], _langchain_whole)
    base.arun = wrapt.FunctionWrapper(base.__dict__["arun"], _langchain_whole_async)


def _langchain_whole(wrapped: Any, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    policy = tool_rule(tool.name)
    if policy is None or _is_function_tool(tool):
        return wrapped(*args, **kwargs)
    return run_tool(policy, lambda: wrapped(*args, **kwargs), _tool_input(args, kwargs))


async def _langchain_whole_async(
    wrapped: Any, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    policy = tool_rule(tool.name)
    if policy is None or _is_function_tool(tool):
        return await wrapped(*args, **kwargs)
    return await run_tool_async(policy, lambda: wrapped(*args, **kwargs), _tool_input(args, kwargs))


def _is_function_tool(tool: Any) -> bool:
    return hasattr(tool, "func") and hasattr(tool, "coroutine")


def _tool_input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    given = args[0] if args else kwargs.get("tool_input")
    return dict(given) if isinstance(given, Mapping) else {"tool_input": given}


def _agents(module: ModuleType) -> None:
    owner = module.FunctionTool
    owner.__post_init__ = wrapt.FunctionWrapper(owner.__dict__["__post_init__"], _agents_made)


def _agents_made(wrapped: Any, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    wrapped(*args, **kwargs)
    try:
        # The SDK's own invoker catches the function's exceptions; what it invokes does not.
        invoker = tool.on_invoke_tool
        inner = getattr(invoker, "_invoke_tool_impl", None)
        if inner is None:
            tool.on_invoke_tool = _agents_gate(tool, invoker)
        else:
            invoker._invoke_tool_impl = _agents_gate(tool, inner)
    except guard.OURS as error:
        guard.failed("trust.agents.tool", error)


def _agents_gate(tool: Any, invoke: Callable[..., Any]) -> Callable[..., Any]:
    if getattr(invoke, _GATED, False):  # a copied tool
        return invoke

    @functools.wraps(invoke)
    async def gated(context: Any, given: str) -> Any:
        policy = tool_rule(tool.name)
        if policy is None:
            return await invoke(context, given)
        arguments = json.loads(given) if given else {}
        return await run_tool_async(policy, lambda: invoke(context, given), arguments)

    setattr(gated, _GATED, True)
    return gated


def _pydantic_ai(module: ModuleType) -> None:
    owner = module.FunctionToolset
    owner.call_tool = wrapt.FunctionWrapper(owner.__dict__["call_tool"], _pydantic_ai_call)


async def _pydantic_ai_call(wrapped: Any, toolset: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name, arguments = _name_and_arguments(*args, **kwargs)
    policy = tool_rule(name)
    if policy is None:
        return await wrapped(*args, **kwargs)
    return await run_tool_async(policy, lambda: wrapped(*args, **kwargs), arguments)


def _name_and_arguments(
    name: str, tool_args: Mapping[str, Any], *_: Any, **__: Any
) -> tuple[str, dict[str, Any]]:
    return name, dict(tool_args)


class _ToolFailed(Exception):  # noqa: N818 - never leaves this module
    """An MCP result that says the tool failed: whether it took effect is not known, so it is no record."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


def _mcp(module: ModuleType) -> None:
    owner = module.ClientSession
    owner.call_tool = wrapt.FunctionWrapper(owner.__dict__["call_tool"], _mcp_call)


async def _mcp_call(wrapped: Any, session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = args[0] if args else kwargs.get("name")
    policy = tool_rule(str(name))
    if policy is None:
        return await wrapped(*args, **kwargs)
    given = args[1] if len(args) > 1 else kwargs.get("arguments")

    async def call() -> Any:
        result = await wrapped(*args, **kwargs)
        if getattr(result, "is_error", getattr(result, "isError", False)):
            raise _ToolFailed(result)
        return result

    try:
        return await run_tool_async(replace(policy, codec=_MCP_CODEC), call, dict(given or {}))
    except _ToolFailed as failed:
        return failed.result


def _encode_mcp(result: Any) -> bytes:
    encoded: str = result.model_dump_json(by_alias=True)
    return encoded.encode()


def _decode_mcp(raw: bytes) -> object:
    from mcp.types import CallToolResult

    return CallToolResult.model_validate_json(raw)


_MCP_CODEC: Final = Codec(encode=_encode_mcp, decode=_decode_mcp)

_PATCHES: Final[dict[str, Callable[[ModuleType], None]]] = {
    "langchain_core.tools.base": _langchain_base,
    "langchain_core.tools.simple": functools.partial(_langchain_function_tool, "Tool"),
    "langchain_core.tools.structured": functools.partial(_langchain_function_tool, "StructuredTool"),
    "agents.tool": _agents,
    "pydantic_ai.toolsets.function": _pydantic_ai,
    "mcp.client.session": _mcp,
}
