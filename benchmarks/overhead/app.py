"""The app under test: openai's SDK over a connection pool that answers from memory, or over loopback.

The pool stands below `httpx2.HTTPTransport`, so that SDK wrappers, transport wrappers and `Client.send`
hooks all see what they see in production, and no network adds noise.
"""

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, Final

import httpcore2
import httpx2
import orjson
from openai import OpenAI

HOST: Final = "https://api.openai.com/v1"
HEADERS: Final = {
    "x-request-id": "req_0123456789abcdef",
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-tokens": "199000",
    "x-ratelimit-reset-tokens": "6m0s",
    "date": "Mon, 24 Nov 2025 10:00:00 GMT",
    "server": "bench",
}
_FRAME: Final = {"id": "chatcmpl-1", "created": 1, "model": "gpt-5"}
_WORDS: Final = "hello " * 20
USAGE: Final = {
    "prompt_tokens": 50,
    "completion_tokens": 20,
    "total_tokens": 70,
    "prompt_tokens_details": {"cached_tokens": 0},
}
ANSWER: Final = orjson.dumps(
    {
        **_FRAME,
        "object": "chat.completion",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": _WORDS}}
        ],
        "usage": USAGE,
    }
)


def _event(delta: dict[str, str], finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {**_FRAME, "object": "chat.completion.chunk", "choices": [choice], **more}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


EVENTS: Final = [
    _event({"role": "assistant", "content": ""}),
    *(_event({"content": "hello "}) for _ in range(20)),
    _event({}, "stop", usage=USAGE),
    b"data: [DONE]\n\n",
]

SMALL: Final = [{"role": "user", "content": _WORDS}]
LARGE: Final = [{"role": "user", "content": "hello " * 166} for _ in range(41)]
PROMPTS: Final = {"small": SMALL, "40 KB": LARGE}
MEMORY: Final = tuple(f"{size}, {way}" for size in PROMPTS for way in ("plain", "stream"))
LOOPBACK: Final = "small, plain, loopback"


class _Body:
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks

    def close(self) -> None: ...


class MemoryPool:
    """Answers in the place of `httpcore2.ConnectionPool`."""

    def __init__(self) -> None:
        same = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        self._plain = [(b"content-type", b"application/json"), *same]
        self._stream = [(b"content-type", b"text/event-stream"), *same]

    def handle_request(self, request: Any) -> httpcore2.Response:
        sent = b"".join(request.stream)
        stream = b'"stream":true' in sent[-64:] or b'"stream":true' in sent[:64]
        return httpcore2.Response(
            200,
            headers=self._stream if stream else self._plain,
            content=_Body(EVENTS if stream else [ANSWER]),  # type: ignore[arg-type]
        )

    def close(self) -> None: ...


def memory_client() -> httpx2.Client:
    """Make a client whose answers come from memory."""
    transport = httpx2.HTTPTransport()
    transport._pool = MemoryPool()  # type: ignore[assignment]
    return httpx2.Client(transport=transport)


def calls(loopback: str | None) -> dict[str, Callable[[], object]]:
    """Make the app's calls, by scenario."""
    memory = OpenAI(base_url=HOST, api_key="sk-bench", http_client=memory_client(), max_retries=0)
    made: dict[str, Callable[[], object]] = {}
    for size, messages in PROMPTS.items():
        made[f"{size}, plain"] = lambda messages=messages: _plain(memory, messages)
        made[f"{size}, stream"] = lambda messages=messages: _stream(memory, messages)
    if loopback is not None:
        client = OpenAI(base_url=loopback, api_key="sk-bench", max_retries=0)
        made[LOOPBACK] = lambda: _plain(client, SMALL)
    return made


def _plain(client: OpenAI, messages: Any) -> object:
    return client.chat.completions.create(model="gpt-5", messages=messages)


def _stream(client: OpenAI, messages: Any) -> object:
    chunks = 0
    for _ in client.chat.completions.create(model="gpt-5", messages=messages, stream=True):
        chunks += 1
    return chunks


@contextlib.contextmanager
def loopback_server() -> Iterator[str]:
    """Serve the same plain answer over loopback, in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        process.terminate()
        process.join()


def _serve(told: Connection) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    answer = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(ANSWER)}\r\n{head}\r\n"
    ).encode() + ANSWER

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in asked.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                await reader.readexactly(length)
                writer.write(answer)
                await writer.drain()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())
