"""Who else writes a span of a model call: each as its users switch it on."""

import importlib
from collections.abc import Callable
from typing import Any, Final

Switch = Callable[[], object]

PENSTOCK: Final = "penstock"


def _instrumentor(module: str, name: str) -> Switch:
    return lambda: getattr(importlib.import_module(module), name)().instrument()


def _pydantic_ai() -> None:
    from pydantic_ai import Agent

    Agent.instrument_all()


def _litellm() -> None:
    import litellm

    litellm.callbacks = ["otel"]


def _openai_agents() -> None:
    """Turn its own tracing on, with a processor that keeps nothing instead of OpenAI's backend."""
    from agents.tracing import TracingProcessor, set_trace_processors, set_tracing_disabled

    kept: dict[str, Any] = {
        name: lambda *args, **kwargs: None for name in TracingProcessor.__abstractmethods__
    }
    set_tracing_disabled(False)
    set_trace_processors([type("Dropped", (TracingProcessor,), kept)()])


_OTEL: Final = "opentelemetry.instrumentation"
OTHERS: Final[dict[str, Switch]] = {
    "genai/openai": _instrumentor(f"{_OTEL}.genai.openai", "OpenAIInstrumentor"),
    "genai/anthropic": _instrumentor(f"{_OTEL}.genai.anthropic", "AnthropicInstrumentor"),
    "httpx": _instrumentor(f"{_OTEL}.httpx", "HTTPXClientInstrumentor"),
    "httpx2": _instrumentor(f"{_OTEL}.httpx", "HTTPX2ClientInstrumentor"),
    "litellm": _litellm,
    "openai-agents": _openai_agents,
    "openinference/anthropic": _instrumentor(
        "openinference.instrumentation.anthropic", "AnthropicInstrumentor"
    ),
    "openinference/langchain": _instrumentor(
        "openinference.instrumentation.langchain", "LangChainInstrumentor"
    ),
    "openinference/openai": _instrumentor("openinference.instrumentation.openai", "OpenAIInstrumentor"),
    "openllmetry/anthropic": _instrumentor(f"{_OTEL}.anthropic", "AnthropicInstrumentor"),
    "openllmetry/langchain": _instrumentor(f"{_OTEL}.langchain", "LangchainInstrumentor"),
    "openllmetry/openai": _instrumentor(f"{_OTEL}.openai", "OpenAIInstrumentor"),
    "pydantic-ai": _pydantic_ai,
}
