"""Google's bodies: generateContent and embedContent, JSON, SSE and JSON arrays, and google.rpc errors.

Sources: ai.google.dev/api/generate-content, /api/embeddings; cloud.google.com/apis/design/errors
(QuotaFailure, Help, RetryInfo); bodies as quoted in google-gemini/gemini-cli#8437 (violations),
googleapis/python-genai#2044 (RetryInfo), continuedev/continue#11693 ("Please retry in 38.962214405s."),
lobehub/lobehub#9728 (503). No quota headers are documented: ai.google.dev/gemini-api/docs/rate-limits.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson

from penstock.simulator._answers import (
    EVENT_STREAM,
    JSON,
    Answer,
    Asked,
    BadRequestError,
    listed,
    pieces,
    sse,
    table,
    whole,
)
from penstock.simulator._wire import Target, Wire
from penstock.simulator.facts import Refusal, Refused

_RPC: Final = "type.googleapis.com/google.rpc."
_DOCS: Final = "https://ai.google.dev/gemini-api/docs/rate-limits"
_HELP: Final = {
    "@type": f"{_RPC}Help",
    "links": [{"description": "Learn more about Gemini API quotas", "url": _DOCS}],
}
_EXCEEDED: Final = (
    "You exceeded your current quota, please check your plan and billing details. For more information on "
    f"this error, head to: {_DOCS}. To monitor your current usage, head to: https://ai.dev/rate-limit. "
)
_REQUESTS: Final = (
    "generate_content_paid_tier_requests",
    "GenerateRequestsPerMinutePerProjectPerModel-PaidTier",
)
_TOKENS: Final = (
    "generate_content_paid_tier_input_token_count",
    "GenerateContentPaidTierInputTokensPerModelPerMinute",
)
_A_DAY: Final = (
    "generate_content_free_tier_requests",
    "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
)
_FAILURES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "The model is not found for API version v1beta."),
    429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting"),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}  # fmt: skip


class GeminiWire(Wire):
    """What Google's methods share: errors, and the wait in the body alone."""

    tells_wait: ClassVar[bool] = True

    def refusal(self, refused: Refused, model: str, request_id: str) -> tuple[int, bytes]:
        status, error = _error(refused, model)
        return status, orjson.dumps({"error": error})

    def in_band_error(self, refused: Refused, model: str, request_id: str) -> bytes:
        return sse({"error": _error(refused, model)[1]})

    def bad_request(self, message: str) -> bytes:
        return orjson.dumps({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        return {"server": "scaffolding on HTTPServer2", "x-goog-request-id": request_id}


class GeminiContent(GeminiWire):
    """`POST …/models/{model}:generateContent`, and `…:streamGenerateContent`, by SSE or as one array."""

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        contents = body.get("contents")
        if not contents:
            raise BadRequestError("* GenerateContentRequest.contents: contents is not specified")
        stream = target.endpoint == "streamGenerateContent"
        tools = [call for tool in listed(body, "tools") for call in listed(tool, "functionDeclarations")]
        calling = table(table(body, "toolConfig"), "functionCallingConfig")
        mode, allowed = calling.get("mode"), calling.get("allowedFunctionNames") or ()
        return Asked(
            model=target.model,
            prompt=orjson.dumps([body.get("tools"), body.get("systemInstruction"), contents]),
            stream=stream,
            content_type=EVENT_STREAM if stream and "alt=sse" in target.query else JSON,
            max_tokens=whole(table(body, "generationConfig"), "maxOutputTokens"),
            tools=tuple((tool.get("name", "tool"), _schema(tool)) for tool in tools),
            must_call=next(iter((*allowed, tools[0].get("name"))), None) if mode == "ANY" and tools else None,
            may_call=mode != "NONE",
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
        return orjson.dumps(_chunk(answer, [_part(answer)], last=True))

    def events(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        parts = [_part(answer)] if answer.tool else [{"text": piece} for piece in pieces(answer.content)]
        chunks = [_chunk(answer, [part], last=part is parts[-1]) for part in parts]
        if asked.content_type == EVENT_STREAM:
            return [sse(chunk) for chunk in chunks]
        told = [orjson.dumps(chunk) for chunk in chunks]
        return [b"[" + told[0], *(b",\r\n" + chunk for chunk in told[1:]), b"]"]


class GeminiEmbeddings(GeminiWire):
    """`POST …/models/{model}:embedContent` and `…:batchEmbedContents`."""

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        given = body.get("requests") or body.get("content")
        if not given:
            raise BadRequestError("* EmbedContentRequest.content: contents is not specified")
        inputs = len(given) if isinstance(given, list) else 0
        return Asked(
            model=target.model,
            prompt=orjson.dumps(given),
            max_tokens=0,
            may_call=False,
            caching=False,
            inputs=inputs,
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
        vector = {"values": [0.0625] * 256}
        if asked.inputs:
            return orjson.dumps({"embeddings": [vector] * asked.inputs})
        return orjson.dumps({"embedding": vector})


def _schema(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a declaration's schema. proto3 takes both spellings of a name; Google's types are in capitals."""
    for name in ("parametersJsonSchema", "parameters_json_schema", "parameters"):
        if isinstance(tool.get(name), dict):
            return _lowered(tool[name])
    return {}


def _lowered(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _lowered(value) if isinstance(value, dict)
        else value.lower() if name == "type" and isinstance(value, str) else value
        for name, value in schema.items()
    }  # fmt: skip


def _part(answer: Answer) -> dict[str, Any]:
    if answer.tool:
        name, given = answer.tool
        return {"functionCall": {"name": name, "args": orjson.loads(given)}}
    return {"text": answer.content}


def _chunk(answer: Answer, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    usage = {"promptTokenCount": answer.input_tokens, "totalTokenCount": answer.input_tokens}
    if last:
        candidate["finishReason"] = "MAX_TOKENS" if answer.truncated else "STOP"
        usage["candidatesTokenCount"] = answer.output_tokens
        usage["totalTokenCount"] += answer.output_tokens
    if answer.cached_tokens:
        usage["cachedContentTokenCount"] = answer.cached_tokens
    told = {"candidates": [candidate], "usageMetadata": usage}
    return {**told, "modelVersion": answer.model, "responseId": answer.id}


def _error(refused: Refused, model: str) -> tuple[int, dict[str, Any]]:
    status, kind = refused.status, refused.kind
    if kind in (Refusal.OVERLOADED, Refusal.OUTAGE):
        status = 503 if kind is Refusal.OVERLOADED else status
        name, message = _FAILURES.get(status, _FAILURES[500])
        return status, {"code": status, "message": message, "status": name}
    if kind in (Refusal.CONCURRENCY, Refusal.SLOPE):
        name, message = _FAILURES[429]
        return status, {"code": status, "message": message, "status": name}
    metric, id = {Refusal.REQUESTS: _REQUESTS, Refusal.EXHAUSTED: _A_DAY}.get(kind, _TOKENS)
    metric = f"generativelanguage.googleapis.com/{metric}"
    message = (
        f"{_EXCEEDED}\n* Quota exceeded for metric: {metric}, limit: {refused.limit:.0f}, model: {model}"
    )
    violation = {
        "quotaMetric": metric,
        "quotaId": id,
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": f"{refused.limit:.0f}",
    }
    details: list[dict[str, Any]] = [{"@type": f"{_RPC}QuotaFailure", "violations": [violation]}, _HELP]
    if refused.retry_after and math.isfinite(refused.retry_after):
        message += f"\nPlease retry in {refused.retry_after:.9f}s."
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{math.ceil(refused.retry_after)}s"})
    error = {"code": status, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}
    return status, error
