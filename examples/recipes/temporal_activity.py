"""A Temporal activity: Penstock waits for quota inside the attempt, Temporal repeats what Penstock refused.

Start its worker with `penstock run --limit python your_worker.py`.
"""

from datetime import timedelta

import openai
from temporalio import activity
from temporalio.exceptions import ApplicationError

import penstock

client = openai.AsyncOpenAI()


@activity.defn
async def draft(topic: str) -> str:
    now = activity.info()
    left = now.start_to_close_timeout or timedelta(seconds=60)
    key = f"{now.workflow_run_id}:{now.activity_id}"  # the same on every attempt of this activity
    with penstock.task(f"draft {topic}", deadline_seconds=left.total_seconds()), penstock.repeatable(key):
        try:
            answer = await client.chat.completions.create(
                model="gpt-5-mini", messages=[{"role": "user", "content": topic}]
            )
        except openai.RateLimitError as busy:
            wait = float(busy.response.headers.get("retry-after", "1"))
            raise ApplicationError("no quota", next_retry_delay=timedelta(seconds=wait)) from busy
        return answer.choices[0].message.content or ""
