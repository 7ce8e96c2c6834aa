"""Cohere's bodies: chat and embed of version 2, JSON and SSE, and what a refusal says.

Sources: docs.cohere.com/reference/chat, /reference/chat-stream, /reference/embed, /reference/errors; the
body of a 429 as quoted in OmniRoute#12252 ("You are using a Trial key, which is limited to …").
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

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

_TRIAL: Final = "You are using a Trial key, which is limited to"
_UPGRADE: Final = (
    "You can continue to use the Trial key for free or upgrade to a Production key with higher rate limits "
    "at 'https://dashboard.cohere.com/api-keys'. Contact us on 'https://discord.gg/XW44jPfYJu' or email us "
    "at support@cohere.com with any questions"
)
_FAILURES: Final = {
    400: "invalid request: messages must not be empty.",
    401: "invalid api token",
    402: "Please add or update your payment method at https://dashboard.cohere.com/billing to continue",
    404: "model not found",
    429: "too many requests, please try again later.",
    500: "internal server error, this has been reported to our developers.",
    503: "service unavailable, please try again later.",
}


class CohereWire(Wire):
    """What Cohere's endpoints share."""

    def refusal(self, refused: Refused, model: str, request_id: str) -> tuple[int, bytes]:
        return refused.status, orjson.dumps({"id": request_id, "message": _message(refused)})

    def in_band_error(self, refused: Refused, model: str, request_id: str) -> bytes:
        delta = {"finish_reason": "ERROR", "error": _message(refused)}
        return sse({"type": "message-end", "delta": delta}, "message-end")

    def bad_request(self, message: str) -> bytes:
        return orjson.dumps({"id": "simulated", "message": f"invalid request: {message}"})

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        return {"x-debug-trace-id": request_id, "num_tokens": "0", "server": "envoy"}


class CohereChat(CohereWire):
    """`POST …/v2/chat`."""

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise BadRequestError("messages must not be empty.")
        tools = [table(tool, "function") for tool in listed(body, "tools")]
        choice, stream = body.get("tool_choice"), bool(body.get("stream"))
        return Asked(
            model=str(body.get("model") or "command"),
            prompt=orjson.dumps([body.get("tools"), messages]),
            stream=stream,
            content_type=EVENT_STREAM if stream else JSON,
            max_tokens=whole(body, "max_tokens"),
            tools=tuple((tool.get("name", "tool"), table(tool, "parameters")) for tool in tools),
            must_call=tools[0].get("name") if choice == "REQUIRED" and tools else None,
            may_call=choice != "NONE",
            caching=False,
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
        message: dict[str, Any] = {"role": "assistant"}
        if answer.tool:
            message |= {"tool_plan": "I will use the tool.", "tool_calls": [_call(answer)]}
        else:
            message["content"] = [{"type": "text", "text": answer.content}]
        ended = {"finish_reason": _finish(answer), "usage": _usage(answer)}
        return orjson.dumps({"id": answer.id, "message": message, **ended})

    def events(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        start = {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}}
        told = [
            {"id": answer.id, "type": "message-start", "delta": start},
            *(_call_events(answer) if answer.tool else _text_events(answer)),
            {"type": "message-end", "delta": {"finish_reason": _finish(answer), "usage": _usage(answer)}},
        ]
        return [sse(event, event["type"]) for event in told]


class CohereEmbeddings(CohereWire):
    """`POST …/v2/embed`."""

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        given = body.get("texts") or body.get("inputs") or body.get("images")
        if not isinstance(given, list) or not given:
            raise BadRequestError("texts must not be empty.")
        return Asked(
            model=str(body.get("model") or "embed"),
            prompt=orjson.dumps(given),
            max_tokens=0,
            may_call=False,
            caching=False,
            inputs=len(given),
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
        document = {
            "id": answer.id,
            "response_type": "embeddings_by_type",
            "embeddings": {"float": [[0.0625] * 256] * asked.inputs},
            "texts": [],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": answer.input_tokens}},
        }
        return orjson.dumps(document)


def _message(refused: Refused) -> str:
    kind = refused.kind
    if kind is Refusal.EXHAUSTED:
        return f"{_TRIAL} 1000 API calls / month. {_UPGRADE}"
    if kind in (Refusal.REQUESTS, Refusal.TOO_LARGE) and refused.limit:
        return f"{_TRIAL} {refused.limit:.0f} API calls / minute. {_UPGRADE}"
    return _FAILURES.get(refused.status, _FAILURES[500])


def _finish(answer: Answer) -> str:
    return "TOOL_CALL" if answer.tool else "MAX_TOKENS" if answer.truncated else "COMPLETE"


def _usage(answer: Answer) -> dict[str, Any]:
    tokens = {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
    return {"billed_units": tokens, "tokens": tokens, "cached_tokens": answer.cached_tokens}


def _call(answer: Answer) -> dict[str, Any]:
    assert answer.tool is not None
    name, given = answer.tool
    function = {"name": name, "arguments": given}
    return {"id": f"{name}_{answer.id[-12:]}", "type": "function", "function": function}


def _text_events(answer: Answer) -> list[dict[str, Any]]:
    start = {"message": {"content": {"type": "text", "text": ""}}}
    deltas = [{"message": {"content": {"text": piece}}} for piece in pieces(answer.content)]
    return [
        {"type": "content-start", "index": 0, "delta": start},
        *({"type": "content-delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content-end", "index": 0},
    ]


def _call_events(answer: Answer) -> list[dict[str, Any]]:
    call = _call(answer)
    begun = {**call, "function": {**call["function"], "arguments": ""}}
    deltas = [
        {"message": {"tool_calls": {"function": {"arguments": piece}}}}
        for piece in pieces(call["function"]["arguments"])
    ]
    return [
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": begun}}},
        *({"type": "tool-call-delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "tool-call-end", "index": 0},
    ]
