"""Before: a semaphore guesses one process's share of the quota. After: the quota itself is the bound."""

import asyncio

import openai

client = openai.AsyncOpenAI()

# before
slots = asyncio.Semaphore(8)


async def ask_before(question: str) -> str:
    async with slots:
        answer = await client.chat.completions.create(
            model="gpt-5-mini", messages=[{"role": "user", "content": question}]
        )
        return answer.choices[0].message.content or ""


# after: started by `penstock run --limit`; the semaphore goes
async def ask(question: str) -> str:
    answer = await client.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": question}]
    )
    return answer.choices[0].message.content or ""


async def main() -> None:
    for way in (ask_before, ask):
        answers = await asyncio.gather(*(way(f"question {n}") for n in range(12)))
        print(f"{way.__name__}: {len(answers)} answers")


asyncio.run(main())
