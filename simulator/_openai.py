"""OpenAI's bodies: chat completions and embeddings, JSON and SSE, and what a refusal says.

Sources: platform.openai.com/docs/api-reference/chat, /docs/guides/error-codes; error texts as quoted in
public issues (openai/codex#88: "Limit 200000, Used 162960, Requested 42288. Please try again in 1.574s").
"""

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from penstock.simulator._answers import Answer, Asked, BadRequestError, pieces
from penstock.simulator._headers import go_duration
from penstock.simulator.quota import Refusal, Refused

DONE: Final = b"data: [DONE]\n\n"
_VECTOR: Final = tuple(((n * 37) % 97 - 48) / 500 for n in range(256))
_PACKED: Final = base64.b64encode(struct.pack("<256f", *_VECTOR)).decode()
_UNITS: Final = {
    Refusal.REQUESTS: ("requests", "requests per min (RPM)"),
    Refusal.TOKENS: ("tokens", "tokens per min (TPM)"),
    Refusal.INPUT_TOKENS: ("tokens", "input tokens per min (TPM)"),
    Refusal.OUTPUT_TOKENS: ("tokens", "output tokens per min (TPM)"),
    Refusal.TOO_LARGE: ("tokens", "tokens per min (TPM)"),
}
_OVERLOADED: Final = (
    "The engine is currently overloaded, please try again later.",
    "service_unavailable_error",
    "server_is_overloaded",
)
_FAILURES: Final[Mapping[int, tuple[str, str, str | None]]] = {
    400: ("Invalid value for one of the parameters.", "invalid_request_error", "invalid_value"),
    401: ("Incorrect API key provided: sk-simulated.", "invalid_request_error", "invalid_api_key"),
    403: ("You are not allowed to sample from this model.", "invalid_request_error", None),
    404: (
        "The model does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    429: ("Rate limit reached for requests. Please try again later.", "requests", "rate_limit_exceeded"),
    500: (
        "The server had an error while processing your request. Sorry about that! You can retry your "
        "request, or contact us through our help center at help.openai.com if the error persists.",
        "server_error",
        None,
    ),
    503: _OVERLOADED,
    529: _OVERLOADED,
}
_EXHAUSTED: Final = (
    "You exceeded your current quota, please check your plan and billing details. For more information on "
    "this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_LINK: Final = "Visit https://platform.openai.com/account/rate-limits to learn more."


class OpenAIChat:
    """`POST …/chat/completions`."""

    def asked(self, body: Mapping[str, Any]) -> Asked:
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise BadRequestError("Missing required parameter: 'messages'.")
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        choice = body.get("tool_choice")
        functions = [tool.get("function") or {} for tool in body.get("tools") or () if isinstance(tool, dict)]
        named = choice["function"]["name"] if isinstance(choice, dict) and "function" in choice else None
        return Asked(
            model=_model(body),
            prompt=orjson.dumps([body.get("tools"), messages]),
            stream=bool(body.get("stream")),
            include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
            max_tokens=limit if isinstance(limit, int) else None,
            tools=tuple((f.get("name", "tool"), f.get("parameters") or {}) for f in functions),
            must_call=named or (functions[0].get("name") if choice == "required" and functions else None),
            may_call=choice != "none",
        )

    def answer(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        if asked.stream:
            return _events(asked, answer)
        message: dict[str, Any] = {"role": "assistant", "content": answer.content, "refusal": None}
        if answer.tool:
            message["content"] = None
            message["tool_calls"] = [_tool_call(answer)]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
        document = {
            "id": answer.id,
            "object": "chat.completion",
            "created": answer.created,
            "model": answer.model,
            "choices": [choice],
            "usage": _usage(answer),
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }
        return [orjson.dumps(document)]

    def refusal(self, refused: Refused, model: str, request_id: str) -> tuple[int, bytes]:
        status, error = _refusal(refused, model)
        return status, orjson.dumps({"error": error})


class AzureChat(OpenAIChat):
    """The same over Azure, whose refusals have words of their own."""

    def refusal(self, refused: Refused, model: str, request_id: str) -> tuple[int, bytes]:
        if refused.kind in (Refusal.OVERLOADED, Refusal.OUTAGE, Refusal.CONCURRENCY, Refusal.SLOPE):
            return super().refusal(refused, model, request_id)
        what = "call" if refused.kind is Refusal.REQUESTS else "token"
        wait = f" Please retry after {math.ceil(refused.retry_after)} seconds." if refused.retry_after else ""
        message = (
            "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have "
            f"exceeded {what} rate limit of your current OpenAI S0 pricing tier.{wait} Please contact Azure "
            "support service if you would like to further increase the default rate limit."
        )
        return refused.status, orjson.dumps({"error": {"code": str(refused.status), "message": message}})


class OpenAIEmbeddings(OpenAIChat):
    """`POST …/embeddings`."""

    def asked(self, body: Mapping[str, Any]) -> Asked:
        given = body.get("input")
        if not given:
            raise BadRequestError("Missing required parameter: 'input'.")
        several = isinstance(given, list) and not isinstance(given[0], int)
        return Asked(
            model=_model(body),
            prompt=orjson.dumps(given),
            max_tokens=0,
            may_call=False,
            caching=False,
            base64=body.get("encoding_format") == "base64",
            inputs=len(given) if several else 1,
        )

    def answer(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        vector = _PACKED if asked.base64 else _VECTOR
        document = {
            "object": "list",
            "data": [{"object": "embedding", "index": n, "embedding": vector} for n in range(asked.inputs)],
            "model": answer.model,
            "usage": {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens},
        }
        return [orjson.dumps(document)]


def in_band_error(kind: Refusal | None) -> bytes:
    """Spell an error that arrives inside a stream after a 200."""
    if kind is Refusal.OVERLOADED:
        error = _error(*_OVERLOADED)
    else:
        error = _error(
            "The server had an error while processing your request.", "server_error", "server_error"
        )
    return b"data: " + orjson.dumps({"error": error}) + b"\n\n"


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequestError("you must provide a model parameter")
    return model


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.tool else "length" if answer.truncated else "stop"


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _tool_call(answer: Answer) -> dict[str, Any]:
    assert answer.tool is not None
    name, given = answer.tool
    return {
        "id": f"call_{answer.id[-24:]}",
        "type": "function",
        "function": {"name": name, "arguments": given},
    }


def _events(asked: Asked, answer: Answer) -> list[bytes]:
    frame: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }
    if asked.include_usage:
        frame["usage"] = None

    def event(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b"data: " + orjson.dumps({**frame, "choices": [choice]}) + b"\n\n"

    if answer.tool:
        call = {"index": 0, **_tool_call(answer)}
        events = [event({"role": "assistant", "content": None, "tool_calls": [call]})]
    else:
        events = [event({"role": "assistant", "content": "", "refusal": None})]
        events += [event({"content": piece}) for piece in pieces(answer.content)]
    events.append(event({}, _finish(answer)))
    if asked.include_usage:
        last = {**frame, "choices": [], "usage": _usage(answer)}
        events.append(b"data: " + orjson.dumps(last) + b"\n\n")
    return [*events, DONE]


def _error(message: str, type: str, code: str | None) -> dict[str, Any]:
    return {"message": message, "type": type, "param": None, "code": code}


def _refusal(refused: Refused, model: str) -> tuple[int, dict[str, Any]]:
    status, kind = refused.status, refused.kind
    if kind is Refusal.TOO_LARGE:
        message = (
            f"Request too large for {model} in organization org-simulated on tokens per min (TPM): "
            f"Limit {refused.limit:.0f}, Requested {refused.requested:.0f}. The input or output tokens must "
            f"be reduced in order to run successfully. {_LINK}"
        )
        return status, _error(message, "tokens", "rate_limit_exceeded")
    if kind is Refusal.CONCURRENCY:
        message = f"Too many concurrent requests for {model}: limit {refused.limit:.0f}. Please retry later."
        return status, _error(message, "requests", "concurrency_limit_exceeded")
    if kind is Refusal.SLOPE:
        message = "Slow down: your request rate grew too quickly. Ramp up gradually and keep it consistent."
        return status, _error(message, "requests", "slow_down")
    if kind is Refusal.EXHAUSTED:
        return status, _error(_EXHAUSTED, "insufficient_quota", "insufficient_quota")
    if kind in (Refusal.OVERLOADED, Refusal.OUTAGE):
        return status, _failure(status)
    type, unit = _UNITS[kind]
    wait = f" Please try again in {go_duration(refused.retry_after)}." if refused.retry_after else ""
    message = (
        f"Rate limit reached for {model} in organization org-simulated on {unit}: Limit {refused.limit:.0f}, "
        f"Used {max(0.0, refused.used):.0f}, Requested {refused.requested:.0f}.{wait} {_LINK}"
    )
    return status, _error(message, type, "rate_limit_exceeded")


def _failure(status: int) -> dict[str, Any]:
    return _error(*_FAILURES.get(status, _FAILURES[500]))
