"""Ollama's own wire (it also speaks OpenAI's): chat, generate and embed, streams as lines of JSON.

Source: github.com/ollama/ollama docs/api.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from penstock.providers.bodies import JsonReader, NdjsonReader, Notes, count, text
from penstock.providers.facts import BodyReader, Endpoint, Quota, RequestFacts
from penstock.providers.openai import BACKPRESSURE, refusal_headers
from penstock.providers.prompts import read_request

CHAT: Final = "ollama.chat"
EMBED: Final = "ollama.embed"

_PATH: Final = re.compile(r"/api/(chat|generate|embed|embeddings)\Z")
_OPERATIONS: Final = {"chat": "chat", "generate": "text_completion"}
_UNSTREAMED: Final = re.compile(rb'"stream"\s*:\s*false')


@dataclass(frozen=True, slots=True)
class Ollama:
    """A local or hosted Ollama."""

    name: str = "ollama"

    def endpoint(self, host: str, path: str) -> Endpoint | None:
        """Tell by the path."""
        found = _PATH.search(path)
        if found is None:
            return None
        if found[1] in _OPERATIONS:
            return Endpoint(self.name, _OPERATIONS[found[1]], CHAT)
        return Endpoint(self.name, "embeddings", EMBED)

    def request(self, endpoint: Endpoint, body: bytes) -> RequestFacts | None:
        """Read a request body. Ollama streams unless it is told not to."""
        facts = read_request(
            body,
            prompt_fields=("tools", "system", "messages", "prompt", "input"),
            max_tokens_fields=("num_predict",),
            limits_in="options",
        )
        if facts is None or endpoint.wire == EMBED:
            return facts
        return replace(facts, stream=_UNSTREAMED.search(body) is None)

    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        """Ollama has no quota."""
        return None

    def reader(self, endpoint: Endpoint, content_type: str) -> BodyReader:
        """Make a reader."""
        if "ndjson" in content_type:
            return NdjsonReader(read_ollama, (b'"done":true', b'"done": true', b'"error"'))
        return JsonReader(read_ollama)

    def refusal(self, eta_seconds: float, message: str) -> tuple[dict[str, str], bytes]:
        """Build a 429 as Ollama words an error."""
        return refusal_headers(eta_seconds), orjson.dumps({"error": message, "code": BACKPRESSURE})


def read_ollama(value: Mapping[str, object], notes: Notes) -> None:
    """Learn from a document or one line."""
    notes.model = text(value, "model") or notes.model
    if error := text(value, "error"):
        notes.error = {"message": error}
        notes.complete = True
    if value.get("done") is True:
        notes.complete = True
        notes.finish_reason = text(value, "done_reason") or notes.finish_reason
    if (tokens := count(value, "prompt_eval_count")) is not None:
        notes.input = tokens
    if (tokens := count(value, "eval_count")) is not None:
        notes.output = tokens
