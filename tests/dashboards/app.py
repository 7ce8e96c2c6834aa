"""An app as people write one: agents with tools on the real openai client. Told by JSON on the command line.

Makes one call to every model, says that it is ready, waits for a line, works, says so, and waits to be let
go.
"""

import asyncio
import contextlib
import itertools
import json
import random
import sys
import time
from pathlib import Path

import openai

import penstock

GIVEN = json.loads(sys.argv[1])
RUNTIME = penstock.instrument(spans="off", metrics_port=GIVEN["port"], **GIVEN.get("instrument", {}))
CLIENT = openai.AsyncOpenAI(
    base_url=GIVEN["base_url"], api_key="sk-test", max_retries=GIVEN.get("max_retries", 2), timeout=30
)
SERIAL = itertools.count()


@penstock.tool
async def search(rng: random.Random) -> str:
    await asyncio.sleep(0.01)
    if rng.random() < GIVEN.get("tool_failures", 0.1):
        raise RuntimeError("search: 429 Too Many Requests")
    return "found"


@penstock.irreversible(requires="primary")
def send_mail() -> None:
    """Stands for what cannot be undone."""


def system_prompt() -> str:
    """Give what all prompts begin with; while the file `deployed` is there, each begins in its own way."""
    shifted = "deployed" in GIVEN and Path(GIVEN["deployed"]).exists()
    return (f"call {next(SERIAL)} " if shifted else "") + "careful " * 600


async def ask(model: str) -> None:
    messages = [{"role": "system", "content": system_prompt()}, {"role": "user", "content": "hello"}]
    try:
        await CLIENT.chat.completions.create(model=model, messages=messages, max_tokens=50)
    except openai.APIError:
        await asyncio.sleep(0.05)


async def agent(number: int, until: float) -> None:
    rng = random.Random(number)
    while time.monotonic() < until:
        with penstock.task("agent"):
            with contextlib.suppress(RuntimeError):
                await search(rng)
            calls = rng.randint(*GIVEN.get("fan_out", (1, 3)))
            await asyncio.gather(*(ask(rng.choice(GIVEN["models"])) for _ in range(calls)))
            with contextlib.suppress(penstock.TrustTooLow):
                send_mail()


async def main() -> None:
    for model in GIVEN["models"]:
        with penstock.task("warm-up"):
            await ask(model)
    print(json.dumps({"ready": time.time()}), flush=True)
    sys.stdin.readline()
    until = time.monotonic() + GIVEN["seconds"]
    await asyncio.gather(*(agent(number, until) for number in range(GIVEN["agents"])))
    print(json.dumps({"done": time.time()}), flush=True)
    sys.stdin.readline()
    RUNTIME.shutdown()


asyncio.run(main())
