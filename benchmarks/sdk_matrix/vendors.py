"""SDKs with a shape of their own: google-genai, mistralai, cohere, ollama, boto3 and aiobotocore."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar, Final

from benchmarks.sdk_matrix.drivers import ASK, SAY, Driver
from benchmarks.sdk_matrix.outcomes import Settings


class Gemini(Driver):
    name = package = "google-genai"
    module = "google.genai"
    left = {"class": (None,), "end": ("closed", "collected")}  # noqa: RUF012 - over aiohttp it drops the answer
    speaks_openai_or_anthropic = False
    _ask: ClassVar = {"model": "gemini-2.5-flash", "contents": SAY}

    def connect(self, kind: str, settings: Settings) -> Any:
        from google import genai
        from google.genai import types

        retries = types.HttpRetryOptions(
            attempts=settings.retries + 1, initial_delay=0.005, max_delay=0.01, jitter=0.0
        )
        options = types.HttpOptions(
            base_url=f"{settings.url}/gemini",
            retry_options=retries,
            timeout=int(settings.timeout_seconds * 1000),
        )
        client = genai.Client(api_key="k", http_options=options)
        return client if kind == "sync" else client.aio

    async def disconnect(self, client: Any) -> None:
        await client.aclose()

    def plain(self, client: Any) -> object:
        return client.models.generate_content(**self._ask)

    def stream(self, client: Any) -> Iterator[object]:
        with contextlib.closing(client.models.generate_content_stream(**self._ask)) as chunks:
            yield from chunks

    async def plain_async(self, client: Any) -> object:
        return await client.models.generate_content(**self._ask)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        async with contextlib.aclosing(await client.models.generate_content_stream(**self._ask)) as chunks:
            async for chunk in chunks:
                yield chunk


class Mistral(Driver):
    name = package = "mistralai"
    module = "mistralai.client"
    _ask: ClassVar = {"model": "mistral-small", "messages": ASK}

    def connect(self, kind: str, settings: Settings) -> Any:
        from mistralai.client import Mistral
        from mistralai.client.utils import BackoffStrategy, RetryConfig

        elapsed = int(settings.persistent_seconds * 1000)
        return Mistral(
            api_key="k",
            server_url=f"{settings.url}/mistral",
            retry_config=RetryConfig("backoff", BackoffStrategy(5, 10, 1.5, elapsed, jitter_ms=1), True),
            timeout_ms=int(settings.timeout_seconds * 1000),
        )

    async def disconnect(self, client: Any) -> None:
        await client.__aexit__(None, None, None)

    def plain(self, client: Any) -> object:
        return client.chat.complete(**self._ask)

    def stream(self, client: Any) -> Iterator[object]:
        with client.chat.stream(**self._ask) as chunks:
            yield from chunks

    async def plain_async(self, client: Any) -> object:
        return await client.chat.complete_async(**self._ask)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        async with await client.chat.stream_async(**self._ask) as chunks:
            async for chunk in chunks:
                yield chunk


class Cohere(Driver):
    name = package = module = "cohere"
    app_tries_again = ("sync stream", "async stream")
    speaks_openai_or_anthropic = False
    _ask: ClassVar = {"model": "command-a", "messages": ASK}

    def connect(self, kind: str, settings: Settings) -> Any:
        import cohere
        from cohere.core import http_client

        http_client.INITIAL_RETRY_DELAY_SECONDS = 0.005  # type: ignore[assignment]
        http_client.MAX_RETRY_DELAY_SECONDS = 0.01  # type: ignore[assignment]
        made = cohere.ClientV2 if kind == "sync" else cohere.AsyncClientV2
        client = made(
            api_key="k",
            base_url=f"{settings.url}/cohere",
            timeout=settings.timeout_seconds,
            max_retries=settings.retries,
        )
        return client

    async def disconnect(self, client: Any) -> None:
        await client.__aexit__(None, None, None)

    def plain(self, client: Any) -> object:
        return client.chat(**self._ask)

    def stream(self, client: Any) -> Iterator[object]:
        with contextlib.closing(client.chat_stream(**self._ask)) as chunks:
            yield from chunks

    async def plain_async(self, client: Any) -> object:
        return await client.chat(**self._ask)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        async with contextlib.aclosing(client.chat_stream(**self._ask)) as chunks:
            async for chunk in chunks:
                yield chunk


class Ollama(Driver):
    name = package = module = "ollama"
    app_tries_again = Driver.manners
    limited = "overloaded"  # the simulator's Ollama has no quota, but a full queue
    speaks_openai_or_anthropic = False
    _ask: ClassVar = {"model": "llama3", "messages": ASK}

    def connect(self, kind: str, settings: Settings) -> Any:
        import ollama

        made = ollama.Client if kind == "sync" else ollama.AsyncClient
        return made(host=f"{settings.url}/ollama", timeout=settings.timeout_seconds)

    async def disconnect(self, client: Any) -> None:
        await client._client.aclose()

    def plain(self, client: Any) -> object:
        return client.chat(**self._ask)

    def stream(self, client: Any) -> Iterator[object]:
        with contextlib.closing(client.chat(**self._ask, stream=True)) as chunks:
            yield from chunks

    async def plain_async(self, client: Any) -> object:
        return await client.chat(**self._ask)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        async with contextlib.aclosing(await client.chat(**self._ask, stream=True)) as chunks:
            async for chunk in chunks:
                yield chunk


class _Bedrock(Driver):
    speaks_openai_or_anthropic = False
    _ask: ClassVar = {
        "modelId": "us.amazon.nova-lite-v1:0",
        "messages": [{"role": "user", "content": [{"text": SAY}]}],
    }

    def options(self, config: Any, settings: Settings) -> dict[str, Any]:
        from botocore.retries.standard import ExponentialBackoff

        ExponentialBackoff.delay_amount = lambda self, context: 0.005
        return {
            "endpoint_url": f"{settings.url}/bedrock",
            "region_name": "us-east-1",
            "aws_access_key_id": "AKIATEST",
            "aws_secret_access_key": "y",
            "config": config(
                retries={"total_max_attempts": settings.retries + 1, "mode": "standard"},
                read_timeout=settings.timeout_seconds,
            ),
        }


class Boto3(_Bedrock):
    name = "boto3 bedrock"
    package = module = "boto3"
    manners = ("sync", "sync stream")

    def connect(self, kind: str, settings: Settings) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client("bedrock-runtime", **self.options(Config, settings))

    def plain(self, client: Any) -> object:
        return client.converse(**self._ask)

    def stream(self, client: Any) -> Iterator[object]:
        with contextlib.closing(client.converse_stream(**self._ask)["stream"]) as chunks:
            yield from chunks


class Boto3Invoke(Boto3):
    name = "boto3 invoke"
    _claude: ClassVar = {
        "modelId": "anthropic.claude-x",
        "body": json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64, "messages": ASK}),
    }

    def plain(self, client: Any) -> object:
        return client.invoke_model(**self._claude)["body"].read()

    def stream(self, client: Any) -> Iterator[object]:
        answer = client.invoke_model_with_response_stream(**self._claude)
        with contextlib.closing(answer["body"]) as chunks:
            yield from chunks


class Aiobotocore(_Bedrock):
    name = package = module = "aiobotocore"
    manners = ("async", "async stream")

    def connect(self, kind: str, settings: Settings) -> Any:
        from aiobotocore.config import AioConfig
        from aiobotocore.session import get_session

        return get_session().create_client("bedrock-runtime", **self.options(AioConfig, settings))

    def client(self, kind: str, settings: Settings) -> Any:
        """Make one for each cell: it can be entered once."""
        return self.connect(kind, settings)

    async def plain_async(self, client: Any) -> object:
        async with client as opened:
            return await opened.converse(**self._ask)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        async with client as opened:
            answer = await opened.converse_stream(**self._ask)
            with contextlib.closing(answer["stream"]) as chunks:
                async for chunk in chunks:
                    yield chunk


DRIVERS: Final = (Gemini, Mistral, Cohere, Ollama, Boto3, Boto3Invoke, Aiobotocore)
