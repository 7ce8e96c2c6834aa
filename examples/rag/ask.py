"""Questions over documents, with a cache that knows which documents an answer rests on.

cd examples/rag && penstock run --limit python ask.py
"""

import hashlib

import openai

import penstock

client = openai.OpenAI()
documents = {
    "penstock": "A penstock is a gate that controls the flow of water to a mill or a turbine.",
    "sluice": "A sluice lets water out of a reservoir.",
}
PROMPT_VERSION = "1"


def embed(text: str) -> list[float]:
    return client.embeddings.create(model="text-embedding-3-small", input=text).data[0].embedding


def nearest(question: str) -> str:
    wanted = embed(question)
    return max(
        documents, key=lambda name: sum(a * b for a, b in zip(wanted, embed(documents[name]), strict=True))
    )


def ask(question: str) -> str:
    """Answer, and tell where the answer came from."""
    with penstock.cached(ttl_seconds=3600, valid_if={"embedding": "text-embedding-3-small"}, sampled=True):
        source = nearest(question)
    digest = hashlib.sha256(documents[source].encode()).hexdigest()
    valid_if = {"prompt": PROMPT_VERSION, "document": digest}
    with penstock.lineage(), penstock.cached(ttl_seconds=600, valid_if=valid_if):
        client.chat.completions.create(
            model="gpt-5-mini",
            temperature=0,
            messages=[{"role": "user", "content": f"{documents[source]}\n\nQuestion: {question}"}],
        )
        return str(penstock.trust().level)


question = "What controls the flow of water?"
print("first:", ask(question))
print("again:", ask(question))
documents = {name: f"{text} (revised)" for name, text in documents.items()}
print("after the documents changed:", ask(question))
