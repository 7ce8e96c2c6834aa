"""OpenAI Agents: one task a run, so that its fan-out, its attempts and its trust have a name.

penstock run --limit python examples/recipes/openai_agents_run.py
"""

import asyncio

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI

import penstock

set_tracing_disabled(True)  # its own tracing would send the run to OpenAI
model = OpenAIChatCompletionsModel("gpt-5-mini", AsyncOpenAI())
writer = Agent(name="writer", instructions="Write one sentence.", model=model)


async def write(topic: str) -> str:
    with penstock.task(f"write about {topic}", deadline_seconds=60):
        return str((await Runner.run(writer, topic)).final_output)


async def main() -> None:
    texts = await asyncio.gather(*(write(topic) for topic in ("dams", "gates", "turbines")))
    print(f"{len(texts)} texts")


asyncio.run(main())
