"""Bytes of a file as they were before compression, in bounded pieces."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final, Protocol, cast

import zstandard

PIECE: Final = 1 << 20
ZSTD: Final = b"\x28\xb5\x2f\xfd"
GZIP: Final = b"\x1f\x8b"
LARGEST_FRAME: Final = 256 << 20


class Readable(Protocol):
    """What a source reads from."""

    def read(self, length: int, /) -> bytes:
        """Take up to `length` bytes; b"" at the end."""
        ...


@dataclass(slots=True)
class Source:
    """A file being read.

    `consumed` counts bytes of the file itself (for progress); `broken` says why and where its
    compression stopped making sense.
    """

    stream: Readable
    size: int | None = None
    consumed: int = 0
    broken: str | None = None
    _head: bytes = field(default=b"", repr=False)

    def peek(self, length: int) -> bytes:
        """Look at the first bytes of the file without taking them."""
        while len(self._head) < length:
            more = self.stream.read(length - len(self._head))
            if not more:
                break
            self._head += more
        return self._head[:length]

    def read(self, length: int) -> bytes:
        """Take up to `length` bytes; b"" at the end."""
        taken, self._head = self._head[:length], self._head[length:]
        if len(taken) < length:
            taken += self.stream.read(length - len(taken))
        self.consumed += len(taken)
        return taken


def plain(source: Source) -> Iterator[bytes]:
    """Yield the content in pieces, decompressed by what its first bytes say."""
    head = source.peek(8)
    if head.startswith(ZSTD):
        yield from _zstd(source)
    elif head.startswith(GZIP):
        yield from _gzip(source)
    else:
        while piece := source.read(PIECE):
            yield piece


def _zstd(source: Source) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
        cast("IO[bytes]", _Raw(source)), read_across_frames=True, read_size=PIECE
    )
    try:
        while piece := reader.read(PIECE):
            yield piece
    except zstandard.ZstdError as error:
        source.broken = f"zstd stream breaks near byte {source.consumed}: {error}"


def _gzip(source: Source) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    pending = b""
    while True:
        if inflater.eof:  # files appended to one another are one gzip file
            pending = inflater.unused_data + pending
            pending = pending or source.read(PIECE)
            if not pending.startswith(GZIP):
                return
            inflater = zlib.decompressobj(wbits=31)
        pending = pending or source.read(PIECE)
        if not pending:
            source.broken = f"gzip stream ends early at byte {source.consumed}"
            return
        try:
            piece = inflater.decompress(pending, PIECE)
        except zlib.error as error:
            source.broken = f"gzip stream breaks near byte {source.consumed}: {error}"
            return
        pending = inflater.unconsumed_tail
        if piece:
            yield piece


def framed(source: Source) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, message) of a file of 4-byte big-endian lengths, each frame maybe zstd.

    The Collector's file exporter writes this for protobuf, and for any encoding under its legacy
    `compression: zstd`.
    """
    unpack = zstandard.ZstdDecompressor()
    while prefix := source.read(4):
        offset = source.consumed - len(prefix)
        length = struct.unpack(">I", prefix)[0] if len(prefix) == 4 else -1
        if length < 0:
            source.broken = f"ends inside a frame's length at byte {offset}"
            return
        if length > LARGEST_FRAME:
            source.broken = f"a frame of {length} bytes at byte {offset}"
            return
        message = source.read(length)
        if len(message) < length:
            source.broken = f"ends inside a frame that begins at byte {offset}"
            return
        if message.startswith(ZSTD):
            try:
                message = unpack.stream_reader(message).read(LARGEST_FRAME + 1)
            except zstandard.ZstdError:
                message = b""
        if len(message) > LARGEST_FRAME:
            message = b""  # a bomb; an empty message is counted as a bad record
        yield offset, message


class _Raw(io.RawIOBase):
    def __init__(self, source: Source) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._source.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
