"""Evidence from what came over the wire: responses, stream errors, finish reasons, MCP results."""

import time
from collections.abc import Mapping

from penstock.classifiers._envelope import decode, read
from penstock.classifiers.evidence import Evidence, SpanKind


def evidence_of_response(
    status: int | None,
    headers: Mapping[str, str] | None,
    body: object,
    *,
    provider: str | None = None,
    span_kind: SpanKind = SpanKind.UNKNOWN,
    now_unix: float | None = None,
) -> Evidence:
    """Read an HTTP response. `headers` have lower-case names; `body` is bytes, text or decoded JSON.

    A 200 with an error inside (OpenRouter, vLLM, Bedrock gateways) works the same way.
    """
    value = decode(body)
    envelope = read(value)
    return Evidence(
        provider=provider,
        span_kind=span_kind,
        status=status,
        code=envelope.codes[0] if envelope.codes else None,
        message=envelope.message or None,
        body=value,
        headers=headers or {},
        now_unix=time.time() if now_unix is None else now_unix,
        reading=envelope,
    )


def evidence_of_stream_error(
    envelope: object,
    *,
    provider: str | None = None,
    span_kind: SpanKind = SpanKind.UNKNOWN,
    headers: Mapping[str, str] | None = None,
) -> Evidence:
    """Read an error that came inside a stream, after its 200: an SSE `data` payload or its JSON."""
    value = decode(envelope)
    inner = read(value)
    return Evidence(
        provider=provider,
        span_kind=span_kind,
        status=inner.status,
        code=inner.codes[0] if inner.codes else None,
        message=inner.message or None,
        body=value,
        headers=headers or {},
        stream_started=True,
        now_unix=time.time(),
        reading=inner,
    )


def evidence_of_finish(
    finish_reason: str | None, *, provider: str | None = None, span_kind: SpanKind = SpanKind.LLM
) -> Evidence:
    """Read how an answer with status 200 ended: `length`, `content_filter`, `MALFORMED_FUNCTION_CALL` …"""
    return Evidence(provider=provider, span_kind=span_kind, status=200, finish_reason=finish_reason)


def evidence_of_mcp_result(result: object, *, server: str | None = None) -> Evidence:
    """Read an MCP `tools/call` answer: a result with `isError`, or a JSON-RPC error."""
    value = decode(_plain(result))
    inner = read(value)
    return Evidence(
        provider=server or "mcp",
        span_kind=SpanKind.TOOL,
        status=inner.status,
        code=inner.codes[0] if inner.codes else None,
        message=inner.message or None,
        body=value,
        reading=inner,
    )


def _plain(result: object) -> object:
    """Turn a pydantic result into plain values without importing pydantic."""
    dump = getattr(result, "model_dump", None)
    if not callable(dump):
        return result
    try:
        return dump()
    except Exception:  # noqa: BLE001 - a foreign object may do anything
        return None
