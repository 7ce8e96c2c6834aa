"""A service that says when to come back instead of failing.

penstock run --limit uvicorn --app-dir examples/recipes fastapi_service:app
"""

import openai
from fastapi import FastAPI, HTTPException

import penstock

app = FastAPI()
client = openai.AsyncOpenAI()


@app.get("/ask")
async def ask(question: str) -> dict[str, str]:
    with penstock.task("ask", priority="interactive", deadline_seconds=20):
        try:
            answer = await client.chat.completions.create(
                model="gpt-5-mini", messages=[{"role": "user", "content": question}]
            )
        except openai.RateLimitError as busy:
            again = busy.response.headers.get("retry-after", "1")
            raise HTTPException(503, "busy", headers={"Retry-After": again}) from busy
        return {"answer": answer.choices[0].message.content or "", "trust": penstock.trust().level}
