"""Say what a file is by its content, never by its name."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Final

import orjson

from penstock.analysis.formats._source import GZIP, ZSTD, Source, plain

_SIGHT: Final = 4 << 20
_TRIED_LINES: Final = 50
_MARGIN: Final = b" \t\r\n\x1e\xef\xbb\xbf"
_MARKS: Final = (
    b"resourceSpans", b"resource_spans", b"ResourceSpans", b"scopeSpans", b'"batches"', b"traceId",
    b"traceID",
    b"trace_id", b"TraceId", b"startTimeUnixNano",
)  # fmt: skip


class Shape(StrEnum):
    """How records lie in a file."""

    LINES = "lines"
    VALUES = "values"
    FRAMES = "frames"
    MESSAGE = "message"
    PARQUET = "parquet"
    FOREIGN = "foreign"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Content:
    """What a file turned out to be. `pieces` is its whole decompressed content, first bytes included.

    `marked`: the first bytes name something that only traces have.
    """

    shape: Shape
    pieces: Iterator[bytes]
    compressed: bool = False
    marked: bool = False


def sniff(source: Source) -> Content:
    """Look at the first megabytes of a file."""
    head = source.peek(16)
    if head.startswith(b"PAR1"):
        return Content(Shape.PARQUET, iter(()))
    if _is_framed(head, source.size):
        return Content(Shape.FRAMES, iter(()), marked=True)
    pieces = plain(source)
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _SIGHT:
            break
    sight = b"".join(held)
    compressed = head.startswith((ZSTD, GZIP))
    content = chain([sight], pieces)
    if _is_framed(sight[:16], None):
        return Content(Shape.FRAMES, content, compressed, marked=True)
    return Content(_shape(sight), content, compressed, any(mark in sight for mark in _MARKS))


def _shape(sight: bytes) -> Shape:
    text = sight.strip(_MARGIN)
    if not text:
        return Shape.EMPTY
    if text[:1] not in b"{[" and sight[:1] == b"\n" and b"\x00" in sight:
        return Shape.MESSAGE
    if b"\x00" in sight[:4096]:
        return Shape.MESSAGE if sight[:1] == b"\n" else Shape.FOREIGN
    rows = [row for row in sight.split(b"\n", _TRIED_LINES)[:_TRIED_LINES] if row.strip(_MARGIN)]
    if any(_is_object(row) for row in rows):
        return Shape.LINES
    if text[:1] in b"{[":
        return Shape.LINES if len(rows) == 1 and len(sight) < _SIGHT else Shape.VALUES
    if b"\n{" in sight:
        return Shape.VALUES
    return Shape.MESSAGE if sight[:1] == b"\n" else Shape.FOREIGN


def _is_object(row: bytes) -> bool:
    text = row.strip(_MARGIN)
    if not (text.startswith((b"{", b"[{")) and text.endswith((b"}", b"]"))):
        return False
    if text == b"{}":
        return False  # an empty object inside an indented one
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.startswith(b'{"') and b"}{" in text
    return True


def _is_framed(head: bytes, size: int | None) -> bool:
    """Four bytes of big-endian length, then a zstd frame, `{`, or protobuf's field 1."""
    if len(head) < 6 or head[0] > 0x0F or head[:4] == b"\n\n\n\n":
        return False
    length = int.from_bytes(head[:4], "big")
    inner = head[4:]
    plausible = length > 1 and (size is None or length <= size) and head[0] != 0x0A
    return plausible and (inner.startswith(ZSTD) or inner[:1] in b"{\n")
