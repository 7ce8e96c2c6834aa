"""Error envelopes: whatever shape a body has, reduced to codes, an inner status and the words.

Envelopes nest (OpenRouter's `metadata.raw`, LiteLLM's message, gateways that quote their upstream's
JSON), so strings that hold JSON are opened too, and the innermost code comes first: it was set by
whoever refused.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple

CODE_KEYS: Final = frozenset({
    "code", "type", "status", "reason", "error_code", "errorcode", "err_code", "error_type", "errortype",
    "__type", "quotaid", "blockreason", "limit_source", "name", "limit_type", "quotametric", "status_code",
})  # fmt: skip
_FINISH_KEYS: Final = frozenset({"finish_reason", "finishreason", "stop_reason", "stopreason"})
MESSAGE_KEYS: Final = frozenset({
    "message", "msg", "error", "detail", "details", "title", "description", "error_message", "errormessage",
    "error_msg", "errmsg", "err_msg", "status_msg", "raw", "text", "reason", "cause", "error_description",
    "errors", "localizedmessage", "body",
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
# What a key's value is good for: one look-up a key, since most keys are good for nothing.
_PAYLOAD, _CODE, _STATUS, _FINISH, _WORDS = 1, 2, 4, 8, 16
_USES: Final[dict[str, int]] = {"": _WORDS}
for _keys, _use in (
    (CODE_KEYS, _CODE), (_INNER_STATUS_KEYS, _STATUS), (_FINISH_KEYS, _FINISH), (MESSAGE_KEYS, _WORDS),
    (_PAYLOAD_KEYS, _PAYLOAD),
):  # fmt: skip
    for _key in _keys:
        _USES[_key] = _USES.get(_key, 0) | _use
_NESTING: Final = (dict, list, tuple, Mapping)
_LEAVES: Final = frozenset({str, int, float, bool, type(None)})
_DEPTH: Final = 10
_NODES: Final = 300
_TEXT: Final = 4096
_PARSE_LIMIT: Final = 262_144


class Envelope(NamedTuple):
    """What a body said. `codes` innermost first, as sent; `status` is an HTTP status found inside; `of` is
    the body that was read.
    """

    codes: tuple[str, ...] = ()
    status: int | None = None
    message: str = ""
    finish: str | None = None
    of: object = None


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
        return Envelope(message=body, of=body)
    if not _nests(body):
        return EMPTY
    found: list[tuple[int, str]] = []
    words: list[str] = []
    status: int | None = None
    status_depth = -1
    finish: str | None = None
    queue: list[tuple[int, object]] = [(0, body)]
    for depth, node in queue:
        for key, value in _items(node):
            use = _USES.get((key if type(key) is str else str(key)).lower(), 0)
            if use & _PAYLOAD:
                continue
            text = value if isinstance(value, str) else None
            child = value if text is None else opened(text, None) if "{" in text or "[" in text else None
            if _nests(child):
                if depth < _DEPTH and len(queue) < _NODES:
                    queue.append((depth + 1, child))
                continue
            if not use:
                continue
            if use & _STATUS and depth >= status_depth and (number := _status(value)) is not None:
                status, status_depth = number, depth
            if use & _CODE and _codes(value):
                found.append((depth, str(value)[:120]))
            if text is not None and use & _FINISH:
                finish = text
            if text is not None and use & _WORDS:
                words.append(text[:_TEXT])
    found.sort(key=_innermost)
    codes = tuple(dict.fromkeys([code for _, code in found]))
    return Envelope(codes, status, "\n".join(words), finish, body)


def _innermost(code: tuple[int, str]) -> int:
    return -code[0]


def _items(node: object) -> Iterable[tuple[object, object]]:
    if type(node) is dict or isinstance(node, Mapping):
        return islice(node.items(), _NODES)
    assert isinstance(node, list | tuple)
    return [("", value) for value in node[:_NODES]]


def _nests(value: object) -> bool:
    """Tell whether there is something inside. What JSON knows comes first: asking for a Mapping is slow."""
    kind = type(value)
    return kind is dict or kind is list or (kind not in _LEAVES and isinstance(value, _NESTING))


def _codes(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def _status(value: object) -> int | None:
    if isinstance(value, str):
        value = int(value) if len(value) == 3 and value.isascii() and value.isdigit() else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599 else None
