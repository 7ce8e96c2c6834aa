"""Forty calls at once on a small quota, guarded by one line: they queue, and none is refused.

python examples/fan_out.py
"""

import asyncio

import openai

import penstock

penstock.instrument(limit="enforce")


@penstock.tool
async def look_up(topic: str) -> str:
    """A tool: what it raises is a tool error, whatever it says."""
    await asyncio.sleep(0.01)
    return f"notes on {topic}"


async def ask(client: openai.AsyncOpenAI, topic: str) -> str:
    notes = await look_up(topic)
    answer = await client.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": f"Sum up: {notes}"}]
    )
    return answer.choices[0].message.content or ""


async def main() -> None:
    client = openai.AsyncOpenAI()
    with penstock.task("survey", priority="interactive", deadline_seconds=60):
        answers = await asyncio.gather(*(ask(client, f"topic {n}") for n in range(40)))
    print(f"{sum(bool(answer) for answer in answers)} answers")


asyncio.run(main())
