"""Amazon Bedrock's bodies: Converse, and InvokeModel with Anthropic's messages in it; streams are binary.

Sources: docs.aws.amazon.com/bedrock/latest/APIReference (API_runtime_Converse, …_ConverseStream,
…_InvokeModel, …_InvokeModelWithResponseStream) and the service model in botocore
(`data/bedrock-runtime/2023-09-30/service-2.json`: statuses of the exceptions, which of them a stream may
carry); texts as quoted in agent-book#29 ("Too many tokens per day"), aws-genai-llm-chatbot#220 ("Too many
requests") and aws-samples/foundation-model-benchmarking-tool#247. Amazon sends no quota headers and no
Retry-After.
"""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson

from penstock.simulator import _anthropic, _event_stream
from penstock.simulator._answers import JSON, Answer, Asked, BadRequestError, listed, pieces, table, whole
from penstock.simulator._wire import Target, Wire
from penstock.simulator.facts import Refusal, Refused

_WAIT: Final = "please wait before trying again."
_THROTTLED: Final = {
    Refusal.REQUESTS: f"Too many requests, {_WAIT}",
    Refusal.CONCURRENCY: f"Too many connections, {_WAIT}",
    Refusal.SLOPE: "Your request rate is too high. Reduce the frequency of requests.",
    Refusal.EXHAUSTED: f"Too many tokens per day, {_WAIT}",
}
_UNEXPECTED: Final = "The system encountered an unexpected error during processing. Try your request again."
_FAILURES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("ValidationException", "The provided request is not valid"),
    403: ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
    404: ("ResourceNotFoundException", "Could not resolve the foundation model from the model identifier."),
    408: ("ModelTimeoutException", "Processing time exceeded the model timeout length."),
    424: ("ModelErrorException", _UNEXPECTED),
    429: ("ModelNotReadyException", "Model is not ready for inference. Wait and try your request again."),
    500: ("InternalServerException", _UNEXPECTED),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
}  # fmt: skip
_IN_STREAM: Final = frozenset(
    {
        "internalServerException",
        "serviceUnavailableException",
        "throttlingException",
        "validationException",
    }
)


class BedrockWire(Wire):
    """What Bedrock's operations share."""

    def refusal(self, refused: Refused, model: str, request_id: str) -> tuple[int, bytes]:
        return refused.status, orjson.dumps({"message": _error(refused)[1]})

    def refusal_headers(self, refused: Refused) -> dict[str, str]:
        name = _error(refused)[0]
        return {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"}

    def in_band_error(self, refused: Refused, model: str, request_id: str) -> bytes:
        name, message = _error(refused)
        kind = name[0].lower() + name[1:]
        if kind not in _IN_STREAM:
            kind = "modelStreamErrorException"
        return _event_stream.exception(kind, orjson.dumps({"message": message}))

    def bad_request(self, message: str) -> bytes:
        return orjson.dumps({"message": message})

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        return {"x-amzn-requestid": request_id}


class BedrockConverse(BedrockWire):
    """`POST /model/{id}/converse` and `…/converse-stream`."""

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise BadRequestError("The value at messages is empty. Provide at least one message.")
        stream = target.endpoint == "converse-stream"
        config = table(body, "toolConfig")
        tools = [table(tool, "toolSpec") for tool in listed(config, "tools")]
        choice = table(config, "toolChoice")
        named = table(choice, "tool").get("name")
        prompt = orjson.dumps([config, body.get("system"), messages])
        return Asked(
            model=target.model,
            prompt=prompt,
            stream=stream,
            content_type=_event_stream.CONTENT_TYPE if stream else JSON,
            max_tokens=whole(table(body, "inferenceConfig"), "maxTokens"),
            tools=tuple(
                (tool.get("name", "tool"), table(table(tool, "inputSchema"), "json")) for tool in tools
            ),
            must_call=named or (tools[0].get("name") if "any" in choice and tools else None),
            caching=b'"cachePoint"' in prompt,
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
        if answer.tool:
            name, given = answer.tool
            content: dict[str, Any] = {"toolUse": {**_tool(answer, name), "input": orjson.loads(given)}}
        else:
            content = {"text": answer.content}
        document = {
            "metrics": {"latencyMs": 1},
            "output": {"message": {"role": "assistant", "content": [content]}},
            "stopReason": _stop(answer),
            "usage": _usage(answer),
        }
        return orjson.dumps(document)

    def events(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        told: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
        if answer.tool:
            name, given = answer.tool
            start = {"toolUse": _tool(answer, name)}
            told.append(("contentBlockStart", {"contentBlockIndex": 0, "start": start}))
            deltas: list[dict[str, Any]] = [{"toolUse": {"input": piece}} for piece in pieces(given)]
        else:
            deltas = [{"text": piece} for piece in pieces(answer.content)]
        told += [("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}) for delta in deltas]
        told += [
            ("contentBlockStop", {"contentBlockIndex": 0}),
            ("messageStop", {"stopReason": _stop(answer)}),
            ("metadata", {"metrics": {"latencyMs": 1}, "usage": _usage(answer)}),
        ]
        return [_event_stream.event(kind, orjson.dumps(payload)) for kind, payload in told]


class BedrockInvoke(BedrockWire):
    """`POST /model/{id}/invoke` and `…/invoke-with-response-stream`, for Anthropic's models."""

    id_prefix: ClassVar[str] = "msg_bdrk_"

    def __init__(self) -> None:
        self._inner = _anthropic.AnthropicMessages()

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        stream = target.endpoint == "invoke-with-response-stream"
        asked = self._inner.asked({**body, "model": target.model, "stream": stream}, target)
        return dataclasses.replace(asked, content_type=_event_stream.CONTENT_TYPE if stream else JSON)

    def document(self, asked: Asked, answer: Answer) -> bytes:
        return self._inner.document(asked, answer)

    def events(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        told = _anthropic.events(answer)
        told[-1]["amazon-bedrock-invocationMetrics"] = {
            "inputTokenCount": answer.input_tokens - answer.cached_tokens - answer.cache_written,
            "outputTokenCount": answer.output_tokens,
            "cacheReadInputTokenCount": answer.cached_tokens,
            "cacheWriteInputTokenCount": answer.cache_written,
            "invocationLatency": 1,
            "firstByteLatency": 1,
        }
        packed = [base64.b64encode(orjson.dumps(event)).decode() for event in told]
        return [_event_stream.event("chunk", orjson.dumps({"bytes": chunk})) for chunk in packed]

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        headers = super().headers(request_id, answer)
        if answer is not None:
            headers["x-amzn-bedrock-content-type"] = JSON
            headers["x-amzn-bedrock-input-token-count"] = str(answer.input_tokens)
            headers["x-amzn-bedrock-output-token-count"] = str(answer.output_tokens)
        return headers


def _error(refused: Refused) -> tuple[str, str]:
    """Name the exception and word it."""
    if refused.kind is Refusal.OVERLOADED:
        return _FAILURES[503]
    if refused.kind is Refusal.OUTAGE:
        return _FAILURES.get(refused.status, _FAILURES[500])
    return "ThrottlingException", _THROTTLED.get(refused.kind, f"Too many tokens, {_WAIT}")


def _stop(answer: Answer) -> str:
    return "tool_use" if answer.tool else "max_tokens" if answer.truncated else "end_turn"


def _tool(answer: Answer, name: str) -> dict[str, str]:
    return {"toolUseId": f"tooluse_{answer.id[-22:]}", "name": name}


def _usage(answer: Answer) -> dict[str, int]:
    return {
        "inputTokens": answer.input_tokens - answer.cached_tokens - answer.cache_written,
        "outputTokens": answer.output_tokens,
        "totalTokens": answer.input_tokens + answer.output_tokens,
        "cacheReadInputTokens": answer.cached_tokens,
        "cacheWriteInputTokens": answer.cache_written,
    }
