"""What all wire formats share: what a request asks for, what an answer holds, and its text."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

CHARACTERS_A_TOKEN: Final = 4
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream; charset=utf-8"
PIECES: Final = 24
"""Most chunks of one stream: finer streaming would cost more CPU than what is under test."""
_WORDS: Final = "the pipe holds when the gate lets only so much through and the rest waits its turn in line "
_TEXT: Final = _WORDS * 200


class BadRequestError(Exception):
    """The body is not what this endpoint takes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for. `prompt` is everything cacheable, in order, as bytes.

    `caching`: the request wants its prefix cached (OpenAI always does, Anthropic when marked).
    `content_type` is what the answer comes as.
    """

    model: str
    prompt: bytes
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    tools: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    must_call: str | None = None
    may_call: bool = True
    caching: bool = True
    base64: bool = False
    inputs: int = 1
    content_type: str = JSON

    @property
    def input_tokens(self) -> int:
        """Estimate at four characters a token."""
        return max(1, len(self.prompt) // CHARACTERS_A_TOKEN)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `input_tokens` includes those read from and written to the prompt cache."""

    id: str
    model: str
    created: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_written: int = 0
    truncated: bool = False
    tool: tuple[str, str] | None = None
    text: str | None = None

    @property
    def content(self) -> str:
        """The text, as long as `output_tokens` says unless it was given."""
        return text_of(self.output_tokens) if self.text is None else self.text


def text_of(tokens: int) -> str:
    """Make text of about so many tokens."""
    size = tokens * CHARACTERS_A_TOKEN
    return (_TEXT * (size // len(_TEXT) + 1))[:size].rstrip()


def pieces(text: str) -> list[str]:
    """Cut text for streaming."""
    if not text:
        return []
    size = max(1, -(-len(text) // PIECES))
    return [text[at : at + size] for at in range(0, len(text), size)]


def arguments(schema: Mapping[str, Any], rng: random.Random) -> str:
    """Make arguments that fit a tool's JSON schema."""
    return orjson.dumps(_value(schema, rng)).decode()


def _value(schema: Mapping[str, Any], rng: random.Random) -> object:
    choices, wanted = schema.get("enum"), schema.get("required")
    if isinstance(choices, list) and choices:
        return rng.choice(choices)
    match schema.get("type"):
        case "object":
            fields = table(schema, "properties")
            names = wanted if isinstance(wanted, list) and wanted else list(fields)
            return {str(name): _value(table(fields, str(name)), rng) for name in names}
        case "array":
            return [_value(table(schema, "items"), rng)]
        case "integer":
            return rng.randint(1, 100)
        case "number":
            return round(rng.uniform(0, 100), 2)
        case "boolean":
            return rng.random() < 0.5
    return rng.choice(_WORDS.split())


def sse(data: object, event: str | None = None) -> bytes:
    """Spell one server-sent event."""
    head = b"event: " + event.encode() + b"\n" if event else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def listed(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Read a list of objects; what is none is left out."""
    found = body.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def table(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Read an object; empty where there is none."""
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def whole(body: Mapping[str, Any], name: str) -> int | None:
    """Read a count; None where there is none: Ollama says -1 for as many as it takes."""
    found = body.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None
