"""Ollama's bodies: chat, generate and embed, whose streams are lines of JSON.

Sources: github.com/ollama/ollama docs/api.md; server/sched.go's ErrMaxQueue ("server busy, please try
again.  maximum pending requests exceeded", a 503); ollama/ollama#15934 (its cloud, overloaded) and
continuedev/continue#11158 (its cloud, out of quota).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import orjson

from penstock.simulator._answers import JSON, Answer, Asked, BadRequestError, listed, pieces, table, whole
from penstock.simulator._wire import Target, Wire
from penstock.simulator.facts import Refusal, Refused

_LINES: Final = "application/x-ndjson"
_BUSY: Final = "server busy, please try again.  maximum pending requests exceeded"
_FAILURES: Final = {
    400: "missing request body",
    404: "model not found, try pulling it first",
    500: "llama runner process has terminated: exit status 2",
    503: "Server overloaded, please retry shortly (ref: simulated)",
}


class OllamaWire(Wire):
    """What Ollama's endpoints share: an error is a string."""

    def refusal(self, refused: Refused, model: str, request_id: str) -> tuple[int, bytes]:
        status, message = _refusal(refused)
        return status, orjson.dumps({"error": message})

    def in_band_error(self, refused: Refused, model: str, request_id: str) -> bytes:
        return orjson.dumps({"error": _refusal(refused)[1]}) + b"\n"

    def bad_request(self, message: str) -> bytes:
        return orjson.dumps({"error": message})


class OllamaChat(OllamaWire):
    """`POST …/api/chat`. It streams unless told not to."""

    prompt: ClassVar[str] = "messages"

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        model, given = body.get("model"), body.get(self.prompt)
        if not isinstance(model, str) or not model:
            raise BadRequestError("model is required")
        stream = body.get("stream") is not False
        tools = [table(tool, "function") for tool in listed(body, "tools")]
        return Asked(
            model=model,
            prompt=orjson.dumps([body.get("tools"), body.get("system"), given]),
            stream=stream,
            content_type=_LINES if stream else JSON,
            max_tokens=whole(table(body, "options"), "num_predict"),
            tools=tuple((tool.get("name", "tool"), table(tool, "parameters")) for tool in tools),
            caching=False,
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
        return orjson.dumps({**_head(answer), **self.said(answer, answer.content), **_end(answer)})

    def events(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        head, said = _head(answer), [""] if answer.tool else pieces(answer.content)
        lines = [{**head, **self.said(answer, piece), "done": False} for piece in said]
        last = {**head, **self.said(None, ""), **_end(answer)}
        return [orjson.dumps(line) + b"\n" for line in (*lines, last)]

    def said(self, answer: Answer | None, text: str) -> dict[str, Any]:
        """Spell a piece of what the model says; `answer` for the tool that it calls."""
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if answer and answer.tool:
            name, given = answer.tool
            call = {"function": {"name": name, "arguments": orjson.loads(given)}}
            message |= {"content": "", "tool_calls": [call]}
        return {"message": message}


class OllamaGenerate(OllamaChat):
    """`POST …/api/generate`."""

    prompt: ClassVar[str] = "prompt"

    def said(self, answer: Answer | None, text: str) -> dict[str, Any]:
        """Spell a piece of the completion."""
        return {"response": text}


class OllamaEmbeddings(OllamaWire):
    """`POST …/api/embed`."""

    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        model, given = body.get("model"), body.get("input")
        if not isinstance(model, str) or not model:
            raise BadRequestError("model is required")
        return Asked(
            model=model,
            prompt=orjson.dumps(given),
            max_tokens=0,
            may_call=False,
            caching=False,
            inputs=len(given) if isinstance(given, list) else 1,
        )

    def document(self, asked: Asked, answer: Answer) -> bytes:
        counts = {"total_duration": 1, "load_duration": 1, "prompt_eval_count": answer.input_tokens}
        vectors = [[0.0625] * 256] * asked.inputs
        return orjson.dumps({"model": answer.model, "embeddings": vectors, **counts})


def _head(answer: Answer) -> dict[str, Any]:
    created = datetime.fromtimestamp(answer.created, UTC).isoformat().replace("+00:00", "Z")
    return {"model": answer.model, "created_at": created}


def _end(answer: Answer) -> dict[str, Any]:
    return {
        "done": True,
        "done_reason": "length" if answer.truncated else "stop",
        "total_duration": 1_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": answer.input_tokens,
        "prompt_eval_duration": 1_000_000,
        "eval_count": answer.output_tokens,
        "eval_duration": 1_000_000,
    }


def _refusal(refused: Refused) -> tuple[int, str]:
    """Word a refusal: a local server has a queue and no quota, so what it lacks is room."""
    if refused.kind is Refusal.EXHAUSTED:
        return (
            429,
            "you (simulated) have reached your session usage limit, please wait or upgrade to continue",
        )
    if refused.kind in (Refusal.OVERLOADED, Refusal.OUTAGE):
        return refused.status, _FAILURES.get(refused.status, _FAILURES[500])
    return 503, _BUSY
