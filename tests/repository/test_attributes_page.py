"""docs/attributes.md is the span contract, and the contract is what spans have."""

import asyncio
import json
from pathlib import Path

import openai

import penstock
from penstock.simulator import serve
from penstock.telemetry.attributes_page import catalogue, page

ROOT = Path(__file__).parents[2]


def test_the_page_is_the_contract():
    assert (ROOT / "docs/attributes.md").read_text() == page()


def test_every_attribute_says_what_it_means():
    assert [name for name, meaning in catalogue().items() if not meaning] == []


def test_every_attribute_of_ours_on_spans_and_events_is_in_the_contract(tmp_path):
    @penstock.irreversible(action="pay", requires="fallback", key="{to}", ledger=penstock.MemoryLedger())
    def pay(to):
        return to

    async def app(url):
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
            ask = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi sim:tokens=5"}]}
            with penstock.task("books"):
                await asyncio.gather(*(client.chat.completions.create(**ask) for _ in range(6)))
                pay("me")

    spans = tmp_path / "spans.jsonl"
    with serve() as simulator, penstock.instrument(limit="enforce", spans=spans):
        simulator.script({"status": 429, "headers": {"retry-after": "0.1"}})
        asyncio.run(app(simulator.url))
    found = set()
    for line in spans.read_text().splitlines():
        for batch in json.loads(line)["resourceSpans"]:
            for scope in batch["scopeSpans"]:
                for span in scope["spans"]:
                    for holder in (span, *span.get("events", ())):
                        found |= {pair["key"] for pair in holder.get("attributes", ())}
    ours = {name for name in found if name.startswith("penstock.")}
    assert len(ours) > 20
    assert ours - set(catalogue()) == set()
