"""A door between two parts, through which bytes pass until it is told to be a bad network."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Final

ABORT: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero: closing sends RST
CHUNK: Final = 16_384
RESET_EVERY: Final = 4  # while it resets, each fourth answer is cut by an RST


class Door:
    """A TCP proxy on loopback. `delay_seconds` holds back each chunk of an answer; `mode` is how it fails."""

    def __init__(self, target_port: int) -> None:
        self.delay_seconds = 0.0
        self.mode = "open"
        self._target = target_port
        self._answers = 0
        self._visits: set[asyncio.Task[None] | None] = set()  # asyncio alone would let go of them
        self._path = asyncio.Event()
        self._path.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listening = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port: int = self._listening.sockets[0].getsockname()[1]

    @contextlib.contextmanager
    def failing(self, mode: str = "open", *, delay_seconds: float = 0.0) -> Iterator[None]:
        """Be bad for a while: `parted` lets nothing through, `resets` cuts answers short; or be slow."""
        self.mode, self.delay_seconds = mode, delay_seconds
        if mode == "parted":
            self._loop.call_soon_threadsafe(self._path.clear)
        try:
            yield
        finally:
            self.mode, self.delay_seconds = "open", 0.0
            self._loop.call_soon_threadsafe(self._path.set)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._listening.close()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._visit, "127.0.0.1", 0)

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit: asyncio.Task[None] | None = asyncio.current_task()
        self._visits.add(visit)
        try:
            await self._let_through(reader, writer)
        finally:
            self._visits.discard(visit)

    async def _let_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ways = (self._pass(reader, back, writer, answer=False), self._pass(there, writer, back, answer=True))
        with contextlib.suppress(OSError):
            await asyncio.gather(*ways)
        for end in (writer, back):
            end.transport.abort()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
        *,
        answer: bool,
    ) -> None:
        while data := await source.read(CHUNK):
            await self._path.wait()  # TCP sends it again when the path is back
            if answer and self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            if answer and self._cuts():
                sink.write(data[: len(data) // 2])
                for end in (sink, other):
                    connection: socket.socket = end.get_extra_info("socket")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                    end.transport.abort()
                return
            sink.write(data)
            await sink.drain()
        with contextlib.suppress(OSError):
            sink.write_eof()

    def _cuts(self) -> bool:
        self._answers += self.mode == "resets"
        return self.mode == "resets" and self._answers % RESET_EVERY == 0
