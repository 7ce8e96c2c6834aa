"""Background jobs yield to people who wait.

penstock run --limit celery --workdir examples/recipes -A celery_jobs worker
"""

import os

import openai
from celery import Celery

import penstock

app = Celery("jobs", broker=os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0"))
app.conf.worker_prefetch_multiplier = 1  # a job that waits for quota should not hold others back
client = openai.OpenAI()


@app.task(acks_late=True)
def summarise(document: str) -> None:
    with penstock.task("summarise", priority="batch", deadline_seconds=600):
        client.chat.completions.create(
            model="gpt-5-mini", messages=[{"role": "user", "content": f"Sum up: {document}"}]
        )
