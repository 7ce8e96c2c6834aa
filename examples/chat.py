"""An untouched app: it knows nothing of Penstock. Start it with

penstock run python examples/chat.py "why is the sky blue?"
"""

import sys

import openai

question = sys.argv[1] if len(sys.argv) > 1 else "What is a penstock?"
client = openai.OpenAI()
stream = client.chat.completions.create(
    model="gpt-5-mini", stream=True, messages=[{"role": "user", "content": question}]
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
