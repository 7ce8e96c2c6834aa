"""Cohere's wire: chat and embed, version 1 and 2.

Source: docs.cohere.com/reference/chat, /reference/chat-stream, /reference/embed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from penstock.providers.bodies import JsonReader, NdjsonReader, Notes, SseReader, count, part, text
from penstock.providers.facts import BodyReader, Endpoint, Quota, RequestFacts
from penstock.providers.openai import BACKPRESSURE, refusal_headers
from penstock.providers.prompts import read_request

CHAT: Final = "cohere.chat"
EMBED: Final = "cohere.embed"

_PATH: Final = re.compile(r"/v[12]/(chat|embed)\Z")
_MARKERS: Final = (b'"message-end"', b'"stream-end"', b'"error"', b'"message-start"')


@dataclass(frozen=True, slots=True)
class Cohere:
    """Cohere's own API."""

    name: str = "cohere"

    def endpoint(self, host: str, path: str) -> Endpoint | None:
        """Tell by the path."""
        found = _PATH.search(path)
        if found is None:
            return None
        operation, wire = ("chat", CHAT) if found[1] == "chat" else ("embeddings", EMBED)
        return Endpoint(self.name, operation, wire)

    def request(self, endpoint: Endpoint, body: bytes) -> RequestFacts | None:
        """Read a request body."""
        return read_request(
            body,
            prompt_fields=("tools", "preamble", "chat_history", "message", "messages", "texts", "inputs"),
            max_tokens_fields=("max_tokens",),
        )

    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        """Cohere documents no quota headers."""
        return None

    def reader(self, endpoint: Endpoint, content_type: str) -> BodyReader:
        """Make a reader: version 2 streams SSE, version 1 lines of JSON."""
        if content_type.startswith("text/event-stream"):
            return SseReader(read_cohere, _MARKERS)
        if "stream+json" in content_type or "ndjson" in content_type:
            return NdjsonReader(read_cohere, _MARKERS)
        return JsonReader(read_cohere)

    def refusal(self, eta_seconds: float, message: str) -> tuple[dict[str, str], bytes]:
        """Build a 429 as Cohere words one."""
        return refusal_headers(eta_seconds), orjson.dumps({"message": message, "code": BACKPRESSURE})


def read_cohere(value: Mapping[str, object], notes: Notes) -> None:
    """Learn from a document or one stream event."""
    kind = text(value, "type") or text(value, "event_type")
    if kind == "message-end":
        delta = part(value, "delta")
        _end(delta, part(delta, "usage"), notes)
        if error := text(delta, "error"):
            notes.error = {"message": error}
    elif kind == "stream-end":
        response = part(value, "response")
        _end({**response, **value}, part(response, "meta"), notes)
    elif kind == "message-start":
        notes.response_id = text(value, "id") or notes.response_id
    elif kind is None:
        _end(value, part(value, "usage") or part(value, "meta"), notes)
        notes.response_id = text(value, "id") or notes.response_id


def _end(value: Mapping[str, object], usage: Mapping[str, object], notes: Notes) -> None:
    notes.complete = True
    notes.finish_reason = text(value, "finish_reason") or notes.finish_reason
    tokens = part(usage, "tokens") or part(usage, "billed_units")
    if (fed := count(tokens, "input_tokens")) is not None:
        notes.input = fed
    if (said := count(tokens, "output_tokens")) is not None:
        notes.output = said
    if (cached := count(usage, "cached_tokens")) is not None:
        notes.cache_read = cached
