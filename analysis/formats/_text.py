"""Cut text into JSON values: lines where there are lines, a value stream where there are none."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

BLOCK: Final = 3 << 20
LARGEST_RECORD: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole records of one source; `offset` is where `data` begins, in decompressed bytes.

    `last`: the file ends here without closing the record, so what does not parse is truncated, not
    bad. `oversized`: the length of a record that was too large to be read (`data` is empty).
    """

    data: bytes
    offset: int
    last: bool = False
    oversized: int = 0


def lines(pieces: Iterable[bytes], start: int = 0) -> Iterator[Chunk]:
    """Yield chunks of whole lines. A line above `LARGEST_RECORD` is skipped in bounded memory."""
    rest, offset, skipped = b"", start, 0
    for block in _blocks(pieces):
        if skipped:
            cut = block.find(b"\n") + 1
            skipped += cut or len(block)
            if not cut:
                continue
            yield Chunk(b"", offset, oversized=skipped)
            offset += skipped
            skipped, block = 0, block[cut:]
        if cut := block.rfind(b"\n") + 1:
            data = b"".join((rest, memoryview(block)[:cut]))
            yield Chunk(data, offset)
            offset += len(data)
            rest = block[cut:]
        else:
            rest += block
        if len(rest) > LARGEST_RECORD:
            skipped, rest = len(rest), b""
    if skipped:
        yield Chunk(b"", offset, oversized=skipped)
    elif rest:
        yield Chunk(rest, offset, last=True)


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= BLOCK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def values(pieces: Iterable[bytes]) -> Iterator[Chunk]:
    """Yield one chunk a top-level JSON object, found by its braces.

    Arrays are entered, and so are the lists that wrap a whole export (`{"resourceSpans":[…]}`,
    `{"data":[…]}`), so that a file that is one value is still read in parts. Text between values (log
    lines around a console exporter's spans) is passed over.
    """
    splitter = _Splitter()
    for block in _blocks(pieces):
        yield from splitter.feed(block)
    yield from splitter.close()


class _Splitter:
    _TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}]|"', re.DOTALL)
    _STRING: Final = re.compile(rb'(?:[^"\\]|\\.)*+', re.DOTALL)
    _OUTSIDE: Final = re.compile(rb"[{}\[\]]")
    _WRAPPER: Final = re.compile(rb'\{\s*"(?:resourceSpans|resource_spans|batches|data)"\s*:\s*\[')
    _SIGHT: Final = 64

    def __init__(self) -> None:
        self._buffer = b""
        self._base = 0  # offset of the buffer's first byte
        self._at = 0  # scanned up to here
        self._begin = 0  # where the open value begins
        self._depth = 0
        self._in_string = False
        self._entered = 0  # brackets of arrays and wrappers that are open around the values
        self._dropped = 0  # bytes of the open value that were let go, since it is too large

    def feed(self, block: bytes, final: bool = False) -> Iterator[Chunk]:
        self._buffer += block
        while self._step_inside() if self._depth else self._step_outside(final):
            if self._depth == 0 and self._begin >= 0:
                yield self._take()
        self._forget()

    def close(self) -> Iterator[Chunk]:
        yield from self.feed(b"", final=True)
        if self._depth:
            data = b"" if self._dropped else self._buffer[self._begin :]
            offset = self._base + self._begin - self._dropped
            yield Chunk(data, offset, last=not self._dropped, oversized=self._dropped)
        elif self._entered > 0:
            yield Chunk(b"", self._base + len(self._buffer), last=True)

    def _take(self) -> Chunk:
        begin, self._begin = self._begin, -1
        if self._dropped:
            size = self._dropped + self._at - begin
            chunk = Chunk(b"", self._base + begin - self._dropped, oversized=size)
            self._dropped = 0
            return chunk
        return Chunk(self._buffer[begin : self._at], self._base + begin)

    def _step_inside(self) -> bool:
        if self._in_string and not self._close_string():
            return False
        for token in self._TOKEN.finditer(self._buffer, self._at):
            mark = token[0]
            self._at = token.end()
            if mark == b'"':
                self._in_string = True
                self._close_string()
                return False
            if mark == b"{":
                self._depth += 1
            elif mark == b"}":
                self._depth -= 1
                if self._depth == 0:
                    return True
        self._at = len(self._buffer)
        return False

    def _close_string(self) -> bool:
        """Go on inside a string that the last block left open; a backslash at the end waits for its mate."""
        inside = self._STRING.match(self._buffer, self._at)
        self._at = inside.end() if inside else self._at
        if self._buffer[self._at : self._at + 1] != b'"':
            return False
        self._at += 1
        self._in_string = False
        return True

    def _step_outside(self, final: bool) -> bool:
        self._begin = -1
        token = self._OUTSIDE.search(self._buffer, self._at)
        if token is None:
            self._at = len(self._buffer)
            return False
        mark, start = token[0], token.start()
        if mark == b"{":
            if len(self._buffer) - start < self._SIGHT and not final:
                self._at = start
                return False
            self._at = token.end()
            if wrapper := self._WRAPPER.match(self._buffer, start):
                self._entered += 2
                self._at = wrapper.end()
            elif self._begins_value(start):
                self._begin, self._depth = start, 1
            return True
        self._at = token.end()
        if mark == b"[" and self._begins_value(start):
            self._entered += 1
        elif mark in b"]}" and self._entered:
            self._entered -= 1
        return True

    def _begins_value(self, start: int) -> bool:
        """A brace in the middle of a log line begins nothing."""
        before = self._buffer[max(0, start - self._SIGHT) : start].rstrip(b" \t\r\xef\xbb\xbf\x1e")
        return not before or before[-1:] in b"\n[]{},:"

    def _forget(self) -> None:
        """Let go of what was scanned; of an open value only when it is too large."""
        keep = self._begin if self._depth else max(0, self._at - self._SIGHT)
        if self._depth and len(self._buffer) - keep > LARGEST_RECORD:
            self._dropped += self._at - keep
            keep = self._begin = self._at
        self._buffer = self._buffer[keep:]
        self._base += keep
        self._at -= keep
        self._begin = self._begin - keep if self._begin >= 0 else -1
