"""Apps that make the same calls through different SDKs and frameworks, and what the provider answers.

Each call is one operation. Imports are those of an app, so they stand in its function.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Outcome = Mapping[str, object]
Calls = Mapping[str, Callable[[], object]]

_OK: Final[Outcome] = {"status": 200, "output_tokens": 8}
_LIMITED: Final[Outcome] = {"status": 429, "headers": {"retry-after-ms": "5", "retry-after": "0"}}
_REFUSED: Final[Outcome] = {"status": 400}
_MESSAGES: Final[Any] = [{"role": "user", "content": "hi there"}]


@dataclass(frozen=True, slots=True)
class Answers:
    """What the provider says to one call, attempt by attempt, and how Penstock is to class the call."""

    outcomes: tuple[Outcome, ...]
    error_class: str | None = None


ANSWERS: Final[dict[str, Answers]] = {
    "plain": Answers((_OK,)),
    "stream": Answers((_OK,)),
    "async": Answers((_OK,)),
    "retried": Answers((_LIMITED, _OK)),
    "refused": Answers((_REFUSED,), "invalid_request"),
}


@contextlib.contextmanager
def _openai(url: str) -> Iterator[Calls]:
    import openai

    given: Any = {"model": "gpt-5", "messages": _MESSAGES}
    counted: Any = {**given, "stream": True, "stream_options": {"include_usage": True}}

    async def asynchronous() -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
            await client.chat.completions.create(**given)

    with openai.OpenAI(base_url=f"{url}/v1", api_key="k") as client:
        create = client.chat.completions.create
        yield {
            "plain": lambda: create(**given),
            "stream": lambda: list(create(**counted)),
            "async": lambda: asyncio.run(asynchronous()),
            "retried": lambda: create(**given),
            "refused": lambda: create(**given),
        }


@contextlib.contextmanager
def _anthropic(url: str) -> Iterator[Calls]:
    import anthropic

    given: Any = {"model": "claude-x", "messages": _MESSAGES, "max_tokens": 64}

    async def asynchronous() -> None:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k") as client:
            await client.messages.create(**given)

    with anthropic.Anthropic(base_url=url, api_key="k") as client:
        create = client.messages.create
        yield {
            "plain": lambda: create(**given),
            "stream": lambda: list(create(**given, stream=True)),
            "async": lambda: asyncio.run(asynchronous()),
            "retried": lambda: create(**given),
            "refused": lambda: create(**given),
        }


@contextlib.contextmanager
def _langchain(url: str) -> Iterator[Calls]:
    from langchain_openai import ChatOpenAI

    given: Any = {"api_key": "k", "use_responses_api": False, "stream_usage": True}
    model = ChatOpenAI(model="gpt-5", base_url=f"{url}/v1", **given)
    yield {
        "plain": lambda: model.invoke("hi"),
        "stream": lambda: list(model.stream("hi")),
        "async": lambda: asyncio.run(model.ainvoke("hi")),
        "retried": lambda: model.invoke("hi"),
        "refused": lambda: model.invoke("hi"),
    }


@contextlib.contextmanager
def _pydantic_ai(url: str) -> Iterator[Calls]:
    import openai
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
            model = OpenAIChatModel("gpt-5", provider=OpenAIProvider(openai_client=client))
            await Agent(model, name="helper").run("hi")

    yield {name: lambda: asyncio.run(ask()) for name in ("plain", "retried", "refused")}


@contextlib.contextmanager
def _agents(url: str) -> Iterator[Calls]:
    import openai
    from agents import Agent, OpenAIChatCompletionsModel, Runner

    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
            model = OpenAIChatCompletionsModel(model="gpt-5", openai_client=client)
            await Runner.run(Agent(name="helper", model=model), "hi")

    yield {name: lambda: asyncio.run(ask()) for name in ("plain", "retried", "refused")}


@contextlib.contextmanager
def _litellm(url: str) -> Iterator[Calls]:
    import litellm

    given: Any = {
        "model": "openai/gpt-5", "messages": _MESSAGES, "api_base": f"{url}/v1", "api_key": "k",
        "max_retries": 2,
    }  # fmt: skip
    counted: Any = {**given, "stream": True, "stream_options": {"include_usage": True}}

    yield {
        "plain": lambda: litellm.completion(**given),
        "stream": lambda: list(litellm.completion(**counted)),
        "async": lambda: asyncio.run(litellm.acompletion(**given)),
        "retried": lambda: litellm.completion(**given),
        "refused": lambda: litellm.completion(**given),
    }


APPS: Final[dict[str, Callable[[str], contextlib.AbstractContextManager[Calls]]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "langchain": _langchain,
    "pydantic-ai": _pydantic_ai,
    "openai-agents": _agents,
    "litellm": _litellm,
}
