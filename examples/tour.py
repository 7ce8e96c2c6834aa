"""Twenty-four questions at once, as apps ask them: no throttle, the SDK's own retries, nothing of Penstock.

penstock run python examples/tour.py
"""

import asyncio

import openai


async def ask(client: openai.AsyncOpenAI, number: int) -> str:
    answer = await client.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": f"question {number}"}], max_tokens=40
    )
    return answer.choices[0].message.content or ""


async def main() -> None:
    async with openai.AsyncOpenAI() as client:
        answers = await asyncio.gather(*(ask(client, n) for n in range(24)), return_exceptions=True)
    refused = sum(isinstance(answer, openai.RateLimitError) for answer in answers)
    print(f"{len(answers) - refused} answered, {refused} refused")


asyncio.run(main())
