"""One worker of many on one quota. Nothing here knows of the others, or of Penstock.

penstock run python worker.py 10
"""

import asyncio
import sys

import openai


async def main(questions: int) -> None:
    async with openai.AsyncOpenAI() as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model="gpt-5-mini",
                    max_tokens=20,
                    messages=[{"role": "user", "content": f"Question {n}?"}],
                )
                for n in range(questions)
            )
        )
    print(f"{sum(bool(answer.choices) for answer in answers)} answers")


asyncio.run(main(int(sys.argv[1])))
