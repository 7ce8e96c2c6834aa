"""Amazon's binary event stream: frames of typed headers and a payload, each with two checksums.

Source: smithy.io/2.0/aws/amazon-eventstream.html. A frame is: total length, length of the headers,
CRC-32 of these eight bytes; the headers; the payload; CRC-32 of all before it. Numbers are big-endian.
"""

import binascii
import struct
from typing import Final

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
_STRING: Final = 7
_OVERHEAD: Final = 16


def event(kind: str, payload: bytes) -> bytes:
    """Frame one event."""
    return _frame(
        {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload
    )


def exception(kind: str, payload: bytes) -> bytes:
    """Frame a modelled exception, which ends the stream."""
    return _frame(
        {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}, payload
    )


def _frame(headers: dict[str, str], payload: bytes) -> bytes:
    block = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack(">II", _OVERHEAD + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + block + payload
    return message + struct.pack(">I", binascii.crc32(message))


def _header(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + bytes([_STRING]) + struct.pack(">H", len(value)) + value
