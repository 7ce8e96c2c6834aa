"""OpenAI's bodies: chat completions and embeddings, JSON and SSE.

Source: platform.openai.com/docs/api-reference/chat, /embeddings.
"""

import base64
import struct
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
from penstock.simulator._dialects import Dialect
from penstock.simulator._wire import Target, Wire
from penstock.simulator.facts import Refused

DONE: Final = b"data: [DONE]\n\n"
_VECTOR: Final = tuple(((n * 37) % 97 - 48) / 500 for n in range(256))
_PACKED: Final = base64.b64encode(struct.pack("<256f", *_VECTOR)).decode()


class OpenAIWire(Wire):
    """What OpenAI's endpoints share, in the dialect of the house that serves them."""

    id_prefix: ClassVar[str] = "chatcmpl-"
    tells_wait: ClassVar[bool] = True

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def refusal(self, refused: Refused, model: str, request_id: str) -> tuple[int, bytes]:
        status, document = self.dialect.refusal(refused, model)
        return status, orjson.dumps(document)

    def in_band_error(self, refused: Refused, model: str, request_id: str) -> bytes:
        return sse(self.dialect.refusal(refused, model)[1])

    def bad_request(self, message: str) -> bytes:
        return orjson.dumps(self.dialect.bad_request(message))

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        return self.dialect.headers(request_id, answer)


class OpenAIChat(OpenAIWire):
    """`POST …/chat/completions`."""

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise BadRequestError("Missing required parameter: 'messages'.")
        limit = whole(body, "max_completion_tokens") or whole(body, "max_tokens")
        choice, stream = body.get("tool_choice"), bool(body.get("stream"))
        functions = [table(tool, "function") for tool in listed(body, "tools")]
        named = table(table(body, "tool_choice"), "function").get("name")
        return Asked(
            model=model_of(body),
            prompt=orjson.dumps([body.get("tools"), messages]),
            stream=stream,
            content_type=EVENT_STREAM if stream else JSON,
            include_usage=bool(table(body, "stream_options").get("include_usage")),
            max_tokens=limit,
            tools=tuple((f.get("name", "tool"), table(f, "parameters")) for f in functions),
            must_call=named or (functions[0].get("name") if choice == "required" and functions else None),
            may_call=choice != "none",
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
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
            "usage": self.dialect.usage(answer),
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }
        return orjson.dumps(document)

    def events(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        frame: dict[str, Any] = {
            "id": answer.id,
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": answer.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }
        if asked.include_usage or self.dialect.always_usage:
            frame["usage"] = None

        def event(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return sse({**frame, "choices": [choice]})

        if answer.tool:
            call = {"index": 0, **_tool_call(answer)}
            events = [event({"role": "assistant", "content": None, "tool_calls": [call]})]
        else:
            events = [event({"role": "assistant", "content": "", "refusal": None})]
            events += [event({"content": piece}) for piece in pieces(answer.content)]
        events.append(event({}, _finish(answer)))
        if asked.include_usage or self.dialect.always_usage:
            last = {**frame, "choices": [], "usage": self.dialect.usage(answer)}
            events.append(sse(last))
        return [*events, DONE]


class OpenAIEmbeddings(OpenAIWire):
    """`POST …/embeddings`."""

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        given = body.get("input")
        if not given:
            raise BadRequestError("Missing required parameter: 'input'.")
        several = isinstance(given, list) and not isinstance(given[0], int)
        return Asked(
            model=model_of(body),
            prompt=orjson.dumps(given),
            max_tokens=0,
            may_call=False,
            caching=False,
            base64=body.get("encoding_format") == "base64",
            inputs=len(given) if several else 1,
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
        vector = _PACKED if asked.base64 else _VECTOR
        document = {
            "id": answer.id,
            "object": "list",
            "data": [{"object": "embedding", "index": n, "embedding": vector} for n in range(asked.inputs)],
            "model": answer.model,
            "usage": {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens},
        }
        return orjson.dumps(document)


def model_of(body: Mapping[str, Any]) -> str:
    """Read the model. Raises BadRequestError."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequestError("you must provide a model parameter")
    return model


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.tool else "length" if answer.truncated else "stop"


def _tool_call(answer: Answer) -> dict[str, Any]:
    assert answer.tool is not None
    name, given = answer.tool
    return {
        "id": f"call_{answer.id[-24:]}",
        "type": "function",
        "function": {"name": name, "arguments": given},
    }
