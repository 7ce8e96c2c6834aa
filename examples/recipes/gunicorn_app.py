"""A WSGI app in several workers: one /metrics for all of them.

penstock run --limit --metrics-port 9464 gunicorn --chdir examples/recipes -w 4 gunicorn_app:app
"""

from collections.abc import Callable

import openai

client = openai.OpenAI()


def app(
    environ: dict[str, object], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> list[bytes]:
    answer = client.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": str(environ["QUERY_STRING"])}]
    )
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [(answer.choices[0].message.content or "").encode()]
