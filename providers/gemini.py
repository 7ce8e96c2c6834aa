"""Google's wire: the Gemini API and Vertex AI.

Sources: ai.google.dev/api/generate-content (bodies, usageMetadata), ai.google.dev/gemini-api/docs/rate-limits
(no quota headers are documented), cloud.google.com/apis/design/errors (RetryInfo).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from penstock.providers.bodies import JsonReader, Notes, SseReader, count, part, text
from penstock.providers.facts import BodyReader, Endpoint, Quota, RequestFacts
from penstock.providers.openai import BACKPRESSURE, refusal_headers
from penstock.providers.prompts import read_request

GENERATE: Final = "gemini.generate"
STREAM: Final = "gemini.stream"
EMBED: Final = "gemini.embed"

_PATH: Final = re.compile(r"/models/([^/:]+):(\w+)\Z")
_METHODS: Final = {
    "generateContent": ("generate_content", GENERATE),
    "streamGenerateContent": ("generate_content", STREAM),
    "embedContent": ("embeddings", EMBED),
    "batchEmbedContents": ("embeddings", EMBED),
}
METHODS: Final = tuple(_METHODS)


@dataclass(frozen=True, slots=True)
class Gemini:
    """The Gemini API (`gemini`), or Vertex AI (`vertex_ai`)."""

    name: str = "gemini"

    def endpoint(self, host: str, path: str) -> Endpoint | None:
        """Tell by the method at the path's end; the model is part of the path."""
        found = _PATH.search(path)
        if found is None or found[2] not in _METHODS:
            return None
        operation, wire = _METHODS[found[2]]
        return Endpoint(self.name, operation, wire, found[1])

    def request(self, endpoint: Endpoint, body: bytes) -> RequestFacts | None:
        """Read a request body."""
        return read_request(
            body,
            prompt_fields=("tools", "systemInstruction", "contents", "content", "requests"),
            max_tokens_fields=("maxOutputTokens",),
            limits_in="generationConfig",
            model=endpoint.model,
            stream=endpoint.wire == STREAM,
        )

    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        """Google sends no quota headers."""
        return None

    def reader(self, endpoint: Endpoint, content_type: str) -> BodyReader:
        """Make a reader; without `alt=sse` a stream is one JSON array."""
        if content_type.startswith("text/event-stream"):
            return SseReader(read_gemini, (b'"usageMetadata"', b'"finishReason"', b'"error"'))
        return JsonReader(read_gemini)

    def refusal(self, eta_seconds: float, message: str) -> tuple[dict[str, str], bytes]:
        """Build a 429 as Google words one."""
        delay = f"{math.ceil(eta_seconds) if math.isfinite(eta_seconds) else 3600}s"
        details = [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": BACKPRESSURE},
        ]
        error = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}
        return refusal_headers(eta_seconds), orjson.dumps({"error": error})


def read_gemini(value: Mapping[str, object], notes: Notes) -> None:
    """Learn from a document or one chunk. `promptTokenCount` includes cached tokens; thoughts are output."""
    error = value.get("error")
    if isinstance(error, dict):
        notes.error = error
        notes.complete = True
    notes.model = text(value, "modelVersion") or notes.model
    notes.response_id = text(value, "responseId") or notes.response_id
    candidates = value.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else ():
        if isinstance(candidate, dict) and (why := text(candidate, "finishReason")):
            notes.finish_reason = why
            notes.complete = True
    blocked = text(part(value, "promptFeedback"), "blockReason")
    if blocked:
        notes.finish_reason = blocked
        notes.complete = True
    usage = part(value, "usageMetadata")
    if usage:
        _usage(usage, notes)


def _usage(usage: Mapping[str, object], notes: Notes) -> None:
    if (tokens := count(usage, "promptTokenCount")) is not None:
        notes.input = tokens
    if (tokens := count(usage, "cachedContentTokenCount")) is not None:
        notes.cache_read = tokens
    spoken = count(usage, "candidatesTokenCount")
    thought = count(usage, "thoughtsTokenCount")
    if spoken is not None or thought is not None:
        notes.output = (spoken or 0) + (thought or 0)
