"""Frameworks over an SDK: litellm, LangChain, pydantic-ai, OpenAI Agents, LlamaIndex."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar, Final

from benchmarks.sdk_matrix.drivers import ASK, SAY, Driver, soon
from benchmarks.sdk_matrix.outcomes import Settings


class LiteLLM(Driver):
    name = package = module = "litellm"
    left = {"class": (None,), "end": ("collected", "closed")}  # noqa: RUF012 - its sync streams cannot be closed

    def connect(self, kind: str, settings: Settings) -> Any:
        import litellm

        soon("openai")
        litellm.suppress_debug_info = True
        return {
            "model": "openai/gpt-5", "messages": ASK, "api_base": f"{settings.url}/v1", "api_key": "k",
            "max_retries": settings.retries, "timeout": settings.timeout_seconds,
        }  # fmt: skip

    async def disconnect(self, client: Any) -> None:
        """Its clients are its own."""

    def plain(self, client: Any) -> object:
        import litellm

        return litellm.completion(**client)

    def stream(self, client: Any) -> Iterator[object]:
        import litellm

        yield from litellm.completion(**client, stream=True)

    async def plain_async(self, client: Any) -> object:
        import litellm

        return await litellm.acompletion(**client)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        import litellm

        chunks = await litellm.acompletion(**client, stream=True)
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            await chunks.aclose()


class LangChain(Driver):
    name = "langchain"
    package, module = "langchain-openai", "langchain_openai"

    def connect(self, kind: str, settings: Settings) -> Any:
        from langchain_openai import ChatOpenAI

        soon("openai")
        given: Any = {"max_retries": settings.retries, "timeout": settings.timeout_seconds}
        return ChatOpenAI(
            model="gpt-5", base_url=f"{settings.url}/v1", api_key="k", use_responses_api=False, **given
        )

    async def disconnect(self, client: Any) -> None:
        await client.root_async_client.close()

    def plain(self, client: Any) -> object:
        return client.invoke(SAY)

    def stream(self, client: Any) -> Iterator[object]:
        with contextlib.closing(client.stream(SAY)) as chunks:
            yield from chunks

    async def plain_async(self, client: Any) -> object:
        return await client.ainvoke(SAY)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        async with contextlib.aclosing(client.astream(SAY)) as chunks:
            async for chunk in chunks:
                yield chunk


class _OverAsyncOpenAI(Driver):
    """A framework that is given openai's client, and has no sync form but a loop of its own."""

    manners = ("async", "async stream")

    def connect(self, kind: str, settings: Settings) -> Any:
        import openai

        soon("openai")
        return openai.AsyncOpenAI(
            base_url=f"{settings.url}/v1",
            api_key="k",
            max_retries=settings.retries,
            timeout=settings.timeout_seconds,
        )


class PydanticAI(_OverAsyncOpenAI):
    name = "pydantic-ai"
    package, module = "pydantic-ai-slim", "pydantic_ai"

    def _agent(self, client: Any) -> Any:
        from pydantic_ai import Agent
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        return Agent(OpenAIChatModel("gpt-5", provider=OpenAIProvider(openai_client=client)))

    async def plain_async(self, client: Any) -> object:
        return await self._agent(client).run(SAY)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        async with self._agent(client).run_stream(SAY) as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                yield piece


class Agents(_OverAsyncOpenAI):
    name = package = "openai-agents"
    module = "agents"
    left = {"class": ("cancelled",), "end": ("cancelled",)}  # noqa: RUF012 - read by a task that is cancelled

    def _agent(self, client: Any) -> tuple[Any, Any]:
        from agents import Agent, OpenAIChatCompletionsModel, RunConfig

        model = OpenAIChatCompletionsModel(model="gpt-5", openai_client=client)
        return Agent(name="helper", model=model), RunConfig(tracing_disabled=True)

    async def plain_async(self, client: Any) -> object:
        from agents import Runner

        agent, config = self._agent(client)
        return await Runner.run(agent, SAY, run_config=config)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        from agents import Runner

        agent, config = self._agent(client)
        result = Runner.run_streamed(agent, SAY, run_config=config)
        try:
            async for event in result.stream_events():
                if event.type == "raw_response_event":
                    yield event
        finally:
            result.cancel()
            with contextlib.suppress(BaseException):
                await result._run_impl_task


class LlamaIndex(Driver):
    name = "llama-index"
    package, module = "llama-index-llms-openai", "llama_index.llms.openai"
    app_tries_again = Driver.manners  # it does, around the SDK's own tries
    left = {"class": (None,), "end": ("collected", "closed")}  # noqa: RUF012 - it drops the stream
    _given: ClassVar = {"model": "gpt-4o", "api_key": "k"}

    def connect(self, kind: str, settings: Settings) -> Any:
        from llama_index.llms.openai import OpenAI

        soon("openai")
        return OpenAI(
            **self._given,
            api_base=f"{settings.url}/v1",
            max_retries=settings.retries,
            timeout=settings.timeout_seconds,
        )

    async def disconnect(self, client: Any) -> None:
        if client._aclient is not None:
            await client._aclient.close()

    def plain(self, client: Any) -> object:
        return client.complete(SAY)

    def stream(self, client: Any) -> Iterator[object]:
        with contextlib.closing(client.stream_complete(SAY)) as chunks:
            yield from chunks

    async def plain_async(self, client: Any) -> object:
        return await client.acomplete(SAY)

    async def stream_async(self, client: Any) -> AsyncIterator[object]:
        async with contextlib.aclosing(await client.astream_complete(SAY)) as chunks:
            async for chunk in chunks:
                yield chunk


DRIVERS: Final = (LiteLLM, LangChain, PydanticAI, Agents, LlamaIndex)
