"""Evidence from finished spans of any dialect, for looking back.

OpenTelemetry GenAI and HTTP, OpenInference, OpenLLMetry, Vercel AI SDK, Logfire, MCP, gRPC. Names
are spelled out here because classifiers know nothing of telemetry.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from penstock.classifiers._envelope import decode, read
from penstock.classifiers.evidence import Evidence, SpanKind

_KIND_KEYS: Final = (
    "penstock.span.kind", "gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind",
    "llm.request.type", "ai.operationId", "langfuse.observation.type", "mcp.method.name",
)  # fmt: skip
_KINDS: Final = {
    "tool": SpanKind.TOOL, "execute_tool": SpanKind.TOOL, "ai.toolcall": SpanKind.TOOL,
    "tools/call": SpanKind.TOOL, "retriever": SpanKind.TOOL, "function": SpanKind.TOOL,
    "agent": SpanKind.AGENT, "invoke_agent": SpanKind.AGENT, "create_agent": SpanKind.AGENT,
    "chain": SpanKind.AGENT, "workflow": SpanKind.AGENT, "task": SpanKind.AGENT, "span": SpanKind.UNKNOWN,
    "llm": SpanKind.LLM, "operation": SpanKind.LLM, "attempt": SpanKind.LLM, "chat": SpanKind.LLM,
    "text_completion": SpanKind.LLM, "completion": SpanKind.LLM, "generate_content": SpanKind.LLM,
    "embeddings": SpanKind.LLM, "embedding": SpanKind.LLM, "generation": SpanKind.LLM,
    "reranker": SpanKind.LLM, "rerank": SpanKind.LLM,
}  # fmt: skip
_PROVIDER_KEYS: Final = (
    "penstock.provider", "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system",
    "ai.model.provider",
)  # fmt: skip
_STATUS_KEYS: Final = (
    "http.response.status_code", "http.status_code", "gen_ai.response.status_code", "status_code",
)  # fmt: skip
_MESSAGE_KEYS: Final = (
    "error.message",
    "exception.message",
    "otel.status_description",
    "langfuse.status_message",
)
_FINISH_KEYS: Final = (
    "gen_ai.response.finish_reasons", "llm.response.finish_reason", "ai.response.finishReason",
    "gen_ai.response.finish_reason", "gen_ai.completion.0.finish_reason",
)  # fmt: skip
_CODE_KEYS: Final = (
    "rpc.jsonrpc.error_code", "jsonrpc.error.code", "error.code", "rpc.response.status_code",
)  # fmt: skip
SPAN_KEYS: Final = (
    *_KIND_KEYS, *_PROVIDER_KEYS, *_STATUS_KEYS, *_MESSAGE_KEYS, *_FINISH_KEYS, *_CODE_KEYS, "error.type",
    "rpc.grpc.status_code", "gen_ai.tool.name", "gen_ai.request.model", "llm.model_name",
    "gen_ai.response.time_to_first_chunk",
)  # fmt: skip
"""Every attribute that is looked at."""
_GRPC: Final = {
    1: "CANCELLED", 4: "DEADLINE_EXCEEDED", 7: "PERMISSION_DENIED", 8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION", 13: "INTERNAL", 14: "UNAVAILABLE", 16: "UNAUTHENTICATED",
}  # fmt: skip


def evidence_of_span(
    attributes: Mapping[str, object],
    status: object = None,
    events: Iterable[Mapping[str, object]] = (),
    *,
    name: str = "",
) -> Evidence:
    """Read a finished span. `status` is its description, or a mapping with `message`/`description`.

    `events` are mappings with `name` and `attributes`. Never raises on odd values.
    """
    exceptions = [_attributes(event) for event in events if event.get("name") == "exception"]
    last = exceptions[-1] if exceptions else {}
    texts = [_description(status), _text(last.get("exception.message"))]
    texts += [_text(attributes.get(key)) for key in _MESSAGE_KEYS]
    message = "\n".join(dict.fromkeys(text for text in texts if text)) or None
    kind = kind_of_span(attributes, name)
    error_type = _text(attributes.get("error.type"))
    body = decode(message) if message else None
    envelope = read(body) if not isinstance(body, str) else None
    number = error_type if error_type and error_type.isdigit() else None
    return Evidence(
        provider=next((text for key in _PROVIDER_KEYS if (text := _text(attributes.get(key)))), None),
        span_kind=kind,
        status=_status(attributes, number) or (envelope.status if envelope else None),
        code=_code(attributes) or (envelope.codes[0] if envelope and envelope.codes else None),
        message=message,
        body=None if isinstance(body, str) else body,
        exception_types=_names(_text(last.get("exception.type")), None if number else error_type),
        finish_reason=_finish(attributes),
        stream_started=attributes.get("gen_ai.response.time_to_first_chunk") is not None,
    )


def kind_of_span(attributes: Mapping[str, object], name: str = "") -> SpanKind:
    """Tell which kind of work a span of any dialect stands for."""
    for key in _KIND_KEYS:
        value = _text(attributes.get(key)).lower()
        if value in _KINDS and _KINDS[value] is not SpanKind.UNKNOWN:
            return _KINDS[value]
        if value.startswith("ai.") and value.endswith((".dogenerate", ".dostream", ".doembed")):
            return SpanKind.LLM
    if "gen_ai.tool.name" in attributes or name.startswith(("execute_tool", "tools/call", "running tool")):
        return SpanKind.TOOL
    if "gen_ai.request.model" in attributes or "llm.model_name" in attributes:
        return SpanKind.LLM
    return SpanKind.UNKNOWN


def _attributes(event: Mapping[str, object]) -> Mapping[str, object]:
    found = event.get("attributes")
    return found if isinstance(found, Mapping) else {}


def _description(status: object) -> str:
    if isinstance(status, Mapping):
        status = status.get("message") or status.get("description")
    return _text(status)


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _status(attributes: Mapping[str, object], error_type: str | None) -> int | None:
    for value in (*(attributes.get(key) for key in _STATUS_KEYS), error_type):
        text = _text(value)
        if len(text) == 3 and text.isascii() and text.isdigit():
            return int(text)
    return None


def _code(attributes: Mapping[str, object]) -> str | None:
    for key in _CODE_KEYS:
        if text := _text(attributes.get(key)):
            return text
    grpc = attributes.get("rpc.grpc.status_code")
    return _GRPC.get(grpc) if isinstance(grpc, int) else None


def _names(*types: str | None) -> tuple[str, ...]:
    """Keep the class names of dotted types; `_OTHER` says nothing."""
    names = (text.rpartition(".")[2] for text in types if text and text != "_OTHER")
    return tuple(dict.fromkeys(names))


def _finish(attributes: Mapping[str, object]) -> str | None:
    for key in _FINISH_KEYS:
        value = attributes.get(key)
        if isinstance(value, list | tuple) and value:
            value = value[-1]
        if isinstance(value, str) and value:
            return value.strip('[]"')
    return None
