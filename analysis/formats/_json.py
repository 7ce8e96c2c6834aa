"""Decode chunks of JSON: whatever each value turns out to be."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import orjson

from penstock.analysis.formats import _clickhouse, _console, _jaeger, _otlp_json, _otlp_typed, _phoenix
from penstock.analysis.formats._sink import Sink
from penstock.analysis.formats._text import Chunk

Json = Mapping[str, object]

_READERS: Final[tuple[tuple[Callable[[Json], bool], Callable[[Json, int, Sink], None]], ...]] = (
    (_otlp_json.claims, _otlp_json.read),
    (_console.claims, _console.read),
    (_jaeger.claims, _jaeger.read),
    (_clickhouse.claims, _clickhouse.read),
    (_phoenix.claims, _phoenix.read),
)
_MARGIN: Final = b" \t\r\x1e\xef\xbb\xbf"


def decode_lines(chunk: Chunk, sink: Sink) -> None:
    """Read a chunk of lines, each holding one value, or several."""
    if chunk.oversized:
        sink.reject(chunk.offset, f"a record of {chunk.oversized} bytes is too large to be read")
        return
    data, start, typed = chunk.data, 0, _otlp_typed.Typed(sink)
    view = memoryview(data)
    while start < len(data):
        stop = data.find(b"\n", start)
        stop = len(data) if stop < 0 else stop
        plain = data[start : start + 1] == b"{"  # most lines begin so, and need not be copied
        line = view[start:stop] if plain else data[start:stop].strip(_MARGIN)
        if line and not typed.read_line(line, chunk.offset + start):
            _decode(bytes(line), chunk.offset + start, sink, truncated=chunk.last and stop == len(data))
        start = stop + 1
    typed.flush()


def decode_value(chunk: Chunk, sink: Sink) -> None:
    """Read a chunk that is one value; where it is broken, go on at the next `{` in column 0."""
    if chunk.oversized:
        sink.reject(chunk.offset, f"a record of {chunk.oversized} bytes is too large to be read")
        return
    begin = 0
    while (again := chunk.data.find(b"\n{", begin + 1)) >= 0 and not _is_json(chunk.data[begin:]):
        _decode(chunk.data[begin : again + 1], chunk.offset + begin, sink, truncated=False)
        begin = again + 1
    _decode(chunk.data[begin:], chunk.offset + begin, sink, truncated=chunk.last)


def take(value: object, offset: int, sink: Sink) -> None:
    """Read one decoded value."""
    if isinstance(value, list):
        for item in value:
            take(item, offset, sink)
        return
    if isinstance(value, Mapping):
        for claims, read in _READERS:
            if claims(value):
                read(value, offset, sink)
                return
        if signal := _otlp_json.other_signal(value):
            sink.foreign = f"OTLP {signal}, not traces"
            sink.reject(offset, f"OTLP {signal}")
            return
    sink.reject(offset, "not a span in any known format")


def _decode(text: bytes, offset: int, sink: Sink, *, truncated: bool) -> None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        _decode_odd(text, offset, sink, truncated=truncated)
        return
    take(value, offset, sink)


def _decode_odd(text: bytes, offset: int, sink: Sink, *, truncated: bool) -> None:
    """Several values in one line, NaN as Python writes it, or broken text."""
    try:
        for value in _stream(text.decode("utf-8", "replace")):
            take(value, offset, sink)
    except (json.JSONDecodeError, RecursionError) as error:
        if truncated:
            sink.truncated_at = offset
        else:
            sink.reject(offset, f"not JSON: {error}"[:200])


def _stream(text: str) -> Iterator[object]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield value
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
