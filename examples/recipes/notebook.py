"""Cells of a notebook: instrument once, look at what has run so far in the next cell."""

# %%
import openai

import penstock
from penstock.analysis import errors, open_spans

running = penstock.instrument(limit="enforce", spans="notebook-spans.jsonl")
client = openai.OpenAI()

# %%
for topic in ("dams", "gates"):
    client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": topic}])

# %%
running.flush()
with open_spans(["notebook-spans.jsonl"]) as spans:
    print("\n".join(errors(spans).lines))
