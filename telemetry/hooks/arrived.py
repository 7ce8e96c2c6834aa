"""What has come of a body and is not read yet: it lies in the connection's parser, and a look costs no I/O.

An SDK that will try again closes a refused stream unread. Whether it was refused for a minute or for good
stands in that body.
"""

from typing import Any, Final

_INNER: Final = ("_stream", "_httpcore_stream", "_connection", "_h11_state")
"""Where httpx, its fork and httpcore keep the next layer, down to h11's connection."""
_LAYERS: Final = 8


def arrived(stream: Any, *, chunked: bool) -> bytes:
    """Look at a response stream's unread bytes; empty where the transport is another."""
    layer = stream
    for _ in range(_LAYERS):
        waiting = getattr(layer, "trailing_data", None)  # h11's word for what was received and not parsed
        if isinstance(waiting, tuple):
            raw = bytes(waiting[0])
            return _joined(raw) if chunked else raw
        held = getattr(layer, "__dict__", {})
        name = next((name for name in _INNER if name in held), None)
        if name is None:
            return b""
        layer = held[name]
    return b""


def _joined(raw: bytes) -> bytes:
    """Put chunks together (RFC 9112 §7.1), as far as they are there."""
    whole = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        try:
            length = int(size.partition(b";")[0], 16)
        except ValueError:
            break
        whole, raw = whole + raw[:length], raw[length + 2 :]
    return whole
