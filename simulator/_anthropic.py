"""Anthropic's bodies: messages, JSON and SSE, and what a refusal says.

Sources: docs.anthropic.com/en/api/messages, /messages-streaming, /errors, /rate-limits; error texts as
quoted in public issues ("This request would exceed your organization's rate limit of 30,000 input
tokens per minute").
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
)
from penstock.simulator._wire import Target, Wire
from penstock.simulator.facts import Refusal, Refused

_UNITS: Final = {
    Refusal.REQUESTS: "requests",
    Refusal.TOKENS: "tokens",
    Refusal.INPUT_TOKENS: "input tokens",
    Refusal.OUTPUT_TOKENS: "output tokens",
    Refusal.TOO_LARGE: "input tokens",
}
_FAILURES: Final = {
    400: ("invalid_request_error", "messages: Input should be a valid list"),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: not found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
    500: ("api_error", "Internal server error"),
    503: ("overloaded_error", "Overloaded"),
    529: ("overloaded_error", "Overloaded"),
}
_EXHAUSTED: Final = (
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or "
    "purchase credits."
)


class AnthropicMessages(Wire):
    """`POST …/messages`."""

    id_prefix: ClassVar[str] = "msg_"

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        messages, model, limit = body.get("messages"), body.get("model"), body.get("max_tokens")
        if not isinstance(model, str) or not model:
            raise BadRequestError("model: Field required")
        if not isinstance(messages, list) or not messages:
            raise BadRequestError("messages: Field required")
        if not isinstance(limit, int) or limit < 1:
            raise BadRequestError("max_tokens: Field required")
        tools, choice, stream = listed(body, "tools"), table(body, "tool_choice"), bool(body.get("stream"))
        forced = choice.get("name") if choice.get("type") == "tool" else None
        if choice.get("type") == "any" and tools:
            forced = tools[0].get("name")
        prompt = orjson.dumps([tools, body.get("system"), messages])
        return Asked(
            model=model,
            prompt=prompt,
            stream=stream,
            content_type=EVENT_STREAM if stream else JSON,
            max_tokens=limit,
            tools=tuple((tool.get("name", "tool"), table(tool, "input_schema")) for tool in tools),
            must_call=forced,
            may_call=choice.get("type") != "none",
            caching=b'"cache_control"' in prompt or "cache_control" in body,
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
        return orjson.dumps(message(answer))

    def events(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        return [sse(event, event["type"]) for event in events(answer)]

    def refusal(self, refused: Refused, model: str, request_id: str) -> tuple[int, bytes]:
        status, type, message = _refusal(refused, model)
        return status, _error(type, message, request_id)

    def in_band_error(self, refused: Refused, model: str, request_id: str) -> bytes:
        _, type, message = _refusal(refused, model)
        return b"event: error\ndata: " + _error(type, message, request_id) + b"\n\n"

    def bad_request(self, message: str) -> bytes:
        return _error("invalid_request_error", message, "req_simulated")

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        return {"request-id": request_id, "anthropic-organization-id": "simulated"}


def message(answer: Answer) -> dict[str, Any]:
    """Spell a message, which Bedrock's InvokeModel passes on too."""
    usage = _usage(answer, answer.output_tokens)
    return {**_head(answer), "content": [_block(answer)], "stop_reason": _stop(answer), "usage": usage}


def _error(type: str, message: str, request_id: str) -> bytes:
    error = {"type": type, "message": message}
    return orjson.dumps({"type": "error", "error": error, "request_id": request_id})


def _head(answer: Answer) -> dict[str, Any]:
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _stop(answer: Answer) -> str:
    return "tool_use" if answer.tool else "max_tokens" if answer.truncated else "end_turn"


def _usage(answer: Answer, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_tokens - answer.cached_tokens - answer.cache_written,
        "cache_creation_input_tokens": answer.cache_written,
        "cache_read_input_tokens": answer.cached_tokens,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _block(answer: Answer) -> dict[str, Any]:
    if answer.tool:
        name, given = answer.tool
        return {"type": "tool_use", "id": _tool_id(answer), "name": name, "input": orjson.loads(given)}
    return {"type": "text", "text": answer.content}


def _tool_id(answer: Answer) -> str:
    return f"toolu_{answer.id[-24:]}"


def events(answer: Answer) -> list[dict[str, Any]]:
    """Make the events of a streamed message, which Bedrock's InvokeModel passes on too."""
    start = {**_head(answer), "usage": _usage(answer, 1)}
    if answer.tool:
        name, given = answer.tool
        block: dict[str, Any] = {"type": "tool_use", "id": _tool_id(answer), "name": name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in pieces(given)]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": part} for part in pieces(answer.content)]
    delta = {"stop_reason": _stop(answer), "stop_sequence": None}
    usage = {"output_tokens": answer.output_tokens}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": delta, "usage": usage},
        {"type": "message_stop"},
    ]


def _refusal(refused: Refused, model: str) -> tuple[int, str, str]:
    status, kind = refused.status, refused.kind
    see = "For details, refer to: https://docs.claude.com/en/api/rate-limits."
    if kind is Refusal.EXHAUSTED:
        return 400, "invalid_request_error", _EXHAUSTED
    if kind in (Refusal.OVERLOADED, Refusal.OUTAGE):
        return status, *_FAILURES.get(status, _FAILURES[500])
    if kind is Refusal.CONCURRENCY:
        message = (
            f"Number of concurrent connections has exceeded your rate limit ({refused.limit:.0f}). "
            f"Please try again later. {see}"
        )
    elif kind is Refusal.SLOPE:
        message = (
            "This request would exceed your organization's acceleration limit: usage grew too quickly. "
            f"Ramp up gradually. {see}"
        )
    else:
        message = (
            f"This request would exceed your organization's rate limit of {refused.limit:,.0f} "
            f"{_UNITS[kind]} per minute (org: simulated, model: {model}). {see} You can see the response "
            "headers for current usage."
        )
    if refused.retry_after:
        message += f" Please retry after {math.ceil(refused.retry_after)} seconds."
    return status, "rate_limit_error", message
