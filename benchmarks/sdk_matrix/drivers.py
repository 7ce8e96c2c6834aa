"""One model call by each SDK, in its four manners: sync or async, plain or streamed.

Streams are iterators of chunks, so that a cell can stop in the middle. What is not installed is left out.
"""

import importlib.util
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

MESSAGES = [{"role": "user", "content": "Say where the water goes."}]


class Driver(Protocol):
    """One SDK. `retries` is what the cell asks the SDK to do by itself."""

    name: str
    module: str

    def plain(self, url: str, retries: int, timeout_seconds: float) -> None: ...

    def stream(self, url: str, retries: int, timeout_seconds: float) -> Iterator[object]: ...

    async def plain_async(self, url: str, retries: int, timeout_seconds: float) -> None: ...

    def stream_async(self, url: str, retries: int, timeout_seconds: float) -> AsyncIterator[object]: ...


def impatient(client: Any) -> Any:
    """Shorten the SDK's own back-off: how long it sleeps is not what a cell is about."""
    client._calculate_retry_timeout = lambda *args, **kwargs: 0.005
    return client


class OpenAI:
    name, module = "openai", "openai"

    def _client(self, kind: str, url: str, retries: int, timeout_seconds: float) -> Any:
        import openai

        client = getattr(openai, kind)(
            base_url=f"{url}/v1", api_key="sk-matrix", max_retries=retries, timeout=timeout_seconds
        )
        return impatient(client)

    def plain(self, url: str, retries: int, timeout_seconds: float) -> None:
        with self._client("OpenAI", url, retries, timeout_seconds) as client:
            client.chat.completions.create(model="gpt-5", messages=MESSAGES)

    def stream(self, url: str, retries: int, timeout_seconds: float) -> Iterator[object]:
        with (
            self._client("OpenAI", url, retries, timeout_seconds) as client,
            client.chat.completions.create(model="gpt-5", messages=MESSAGES, stream=True) as chunks,
        ):
            yield from chunks

    async def plain_async(self, url: str, retries: int, timeout_seconds: float) -> None:
        async with self._client("AsyncOpenAI", url, retries, timeout_seconds) as client:
            await client.chat.completions.create(model="gpt-5", messages=MESSAGES)

    async def stream_async(self, url: str, retries: int, timeout_seconds: float) -> AsyncIterator[object]:
        async with (
            self._client("AsyncOpenAI", url, retries, timeout_seconds) as client,
            await client.chat.completions.create(model="gpt-5", messages=MESSAGES, stream=True) as chunks,
        ):
            async for chunk in chunks:
                yield chunk


class Anthropic:
    name, module = "anthropic", "anthropic"

    def _client(self, kind: str, url: str, retries: int, timeout_seconds: float) -> Any:
        import anthropic

        client = getattr(anthropic, kind)(
            base_url=url, api_key="sk-matrix", max_retries=retries, timeout=timeout_seconds
        )
        return impatient(client)

    def plain(self, url: str, retries: int, timeout_seconds: float) -> None:
        with self._client("Anthropic", url, retries, timeout_seconds) as client:
            client.messages.create(model="claude-x", max_tokens=64, messages=MESSAGES)

    def stream(self, url: str, retries: int, timeout_seconds: float) -> Iterator[object]:
        with (
            self._client("Anthropic", url, retries, timeout_seconds) as client,
            client.messages.create(model="claude-x", max_tokens=64, messages=MESSAGES, stream=True) as chunks,
        ):
            yield from chunks

    async def plain_async(self, url: str, retries: int, timeout_seconds: float) -> None:
        async with self._client("AsyncAnthropic", url, retries, timeout_seconds) as client:
            await client.messages.create(model="claude-x", max_tokens=64, messages=MESSAGES)

    async def stream_async(self, url: str, retries: int, timeout_seconds: float) -> AsyncIterator[object]:
        async with (
            self._client("AsyncAnthropic", url, retries, timeout_seconds) as client,
            await client.messages.create(
                model="claude-x", max_tokens=64, messages=MESSAGES, stream=True
            ) as chunks,
        ):
            async for chunk in chunks:
                yield chunk


def installed() -> list[Driver]:
    """List the drivers whose SDK this environment has."""
    every: tuple[Driver, ...] = (OpenAI(), Anthropic())
    return [driver for driver in every if importlib.util.find_spec(driver.module) is not None]
