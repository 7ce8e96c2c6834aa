"""Tools that frameworks run: LangChain and LangGraph, OpenAI Agents, pydantic-ai, LlamaIndex, MCP clients.

Each is caught where the tool's own exception can still be seen, or where its answer says that it failed:
frameworks turn a failure into text for the model, and the run goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from penstock.classifiers import Evidence, SpanKind, Verdict, classify, evidence_of_mcp_result
from penstock.telemetry import guard
from penstock.telemetry.hooks.patching import active, wrap
from penstock.telemetry.tools import ToolScope, innermost_tool

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """Where a framework calls tools. `owner` is a class, or empty for a function of the module.

    `name` finds the tool's name in the instance, the positional and the named arguments.
    """

    framework: str
    owner: str
    method: str
    asynchronous: bool
    name: Callable[[Any, tuple[Any, ...], Arguments], object]


def _first(_: Any, args: tuple[Any, ...], kwargs: Arguments) -> object:
    return args[0] if args else kwargs.get("name")


def _langchain(method: str, asynchronous: bool) -> ToolCalls:
    return ToolCalls("langchain", "BaseTool", method, asynchronous, lambda tool, args, kwargs: tool.name)


def _llama_index(method: str, asynchronous: bool) -> ToolCalls:
    return ToolCalls(
        "llama_index", "FunctionTool", method, asynchronous, lambda tool, args, kwargs: tool.metadata.name
    )


_AGENTS: Final = ToolCalls(
    "agents", "", "_invoke_function_tool_with_metadata", True,
    lambda _, args, kwargs: kwargs["function_tool"].name,
)  # fmt: skip
CALLS: Final[dict[str, tuple[ToolCalls, ...]]] = {
    "agents.run_internal.tool_execution": (_AGENTS,),
    "agents.tool": (),
    "langchain_core.tools.base": (_langchain("run", False), _langchain("arun", True)),
    "llama_index.core.tools.function_tool": (_llama_index("call", False), _llama_index("acall", True)),
    "mcp.client.session": (ToolCalls("mcp", "ClientSession", "call_tool", True, _first),),
    "pydantic_ai.toolsets.function": (
        ToolCalls("pydantic_ai", "FunctionToolset", "call_tool", True, _first),
    ),
}
_HANDLES_FAILURE: Final = "maybe_invoke_function_tool_failure_error_function"
"""Where OpenAI Agents makes text for the model out of what a tool raised."""


def patch(name: str) -> Callable[[ModuleType], None]:
    """Make the patch of one module."""

    def apply(module: ModuleType) -> None:
        for calls in CALLS[name]:
            owner = getattr(module, calls.owner, None) if calls.owner else module
            if owner is not None:
                wrap(owner, calls.method, _run_async(calls) if calls.asynchronous else _run(calls))
        if name.startswith("agents."):
            wrap(module, _HANDLES_FAILURE, _handled)

    return apply


def _run(calls: ToolCalls) -> Callable[..., Any]:
    def run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scope = guard.quietly("tools.scope", _scope, calls, instance, args, kwargs)
        if scope is None:
            return wrapped(*args, **kwargs)
        with scope:
            result = wrapped(*args, **kwargs)
            guard.quietly("tools.result", _read, scope, result)
            return result

    return run


def _run_async(calls: ToolCalls) -> Callable[..., Any]:
    async def run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scope = guard.quietly("tools.scope", _scope, calls, instance, args, kwargs)
        if scope is None:
            return await wrapped(*args, **kwargs)
        with scope:
            result = await wrapped(*args, **kwargs)
            guard.quietly("tools.result", _read, scope, result)
            return result

    return run


def _scope(calls: ToolCalls, instance: Any, args: tuple[Any, ...], kwargs: Arguments) -> ToolScope | None:
    if active() is None:
        return None
    return ToolScope(str(calls.name(instance, args, kwargs)), seen_by=calls.framework)


async def _handled(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    scope, error = innermost_tool(), kwargs.get("error")
    if scope is not None and isinstance(error, BaseException) and active() is not None:
        guard.quietly("tools.handled", scope.failed, error)
    return await wrapped(*args, **kwargs)


def _read(scope: ToolScope, result: Any) -> None:
    """Take a failure out of an answer: MCP's `isError`, LangChain's `status`, LlamaIndex's `is_error`."""
    raised = getattr(result, "exception", None)
    if isinstance(raised, BaseException):
        scope.failed(raised)
    elif _flag(result, "isError") or _flag(result, "is_error"):
        scope.said(classify(evidence_of_mcp_result(result)))
    elif getattr(result, "status", None) == "error":
        scope.said(_verdict(result))


def _flag(result: Any, name: str) -> bool:
    return getattr(result, name, None) is True


def _verdict(message: Any) -> Verdict:
    return classify(Evidence(span_kind=SpanKind.TOOL, message=str(getattr(message, "content", ""))[:2000]))
