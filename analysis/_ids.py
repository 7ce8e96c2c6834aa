"""Ids as the store keeps them: lower-case hex, 32 digits for a trace and 16 for a span."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

TRACE_DIGITS: Final = 32
SPAN_DIGITS: Final = 16
_HEX: Final = frozenset("0123456789abcdefABCDEF")


def hex_id(value: object, digits: int) -> str | None:
    """Read an id of any encoding; None when there is none.

    OTLP/JSON writes hex in either case, plain proto3 JSON writes base64 (24 or 12 characters), Jaeger
    drops leading zeros, console dumps write `0x…`, protobuf has raw bytes. Ids that are none of
    these (Langfuse allows any text) are kept as they are.
    """
    if value.__class__ is str and len(value) == digits:
        try:
            raw = bytes.fromhex(value)
        except ValueError:
            raw = b""
        if 2 * len(raw) == digits:  # spaces are no digits
            return value.lower() if any(raw) else None
    if isinstance(value, bytes):
        return value.hex() if any(value) else None
    if not isinstance(value, str):
        return f"{value:0{digits}x}" if isinstance(value, int) and value > 0 else None
    if not value:
        return None
    if value.startswith(("0x", "0X")):
        value = value[2:]
    if len(value) <= TRACE_DIGITS and _HEX.issuperset(value):
        text = value.lower().zfill(digits)
        return text if text.strip("0") else None
    return _from_base64(value, digits) or value


def _from_base64(value: str, digits: int) -> str | None:
    octets = digits // 2
    if len(value) not in {(octets * 4 + 2) // 3, (octets + 2) // 3 * 4}:
        return None
    try:
        raw = base64.b64decode(
            value + "=" * (-len(value) % 4), altchars=b"-_" if {"-", "_"} & set(value) else None
        )
    except (binascii.Error, ValueError):
        return None
    if len(raw) != octets:
        return None
    return raw.hex() if any(raw) else None


def hex_ids(values: Sequence[object], digits: int) -> Sequence[str | None]:
    """Read a column of ids: all at once where they are plain, else one by one."""
    if not any(values):
        return [None] * len(values)
    if set(map(type, values)) == {str} and set(map(len, values)) == {digits}:  # type: ignore[arg-type]
        whole = "".join(values)  # type: ignore[arg-type]
        if _is_plain(whole) and "0" * digits not in whole:
            return values  # type: ignore[return-value]
    return [hex_id(value, digits) for value in values]


def _is_plain(text: str) -> bool:
    """Say whether this is lower-case hex and nothing else."""
    try:
        return 2 * len(bytes.fromhex(text)) == len(text) and text == text.lower()
    except ValueError:
        return False
