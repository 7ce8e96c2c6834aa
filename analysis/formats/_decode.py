"""From a file to chunks of rows. A `Sink` is the seam: a faster decoder drops in behind it."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, cast

from penstock.analysis._reading import Decoded
from penstock.analysis.formats._sniff import Content, Shape, sniff
from penstock.analysis.formats._source import LARGEST_FRAME, PIECE, Source, framed
from penstock.analysis.formats._text import Chunk, lines, values
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.analysis.formats._sink import Sink


def read_file(stream: BinaryIO, name: str, size: int | None, source: int, told: Decoded) -> "Iterator[Sink]":
    """Yield the spans of a file in chunks, telling `told` what was read.

    Raises:
        UsageError: the file is empty, damaged from its beginning, or no trace file.
    """
    reading = Source(stream, size)
    content = sniff(reading)
    if content.shape is Shape.EMPTY and reading.broken:
        raise UsageError(f"{name}: nothing can be read of it: {reading.broken}")
    if content.shape is Shape.EMPTY:
        raise UsageError(f"{name}: the file is empty; record spans with: penstock run python app.py")
    if content.shape is Shape.FOREIGN:
        raise UsageError(f"{name}: not a trace file (binary, or no JSON in it)")
    for sink in _sinks(content, reading, name, source, told):
        told.add(sink)
        told.file_bytes = reading.consumed
        yield sink
    told.broken = reading.broken
    if told.records == 0 and not (content.marked and (told.truncated_at is not None or told.broken)):
        raise UsageError(f"{name}: not a trace file ({told.foreign or _why(told)})")


def decode_range(path: str, start: int, stop: int, source: int, told: Decoded) -> "Iterator[Sink]":
    """Yield the spans of whole lines between two offsets of an uncompressed file."""
    with open(path, "rb") as stream:
        stream.seek(start)
        yield from _lines(_pieces(stream, stop - start), start, source, told)


def _sinks(content: Content, reading: Source, name: str, source: int, told: Decoded) -> "Iterator[Sink]":
    from penstock.analysis.formats import _json, _parquet
    from penstock.analysis.formats._sink import Sink

    match content.shape:
        case Shape.LINES:
            yield from _lines(content.pieces, 0, source, told)
        case Shape.VALUES:
            for chunk in values(content.pieces):
                sink = Sink(source)
                _json.decode_value(chunk, sink)
                yield sink
        case Shape.FRAMES:
            yield from _frames(content, reading, source)
        case Shape.MESSAGE:
            from penstock.analysis.formats import _otlp_proto

            sink = Sink(source)
            _otlp_proto.decode(_whole(content, name), 0, sink)
            yield sink
        case _:
            yield from _parquet.decode(_seekable(reading, name), source, name)


def _lines(pieces: Iterator[bytes], start: int, source: int, told: Decoded) -> "Iterator[Sink]":
    from penstock.analysis.formats._json import decode_lines
    from penstock.analysis.formats._sink import Sink

    for chunk in lines(pieces, start):
        sink = Sink(source)
        decode_lines(chunk, sink)
        told.consumed = chunk.offset + (chunk.oversized or len(chunk.data))
        if sink.truncated_at is not None:
            told.consumed = sink.truncated_at
        yield sink


def _frames(content: Content, reading: Source, source: int) -> "Iterator[Sink]":
    from penstock.analysis.formats._json import decode_lines
    from penstock.analysis.formats._sink import Sink

    inner = Source(_Pieces(content.pieces)) if content.compressed else reading
    for offset, message in framed(inner):
        sink = Sink(source)
        if not message:
            sink.reject(offset, "an unreadable frame")
        elif message[:1] == b"{":
            decode_lines(Chunk(message, offset), sink)
        else:
            from penstock.analysis.formats import _otlp_proto

            _otlp_proto.decode(message, offset, sink)
        yield sink
    if inner.broken:
        reading.broken = inner.broken


def _whole(content: Content, name: str) -> bytes:
    held: list[bytes] = []
    size = 0
    for piece in content.pieces:
        held.append(piece)
        size += len(piece)
        if size > LARGEST_FRAME:
            raise UsageError(
                f"{name}: one protobuf message of more than {LARGEST_FRAME >> 20} MiB is too large to be read"
            )
    return b"".join(held)


def _seekable(reading: Source, name: str) -> BinaryIO:
    stream = cast("BinaryIO", reading.stream)
    if not stream.seekable():
        raise UsageError(f"{name}: Parquet cannot be read from a pipe; give the file's path")
    stream.seek(0)
    return stream


def _pieces(stream: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0 and (piece := stream.read(min(PIECE, length))):
        length -= len(piece)
        yield piece


def _why(told: Decoded) -> str:
    return told.bad[0].reason if told.bad else "nothing in it is a span"


class _Pieces:
    """A stream over pieces, as much of one as frames need."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._held = chain(pieces), b""

    def read(self, length: int) -> bytes:
        while len(self._held) < length and (piece := next(self._pieces, None)):
            self._held += piece
        taken, self._held = self._held[:length], self._held[length:]
        return taken
