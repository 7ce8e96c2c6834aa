"""DeepSeek's users through an outage: a local model answers, and the app can tell.

cd examples/local_fallback && penstock run python app.py

Without a key or an Ollama, provider.toml stands in for both.
"""

import os

import openai

import penstock

client = openai.OpenAI(
    base_url=os.environ.get("DEEPSEEK_BASE_URL", "https://api.deepseek.com/v1"),
    api_key=os.environ.get("DEEPSEEK_API_KEY", "none"),
)
for question in ("What is a weir?", "What is a penstock?", "What is a surge tank?"):
    with penstock.task(question):
        answer = client.chat.completions.create(
            model="deepseek-chat", messages=[{"role": "user", "content": question}]
        )
        print(f"{answer.model}: {penstock.trust()}")
