"""A chatbot in the terminal: an untouched app that streams, and knows nothing of Penstock. Start it with

penstock run python examples/chat.py
"""

import sys

import openai

client = openai.OpenAI()
messages: list[dict[str, str]] = []
print("Ask; an empty line ends it.", file=sys.stderr)
for question in iter(sys.stdin.readline, ""):
    if not question.strip():
        break
    messages.append({"role": "user", "content": question.strip()})
    answer = ""
    for chunk in client.chat.completions.create(model="gpt-5-mini", stream=True, messages=messages):
        text = chunk.choices[0].delta.content or "" if chunk.choices else ""
        answer += text
        print(text, end="", flush=True)
    print()
    messages.append({"role": "assistant", "content": answer})
