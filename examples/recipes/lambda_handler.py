"""A serverless function: the platform freezes the process after the answer, so hand the spans over first."""

import openai

import penstock

running = penstock.instrument(
    limit="enforce", spans="off", max_wait_seconds=5
)  # spans go by OTEL_EXPORTER_OTLP_*
client = openai.OpenAI()


def handler(event: dict[str, str], context: object) -> dict[str, object]:
    try:
        with penstock.task("answer", deadline_seconds=10):
            answer = client.chat.completions.create(
                model="gpt-5-mini", messages=[{"role": "user", "content": event["question"]}]
            )
        return {"statusCode": 200, "body": answer.choices[0].message.content}
    except openai.RateLimitError as busy:
        return {"statusCode": 503, "headers": {"Retry-After": busy.response.headers.get("retry-after", "1")}}
    finally:
        running.flush()
