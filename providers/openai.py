"""OpenAI's wire: chat completions, completions, responses and embeddings, spoken by many hosts.

Sources: platform.openai.com/docs/api-reference (bodies, streams), /docs/guides/rate-limits (headers),
/docs/guides/error-codes; openai-python `_base_client.py` (`x-should-retry`, `retry-after-ms`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from penstock.providers.bodies import JsonReader, Notes, SseReader, count, part, text
from penstock.providers.facts import BodyReader, Endpoint, Quota, RequestFacts
from penstock.providers.prompts import read_request
from penstock.providers.quota import DAY, WindowHeaders, read_quota

BACKPRESSURE: Final = "penstock_backpressure"

CHAT: Final = "openai.chat"
COMPLETIONS: Final = "openai.completions"
RESPONSES: Final = "openai.responses"
EMBEDDINGS: Final = "openai.embeddings"

# Path ending -> (OTel operation, wire). The longest ending first.
PATHS: Final = (
    ("/chat/completions", "chat", CHAT),
    ("/completions", "text_completion", COMPLETIONS),
    ("/responses", "chat", RESPONSES),
    ("/embeddings", "embeddings", EMBEDDINGS),
)

_RATE: Final = "x-ratelimit-"
QUOTA: Final = (
    WindowHeaders(
        "requests", f"{_RATE}limit-requests", f"{_RATE}remaining-requests", f"{_RATE}reset-requests",
        period=f"{_RATE}renewalperiod-requests",
    ),
    WindowHeaders(
        "tokens", f"{_RATE}limit-tokens", f"{_RATE}remaining-tokens", f"{_RATE}reset-tokens",
        period=f"{_RATE}renewalperiod-tokens",
    ),
    # Cerebras; inference-docs.cerebras.ai/support/rate-limits
    WindowHeaders(
        "requests", f"{_RATE}limit-requests-day", f"{_RATE}remaining-requests-day",
        f"{_RATE}reset-requests-day", DAY,
    ),
    WindowHeaders(
        "tokens", f"{_RATE}limit-tokens-minute", f"{_RATE}remaining-tokens-minute",
        f"{_RATE}reset-tokens-minute",
    ),
    # OpenRouter and many gateways: one window, of requests
    WindowHeaders("requests", f"{_RATE}limit", f"{_RATE}remaining", f"{_RATE}reset"),
)  # fmt: skip

_MARKERS: Final = (
    b'"usage":{',
    b'"usage": {',
    b'"error":',
    b'"object":"error"',
    b'"object": "error"',
    b'"finish_reason":"',
    b'"finish_reason": "',
    b'"type":"error"',
    b'"type": "error"',
    b'"response.completed"',
    b'"response.incomplete"',
    b'"response.failed"',
)
_LAST_EVENTS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


@dataclass(frozen=True, slots=True)
class OpenAICompatible:
    """A host family that speaks OpenAI's wire; `windows` are its quota headers."""

    name: str = "openai"
    windows: tuple[WindowHeaders, ...] = QUOTA

    def endpoint(self, host: str, path: str) -> Endpoint | None:
        """Tell by the path alone: every host may speak this wire."""
        for ending, operation, wire in PATHS:
            if path.endswith(ending):
                return Endpoint(self.name, operation, wire)
        return None

    def request(self, endpoint: Endpoint, body: bytes) -> RequestFacts | None:
        """Read a request body."""
        return read_request(
            body,
            prompt_fields=("tools", "instructions", "messages", "input", "prompt"),
            max_tokens_fields=("max_completion_tokens", "max_output_tokens", "max_tokens"),
        )

    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        """Read quota headers."""
        return read_quota(headers, self.windows)

    def reader(self, endpoint: Endpoint, content_type: str) -> BodyReader:
        """Make a reader for one answer."""
        if content_type.startswith("text/event-stream"):
            return SseReader(read_openai, _MARKERS)
        return JsonReader(read_openai)

    def refusal(self, eta_seconds: float, message: str) -> tuple[dict[str, str], bytes]:
        """Build a 429 as OpenAI words one."""
        error = {"message": message, "type": "requests", "param": None, "code": BACKPRESSURE}
        return refusal_headers(eta_seconds), orjson.dumps({"error": error})


def read_openai(value: Mapping[str, object], notes: Notes) -> None:
    """Learn from a document or one stream event of any of OpenAI's endpoints."""
    kind = value.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        _event_of_responses(kind, part(value, "response"), notes)
        return
    error = value.get("error")
    if isinstance(error, dict):
        notes.error = error
    elif isinstance(error, str):
        notes.error = {"message": error}
    elif kind == "error" or value.get("object") == "error":
        notes.error = value  # flat: Responses API by its type, Mistral and vLLM by their object
    notes.model = text(value, "model") or notes.model
    notes.response_id = text(value, "id") or notes.response_id
    if value.get("object") == "response":
        notes.finish_reason = _why(value) or notes.finish_reason
    _choices(value.get("choices"), notes)
    _usage(part(value, "usage"), notes)
    if notes.finish_reason or notes.error:
        notes.complete = True  # not every host ends its stream with [DONE]


def _event_of_responses(kind: str, response: Mapping[str, object], notes: Notes) -> None:
    notes.model = text(response, "model") or notes.model
    notes.response_id = text(response, "id") or notes.response_id
    if kind not in _LAST_EVENTS:
        return
    notes.complete = True
    notes.finish_reason = _why(response) or notes.finish_reason
    error = response.get("error")
    if isinstance(error, dict):
        notes.error = error
    _usage(part(response, "usage"), notes)


def _why(response: Mapping[str, object]) -> str | None:
    return text(part(response, "incomplete_details"), "reason") or text(response, "status")


def _choices(choices: object, notes: Notes) -> None:
    if not isinstance(choices, list):
        return
    for choice in choices:
        if isinstance(choice, dict):
            notes.finish_reason = text(choice, "finish_reason") or notes.finish_reason
            error = choice.get("error")  # OpenRouter: an upstream failure inside a 200
            if isinstance(error, dict):
                notes.error = error


def _usage(usage: Mapping[str, object], notes: Notes) -> None:
    """OpenAI counts cached tokens inside input. DeepSeek tells them as `prompt_cache_hit_tokens`."""
    if not usage:
        return
    chat = "prompt_tokens" in usage
    if (tokens := count(usage, "prompt_tokens" if chat else "input_tokens")) is not None:
        notes.input = tokens
    if (tokens := count(usage, "completion_tokens" if chat else "output_tokens")) is not None:
        notes.output = tokens
    details = part(usage, "prompt_tokens_details" if chat else "input_tokens_details")
    if (tokens := count(details, "cached_tokens")) is not None:
        notes.cache_read = tokens
    if (tokens := count(usage, "prompt_cache_hit_tokens")) is not None:
        notes.cache_read = tokens


def refusal_headers(eta_seconds: float) -> dict[str, str]:
    """Build the headers of a refusal: when to come back, and that the SDK must not try again itself."""
    eta = max(eta_seconds, 0.0) if math.isfinite(eta_seconds) else 3600.0
    return {
        "content-type": "application/json",
        "retry-after": str(max(1, math.ceil(eta))),
        "x-should-retry": "false",
        "x-penstock-refused": "true",
    }
