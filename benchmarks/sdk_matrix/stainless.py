"""SDKs that Stainless generates: openai (chat completions, Responses), anthropic, groq."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from benchmarks.sdk_matrix.drivers import ASK, SAY, Driver, soon
from benchmarks.sdk_matrix.outcomes import Settings


class _Stainless(Driver):
    kinds: tuple[str, str]
    path = "/v1"
    ask: dict[str, Any]

    def connect(self, kind: str, settings: Settings) -> Any:
        soon(self.module)
        made = getattr(__import__(self.module), self.kinds[kind == "async"])
        return made(
            base_url=settings.url + self.path,
            api_key="sk-matrix",
            max_retries=settings.retries,
            timeout=settings.timeout_seconds,
        )

    def create(self, client: Any) -> Any:
        return client.chat.completions.create

    def plain(self, client: Any) -> object:
        return self.create(client)(**self.ask)

    def stream(self, client: Any) -> Iterator[object]:
        with self.create(client)(**self.ask, stream=True) as chunks:
            yield from chunks

    async def plain_async(self, client: Any) -> object:
        return await self.create(client)(**self.ask)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        async with await self.create(client)(**self.ask, stream=True) as chunks:
            async for chunk in chunks:
                yield chunk


class OpenAI(_Stainless):
    name = package = module = "openai"
    kinds = ("OpenAI", "AsyncOpenAI")
    ask = {"model": "gpt-5", "messages": ASK}  # noqa: RUF012


class Responses(OpenAI):
    name = "openai responses"
    speaks_openai_or_anthropic = False  # an error in a 200 is a failed response there
    ask = {"model": "gpt-5", "input": SAY}  # noqa: RUF012

    def create(self, client: Any) -> Any:
        return client.responses.create


class Embeddings(OpenAI):
    name = "openai embeddings"
    manners = ("sync", "async")
    ask = {"model": "text-embedding-3-small", "input": SAY}  # noqa: RUF012

    def create(self, client: Any) -> Any:
        return client.embeddings.create


class Anthropic(_Stainless):
    name = package = module = "anthropic"
    kinds = ("Anthropic", "AsyncAnthropic")
    path = ""
    ask = {"model": "claude-x", "max_tokens": 64, "messages": ASK}  # noqa: RUF012

    def create(self, client: Any) -> Any:
        return client.messages.create


class Groq(_Stainless):
    name = package = module = "groq"
    kinds = ("Groq", "AsyncGroq")
    path = "/groq"
    ask = {"model": "m", "messages": ASK}  # noqa: RUF012


DRIVERS: Final = (OpenAI, Responses, Embeddings, Anthropic, Groq)
