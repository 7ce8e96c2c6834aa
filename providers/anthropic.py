"""Anthropic's wire: messages, JSON and SSE.

Sources: docs.anthropic.com/en/api/messages, /en/api/messages-streaming, /en/api/rate-limits (headers),
/en/api/errors; anthropic-python `_error_classes.py` (codes in `details.error_code`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from penstock.providers.bodies import JsonReader, Notes, SseReader, count, part, text
from penstock.providers.facts import BodyReader, Endpoint, Quota, RequestFacts
from penstock.providers.openai import BACKPRESSURE, refusal_headers
from penstock.providers.prompts import read_request
from penstock.providers.quota import WindowHeaders, read_quota

MESSAGES: Final = "anthropic.messages"

_RATE: Final = "anthropic-ratelimit-"
QUOTA: Final = tuple(
    WindowHeaders(
        name.replace("-", "_"), f"{_RATE}{name}-limit", f"{_RATE}{name}-remaining", f"{_RATE}{name}-reset"
    )
    for name in ("requests", "tokens", "input-tokens", "output-tokens")
)
_MARKERS: Final = tuple(
    marker
    for kind in ("message_start", "message_delta", "message_stop", "error")
    for marker in (f'"type":"{kind}"'.encode(), f'"type": "{kind}"'.encode())
)


@dataclass(frozen=True, slots=True)
class Anthropic:
    """Anthropic, and hosts that speak its Messages API."""

    name: str = "anthropic"

    def endpoint(self, host: str, path: str) -> Endpoint | None:
        """Tell by the path alone; `…/messages/count_tokens` and batches spend no model quota."""
        return Endpoint(self.name, "chat", MESSAGES) if path.endswith("/messages") else None

    def request(self, endpoint: Endpoint, body: bytes) -> RequestFacts | None:
        """Read a request body; `max_tokens` is required, which tells it from any other `/messages`."""
        facts = read_request(
            body, prompt_fields=("tools", "system", "messages"), max_tokens_fields=("max_tokens",)
        )
        return (
            facts if facts is None or facts.max_output_tokens is not None or not facts.input_tokens else None
        )

    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        """Read quota headers."""
        return read_quota(headers, QUOTA)

    def reader(self, endpoint: Endpoint, content_type: str) -> BodyReader:
        """Make a reader for one answer."""
        if content_type.startswith("text/event-stream"):
            return SseReader(read_anthropic, _MARKERS)
        return JsonReader(read_anthropic)

    def refusal(self, eta_seconds: float, message: str) -> tuple[dict[str, str], bytes]:
        """Build a 429 as Anthropic words one."""
        error = {
            "type": "rate_limit_error",
            "message": message,
            "code": BACKPRESSURE,
            "details": {"error_code": BACKPRESSURE},
        }
        return refusal_headers(eta_seconds), orjson.dumps({"type": "error", "error": error})


def read_anthropic(value: Mapping[str, object], notes: Notes) -> None:
    """Learn from a message or one stream event."""
    kind = value.get("type")
    if kind == "error":
        notes.error = part(value, "error") or value
        notes.complete = True
    elif kind == "message_start":
        _message(part(value, "message"), notes)
    elif kind == "message_delta":
        notes.finish_reason = text(part(value, "delta"), "stop_reason") or notes.finish_reason
        _usage(part(value, "usage"), notes)
    elif kind == "message_stop":
        notes.complete = True
    else:
        _message(value, notes)
        notes.complete = True


def _message(message: Mapping[str, object], notes: Notes) -> None:
    notes.model = text(message, "model") or notes.model
    notes.response_id = text(message, "id") or notes.response_id
    notes.finish_reason = text(message, "stop_reason") or notes.finish_reason
    _usage(part(message, "usage"), notes)


def _usage(usage: Mapping[str, object], notes: Notes) -> None:
    """Anthropic counts cached tokens beside input; ours is inclusive. Stream counts are cumulative."""
    read = count(usage, "cache_read_input_tokens")
    written = count(usage, "cache_creation_input_tokens")
    fresh = count(usage, "input_tokens")
    notes.cache_read = notes.cache_read if read is None else read
    notes.cache_write = notes.cache_write if written is None else written
    if fresh is not None:
        notes.input = fresh + (notes.cache_read or 0) + (notes.cache_write or 0)
    output = count(usage, "output_tokens")
    notes.output = notes.output if output is None else output
