"""OpenAI's Responses API, JSON and SSE.

Sources: platform.openai.com/docs/api-reference/responses, /responses-streaming; an error inside a stream
comes as `error` and then `response.failed`, as quoted in vercel/ai#6534.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

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
from penstock.simulator._openai import OpenAIWire, model_of
from penstock.simulator._wire import Target
from penstock.simulator.facts import Refused


class OpenAIResponses(OpenAIWire):
    """`POST …/responses`."""

    id_prefix: ClassVar[str] = "resp_"

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        given = body.get("input")
        if not given:
            raise BadRequestError("Missing required parameter: 'input'.")
        tools = [tool for tool in listed(body, "tools") if tool.get("type") == "function"]
        choice, stream = body.get("tool_choice"), bool(body.get("stream"))
        named = choice.get("name") if isinstance(choice, dict) else None
        return Asked(
            model=model_of(body),
            prompt=orjson.dumps([body.get("tools"), body.get("instructions"), given]),
            stream=stream,
            content_type=EVENT_STREAM if stream else JSON,
            max_tokens=whole(body, "max_output_tokens"),
            tools=tuple((tool.get("name", "tool"), table(tool, "parameters")) for tool in tools),
            must_call=named or (tools[0].get("name") if choice == "required" and tools else None),
            may_call=choice != "none",
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
        return orjson.dumps(_response(answer, _status(answer), [_item(answer)]))

    def events(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        begun = _response(answer, "in_progress", [])
        status = _status(answer)
        done = {"type": f"response.{status}", "response": _response(answer, status, [_item(answer)])}
        told = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            *(_call_events(answer) if answer.tool else _text_events(answer)),
            done,
        ]
        return [sse({**event, "sequence_number": at}, event["type"]) for at, event in enumerate(told)]

    def in_band_error(self, refused: Refused, model: str, request_id: str) -> bytes:
        error = self.dialect.refusal(refused, model)[1].get("error", {})
        message, code = error.get("message"), error.get("code") or "server_error"
        failed = {
            "id": "resp_failed",
            "object": "response",
            "created_at": 0,
            "status": "failed",
            "error": {"code": code, "message": message},
            "incomplete_details": None,
            "model": model,
            "output": [],
            "usage": None,
        }
        told = {"type": "error", "sequence_number": 98, "error": {**error, "code": code, "param": None}}
        last = {"type": "response.failed", "sequence_number": 99, "response": failed}
        return sse(told, "error") + sse(last, "response.failed")


def _status(answer: Answer) -> str:
    return "incomplete" if answer.truncated else "completed"


def _response(answer: Answer, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    ended = status != "in_progress"
    return {
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "service_tier": "default",
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _usage(answer) if ended else None,
    }


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": answer.cached_tokens},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


def _item(answer: Answer, status: str = "completed") -> dict[str, Any]:
    if answer.tool:
        name, given = answer.tool
        call = {"type": "function_call", "call_id": f"call_{answer.id[-24:]}", "name": name}
        return {**call, "id": f"fc_{answer.id[-24:]}", "status": status, "arguments": given}
    part = {"type": "output_text", "text": answer.content, "annotations": [], "logprobs": []}
    message = {"type": "message", "id": f"msg_{answer.id[-24:]}", "status": status, "role": "assistant"}
    return {**message, "content": [part]}


def _text_events(answer: Answer) -> list[dict[str, Any]]:
    item = _item(answer)
    part = item["content"][0]
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    deltas = [
        {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
        for piece in pieces(answer.content)
    ]
    begun = {**item, "status": "in_progress", "content": []}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *deltas,
        {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]


def _call_events(answer: Answer) -> list[dict[str, Any]]:
    item = _item(answer)
    at = {"item_id": item["id"], "output_index": 0}
    deltas = [
        {"type": "response.function_call_arguments.delta", **at, "delta": piece}
        for piece in pieces(item["arguments"])
    ]
    begun = {**item, "status": "in_progress", "arguments": ""}
    done = {"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        *deltas,
        {**done, "name": item["name"]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]
