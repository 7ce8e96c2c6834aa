"""Response bodies that tell how they ended, for httpx and its fork alike.

A tap stands between the response and its stream. It changes neither bytes nor exceptions nor
laziness. An SDK that has read `[DONE]` drops the iterator, so `GeneratorExit` is the normal end of a
good stream. A tap that is dropped unread tells so when it is collected.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any, Final

from penstock.telemetry import guard
from penstock.telemetry.guard import quietly
from penstock.telemetry.hooks.arrived import arrived
from penstock.telemetry.hooks.live import LiveAttempt

Decode = Callable[[bytes], bytes]


class _Tap:
    """What the two kinds share. `raw_feed`: the bytes on the wire are the content itself."""

    def __init__(self, inner: Any, live: LiveAttempt, raw_feed: bool) -> None:
        self._inner = inner
        self._live = live
        self._raw_feed = raw_feed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_inner"], name)  # `elapsed` and what other instrumentors left there

    def _left(self) -> None:
        """Of an error that is closed unread, take what is there."""
        live = self._live
        if self._raw_feed and live.error_unread:
            live.feed(arrived(self._inner, chunked="transfer-encoding" in live.headers))

    def __del__(self) -> None:
        live = self.__dict__.get("_live")
        if live is not None and live.going:
            quietly("tap.collected", live.collected)

    def _drained(self, content: bytes, error: BaseException | None) -> None:
        live = self._live
        quietly("tap.moved", live.moved)
        quietly("tap.feed", live.feed, content)
        if error is None:
            quietly("tap.finished", live.finished)
        else:
            quietly("tap.broke", live.broke, error)


class _SyncTap(_Tap):
    def drain(self, decode: Decode) -> tuple[list[bytes], Exception | None]:
        """Read a short body now; returns its bytes on the wire and what reading it raised."""
        chunks: list[bytes] = []
        error: Exception | None = None
        try:
            chunks.extend(self._inner)
        except Exception as raised:  # noqa: BLE001 - the app gets it when it reads
            error = raised
        finally:
            self._inner.close()
        self._drained(decode(b"".join(chunks)), error)
        return chunks, error

    def __iter__(self) -> Iterator[bytes]:
        live, raw_feed = self._live, self._raw_feed
        try:
            for chunk in self._inner:
                try:
                    live.moved()
                    if raw_feed:
                        live.feed(chunk)
                except guard.OURS as ours:
                    guard.failed("tap.passed", ours)
                yield chunk
        except GeneratorExit:
            quietly("tap.closed", live.closed)
            raise
        except BaseException as error:
            quietly("tap.broke", live.broke, error)
            raise
        try:
            live.finished()
        except guard.OURS as ours:
            guard.failed("tap.finished", ours)

    def close(self) -> None:
        going = self._live.going
        if going:
            quietly("tap.left", self._left)
        try:
            self._inner.close()
        finally:
            if going:
                quietly("tap.closed", self._live.closed)


class _AsyncTap(_Tap):
    async def drain(self, decode: Decode) -> tuple[list[bytes], Exception | None]:
        """Read a short body now; returns its bytes on the wire and what reading it raised."""
        chunks: list[bytes] = []
        error: Exception | None = None
        try:
            async for chunk in self._inner:
                chunks.append(chunk)  # noqa: PERF401 - what came before an error is kept
        except Exception as raised:  # noqa: BLE001 - the app gets it when it reads
            error = raised
        finally:
            await self._inner.aclose()
        self._drained(decode(b"".join(chunks)), error)
        return chunks, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        live, raw_feed = self._live, self._raw_feed
        inner = self._inner.__aiter__()
        try:
            async for chunk in inner:
                try:
                    live.moved()
                    if raw_feed:
                        live.feed(chunk)
                except guard.OURS as ours:
                    guard.failed("tap.passed", ours)
                yield chunk
        except GeneratorExit:
            quietly("tap.closed", live.closed)
            raise
        except BaseException as error:
            quietly("tap.broke", live.broke, error)
            raise
        finally:
            if isinstance(inner, AsyncGenerator):
                await inner.aclose()
        quietly("tap.finished", live.finished)

    async def aclose(self) -> None:
        going = self._live.going
        if going:
            quietly("tap.left", self._left)
        try:
            await self._inner.aclose()
        finally:
            if going:
                quietly("tap.closed", self._live.closed)


class _DecoderTap:
    """Stands before a response's own decoder: compressed bytes are decoded once, for the app and for us.

    httpx's decoders return bytes, httpx2's iterate over pieces.
    """

    def __init__(self, inner: Any, live: LiveAttempt) -> None:
        self._inner = inner
        self._live = live

    def decode(self, data: bytes) -> bytes | Iterator[bytes]:
        return self._seen(self._inner.decode(data))

    def flush(self) -> bytes | Iterator[bytes]:
        return self._seen(self._inner.flush())

    def _seen(self, content: bytes | Iterator[bytes]) -> bytes | Iterator[bytes]:
        if isinstance(content, bytes):
            quietly("tap.feed", self._live.feed, content)
            return content
        return self._each(content)

    def _each(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            quietly("tap.feed", self._live.feed, piece)
            yield piece


class Replay:
    """A body that is read already, or was never on the wire; ends with `error` where reading did."""

    def __init__(self, chunks: Any, inner: Any = None, error: BaseException | None = None) -> None:
        self._chunks = chunks
        self._inner = inner
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_inner"], name)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Nothing is held."""

    async def aclose(self) -> None:
        """Nothing is held."""


class StreamKinds:
    """The stream classes of one module: its `Response` checks their bases."""

    def __init__(self, module: ModuleType) -> None:
        sync, asynchronous = module.SyncByteStream, module.AsyncByteStream
        self.sync: Final[type[Any]] = type("SyncTap", (_SyncTap, sync), {})
        self.asynchronous: Final[type[Any]] = type("AsyncTap", (_AsyncTap, asynchronous), {})
        self.replay: Final[type[Any]] = type("ReplayStream", (Replay, sync, asynchronous), {})

    def tap(self, response: Any, live: LiveAttempt, asynchronous: bool, encoding: str) -> None:
        """Put a tap into a response whose body is still on the wire; end the attempt if it is not."""
        if response.is_stream_consumed or response.is_closed:
            live.moved()
            live.feed(getattr(response, "_content", b""))
            live.finished()
            return
        encoded = encoding.lower() not in ("", "identity")
        kind = self.asynchronous if asynchronous else self.sync
        response.stream = kind(response.stream, live, not encoded)
        if encoded:
            try:
                response._decoder = _DecoderTap(response._get_content_decoder(), live)
            except guard.OURS as error:
                guard.failed("streams.decoder", error)
