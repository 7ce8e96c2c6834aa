"""Error envelopes: whatever shape a body has, reduced to codes, an inner status and the words.

Envelopes nest (OpenRouter's `metadata.raw`, LiteLLM's message, gateways that quote their upstream's
JSON), so strings that hold JSON are opened too, and the innermost code comes first: it was set by
whoever refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CODE_KEYS: Final = frozenset({
    "code", "type", "status", "reason", "error_code", "errorcode", "err_code", "error_type", "errortype",
    "__type", "quotaid", "blockreason", "limit_source", "name", "limit_type", "quotametric",
})  # fmt: skip
_FINISH_KEYS: Final = frozenset({"finish_reason", "finishreason", "stop_reason", "stopreason"})
MESSAGE_KEYS: Final = frozenset({
    "message", "msg", "error", "detail", "details", "title", "description", "error_message", "errormessage",
    "error_msg", "raw", "text", "reason", "cause", "error_description", "errors", "localizedmessage", "body",
    "data", "content", "responsebody", "quotaid",
})  # fmt: skip
_INNER_STATUS_KEYS: Final = frozenset(
    {"code", "status", "status_code", "statuscode", "http_status", "httpstatus"}
)
# What callers or models wrote, not what the server said: a code in there is nobody's.
_PAYLOAD_KEYS: Final = frozenset({
    "failed_generation", "arguments", "input", "input_value", "params", "prompt", "messages", "tasks",
    "usage", "usagemetadata", "headers", "query",
})  # fmt: skip
_NESTING: Final = (dict, list, tuple, Mapping)
_DEPTH: Final = 10
_NODES: Final = 300
_TEXT: Final = 4096
_PARSE_LIMIT: Final = 262_144


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a body said. `codes` innermost first, as sent; `status` is an HTTP status found inside."""

    codes: tuple[str, ...] = ()
    status: int | None = None
    message: str = ""
    finish: str | None = None


EMPTY: Final = Envelope()


def decode(body: object) -> object:
    """Turn bytes or text into a JSON value where it holds one, else into text."""
    if isinstance(body, bytes | bytearray | memoryview):
        body = bytes(body[: 2 * _PARSE_LIMIT]).decode("utf-8", "replace")
    if not isinstance(body, str):
        return body
    return opened(body, body)


def opened(text: str, otherwise: object) -> object:
    """Parse JSON, an SSE data line or a `b'…'` repr around it; give `otherwise` back if it is none."""
    if len(text) > _PARSE_LIMIT:
        return otherwise
    stripped = text.strip()
    if stripped.startswith(("event:", "data:")):
        lines = [line[5:].strip() for line in stripped.splitlines() if line.startswith("data:")]
        stripped = next((line for line in reversed(lines) if line.startswith("{")), "")
    if stripped[:2] in ("b'", 'b"'):
        stripped = stripped[2:-1]
    if stripped[:1] not in ("{", "[") or stripped[-1:] not in ("}", "]"):
        return otherwise
    try:
        value: object = json.loads(stripped)
    except (ValueError, RecursionError):
        return otherwise
    return value


def read(body: object) -> Envelope:
    """Walk a decoded body, breadth first and bounded."""
    if isinstance(body, str):
        return Envelope(message=body)
    if not isinstance(body, _NESTING):
        return EMPTY
    found: list[tuple[int, str]] = []
    words: list[str] = []
    status: tuple[int, int] | None = None
    finish: str | None = None
    queue: list[tuple[int, object]] = [(0, body)]
    for depth, node in queue:
        for key, value in _items(node):
            if key in _PAYLOAD_KEYS:
                continue
            text = value if isinstance(value, str) else None
            child = value if text is None else opened(text, None) if "{" in text or "[" in text else None
            if child is not None and isinstance(child, _NESTING):
                if depth < _DEPTH and len(queue) < _NODES:
                    queue.append((depth + 1, child))
                continue
            number = _status(value) if key in _INNER_STATUS_KEYS else None
            if number is not None and (status is None or depth >= status[0]):
                status = (depth, number)
            if key in CODE_KEYS and isinstance(value, str | int) and not isinstance(value, bool):
                found.append((depth, str(value)[:120]))
            if text is not None and key in _FINISH_KEYS:
                finish = text
            if text is not None and (key in MESSAGE_KEYS or not key):
                words.append(text[:_TEXT])
    found.sort(key=lambda pair: -pair[0])
    return Envelope(
        tuple(dict.fromkeys(code for _, code in found)),
        status[1] if status else None,
        "\n".join(words),
        finish,
    )


def _items(node: object) -> list[tuple[str, object]]:
    if isinstance(node, Mapping):
        return [(str(key).lower(), value) for key, value in list(node.items())[:_NODES]]
    assert isinstance(node, list | tuple)
    return [("", value) for value in node[:_NODES]]


def _status(value: object) -> int | None:
    if isinstance(value, str):
        value = int(value) if len(value) == 3 and value.isascii() and value.isdigit() else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599 else None
