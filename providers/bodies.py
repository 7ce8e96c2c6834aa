"""Answers as they pass by: JSON documents and SSE streams, read in bounded memory.

A codec (one function a wire format) is handed each decoded JSON value and writes what it learns into
`Notes`. Stream events are decoded only when their bytes hold a marker that the codec asked for: most
chunks of a stream are a few words of text that nobody here needs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import orjson

from penstock.providers.facts import Outcome, Usage

DOCUMENT_LIMIT: Final = 256 * 1024
"""A longer document (embeddings) keeps only its two ends, which hold model, id and usage."""
_HEAD: Final = 4 * 1024
_TAIL: Final = 16 * 1024
_DONE: Final = b"[DONE]"
EVENT_LIMIT: Final = 1024 * 1024
"""A longer line or event of a stream is skipped."""

_COUNTLESS: Final = 2**63
_USAGE: Final = re.compile(rb'"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})')
_MODEL: Final = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.){0,200}")')


@dataclass(slots=True)
class Notes:
    """What is known of an answer so far."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    error: Mapping[str, object] | None = None
    complete: bool = False

    def outcome(self) -> Outcome:
        """Freeze."""
        usage = Usage(self.input, self.output, self.cache_read, self.cache_write)
        return Outcome(
            usage if usage != _UNKNOWN else None,
            self.model,
            self.response_id,
            self.finish_reason,
            self.error,
            self.complete,
        )


_UNKNOWN: Final = Usage()


Codec = Callable[[Mapping[str, object], Notes], None]


class JsonReader:
    """Reads one JSON document."""

    __slots__ = ("_buffer", "_codec", "_notes", "_read", "_total")

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._buffer = bytearray()
        self._total = 0
        self._notes = Notes()
        self._read = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._total += len(chunk)
        self._buffer += chunk
        if len(self._buffer) > DOCUMENT_LIMIT + _HEAD:
            del self._buffer[_HEAD:-_TAIL]

    def outcome(self) -> Outcome:
        """Read the document, once."""
        if not self._read:
            self._read = True
            if self._total <= DOCUMENT_LIMIT:
                self._whole()
            else:
                self._ends()
            self._buffer.clear()
        return self._notes.outcome()

    def _whole(self) -> None:
        try:
            value = orjson.loads(self._buffer)
        except orjson.JSONDecodeError:
            begins = self._buffer.lstrip().startswith((b"{", b"["))
            self._notes.complete = not begins or self._buffer.rstrip().endswith((b"}", b"]"))
            return
        self._notes.complete = True
        for item in value if isinstance(value, list) else (value,):  # Gemini streams one array
            if isinstance(item, dict):
                self._codec(item, self._notes)

    def _ends(self) -> None:
        self._notes.complete = True
        ends: dict[str, object] = {}
        if model := _MODEL.search(self._buffer):
            ends.update(decode(b'{"model":%s}' % model[1]) or {})
        if usages := _USAGE.findall(self._buffer):
            ends["usage"] = decode(usages[-1])
        self._codec(ends, self._notes)


class NdjsonReader:
    """Reads lines of JSON: Ollama's streams, and Cohere's first."""

    __slots__ = ("_codec", "_first", "_marked", "_notes", "_rest", "_skipping")

    def __init__(self, codec: Codec, markers: tuple[bytes, ...]) -> None:
        self._codec = codec
        self._marked = _any_of(markers).search
        self._notes = Notes()
        self._rest = bytearray()
        self._first = True
        self._skipping = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._rest += chunk
        if b"\n" not in chunk:
            self._bound()
            return
        lines = self._rest.split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._line(bytes(line))

    def outcome(self) -> Outcome:
        """Tell what was learnt so far."""
        if self._rest and not self._skipping:
            self._line(bytes(self._rest))  # the last line may lack its end
            self._rest.clear()
        return self._notes.outcome()

    def _bound(self) -> None:
        if len(self._rest) > EVENT_LIMIT:
            self._rest.clear()
            self._skipping = True

    def _line(self, line: bytes) -> None:
        if self._skipping:
            self._skipping = False  # the end of a line too long to keep
        elif line:
            self._event(line)

    def _event(self, data: bytes) -> None:
        if self._first or self._marked(data) is not None:
            self._first = False
            value = decode(data)
            if value is not None:
                self._codec(value, self._notes)


class SseReader(NdjsonReader):
    """Reads a stream of server-sent events (WHATWG HTML §9.2.6: lines end in LF, CRLF or CR)."""

    __slots__ = ("_data", "_size")

    def __init__(self, codec: Codec, markers: tuple[bytes, ...]) -> None:
        super().__init__(codec, markers)
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; most often they are one whole event of one line."""
        alone = chunk[:5] == b"data:" and chunk[-2:] == b"\n\n" and chunk.count(b"\n") == 2
        if alone and not (self._rest or self._size or self._skipping or b"\r" in chunk):
            if self._first or _DONE in chunk or self._marked(chunk) is not None:  # most say nothing to us
                self._said(chunk[5:-2].strip())
        else:
            super().feed(chunk)

    def _line(self, line: bytes) -> None:
        if self._skipping:
            self._skipping = False
            self._data.clear()
            self._size = 0
        elif line.startswith(b"data:"):
            self._size += len(line)
            if self._size <= EVENT_LIMIT:
                self._data.append(line[5:].strip())
        elif not line and self._size:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            whole, self._size = self._size <= EVENT_LIMIT, 0
            self._data.clear()
            if whole:
                self._said(data)

    def _said(self, data: bytes) -> None:
        if data == _DONE:
            self._notes.complete = True
        else:
            self._event(data)


@cache
def _any_of(markers: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Look for all markers at once: every event of a stream passes here."""
    return re.compile(b"|".join(map(re.escape, markers)))


def decode(data: bytes | bytearray) -> Mapping[str, object] | None:
    """Decode a JSON object; None for anything else."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def part(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Read an object field; empty where it is missing or no object."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def text(value: Mapping[str, object], name: str) -> str | None:
    """Read a string field."""
    found = value.get(name)
    return found if isinstance(found, str) and found else None


def count(value: Mapping[str, object], name: str) -> int | None:
    """Read a count: a whole number, not negative, and not beyond what others keep in 64 bits."""
    found = value.get(name)
    if found is None or isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return int(found) if 0 <= found < _COUNTLESS else None
