"""The app under test: agents that plan, call tools and fan out, on the real `openai` and `anthropic` clients.

One script, three habits of calling a model. It knows the provider's base URLs from the usual
environment variables and prints a JSON line when it starts and one for every task that ends. How it is
started decides the rest: `penstock run` sees its attempts, `penstock run --limit` queues them.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

import anthropic
import openai

import penstock

Ask = Callable[[str], Coroutine[None, None, str]]
Habit = Callable[[Ask], Ask]

MODELS = {"openai": "gpt-5-mini", "anthropic": "claude-sonnet-5"}
EIGHT = asyncio.Semaphore(8)
SYSTEM = "You are a careful research agent. " * 40  # long enough for the provider's prompt cache


def naive(ask: Ask) -> Ask:
    """Wrap a call as people write it: the SDK's own two retries inside a three-try loop."""

    async def call(prompt: str) -> str:
        for tried in range(3):
            try:
                return await ask(prompt)
            except (openai.APIError, anthropic.APIError):
                if tried == 2:
                    raise
                await asyncio.sleep(2**tried)
        raise AssertionError("unreachable")

    return call


def handmade(ask: Ask) -> Ask:
    """Follow the usual advice: one `Semaphore(8)`, and six tries with full jitter up to a minute."""

    async def call(prompt: str) -> str:
        async with EIGHT:
            for tried in range(6):
                try:
                    return await ask(prompt)
                except (openai.RateLimitError, anthropic.RateLimitError):
                    if tried == 5:
                        raise
                    await asyncio.sleep(random.uniform(0, min(60, 2**tried)))
        raise AssertionError("unreachable")

    return call


def guarded(ask: Ask) -> Ask:
    """Just call. `penstock run --limit` does the rest."""
    return ask


HABITS: dict[str, Habit] = {"naive": naive, "handmade": handmade, "guarded": guarded}


class SearchQuotaError(Exception):
    """The search service's own 429: a tool's failure, not the model provider's."""


@penstock.tool
async def search(query: str, seconds: float, fails: bool) -> str:
    """Look something up; now and then the search service says no."""
    await asyncio.sleep(seconds)
    if fails:
        raise SearchQuotaError("search: 429 Too Many Requests")
    return f"notes on {query}"


@dataclass(frozen=True)
class Stage:
    """One step of a plan: a tool's pause, then calls at once."""

    pause: float
    tool_fails: bool
    calls: int


def plan(rng: random.Random, calls: int) -> list[Stage]:
    """Draw stages: three in five a single call, the others a fan-out of 2 to 5, until `calls` are spent."""
    stages = []
    while calls:
        width = min(calls, rng.randint(2, 5) if rng.random() < 0.4 else 1)
        stages.append(Stage(rng.expovariate(1.0), rng.random() < 0.03, width))
        calls -= width
    return stages


async def work(name: str, ask: Ask, stages: list[Stage]) -> None:
    """Run one task: every answer feeds the next stage."""
    context = name
    for number, stage in enumerate(stages):
        try:
            context = await search(context, stage.pause, stage.tool_fails)
        except SearchQuotaError as error:
            context = f"search failed: {error}"
        prompts = [f"{name}, step {number}.{part}: {context[:200]}" for part in range(stage.calls)]
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(ask(prompt)) for prompt in prompts]
        context = answers[0].result()


def clients(habit: Habit) -> dict[str, Ask]:
    """Make one client a provider, as an app does, and wrap its call in the habit."""
    gpt, claude = openai.AsyncOpenAI(), anthropic.AsyncAnthropic()

    async def ask_gpt(prompt: str) -> str:
        answer = await gpt.chat.completions.create(
            model=MODELS["openai"],
            max_completion_tokens=256,
            messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}],
        )
        return answer.choices[0].message.content or ""

    async def ask_claude(prompt: str) -> str:
        answer = await claude.messages.create(
            model=MODELS["anthropic"],
            max_tokens=256,
            system=SYSTEM,
            messages=[{"role": "user", "content": prompt}],
        )
        return "".join(block.text for block in answer.content if block.type == "text")

    return {"openai": habit(ask_gpt), "anthropic": habit(ask_claude)}


async def run_task(number: int, provider: str, ask: Ask, stages: list[Stage]) -> None:
    """Run one task to its end and report it."""
    name = f"task-{number}"
    began = time.monotonic()
    error = None
    try:
        with penstock.task(name):
            await work(name, ask, stages)
    except Exception as failure:  # noqa: BLE001 - an agent that fails is what is being counted
        leaf: BaseException = failure
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        error = type(leaf).__name__
    line = {
        "task": number,
        "provider": provider,
        "ok": error is None,
        "error": error,
        "calls": sum(stage.calls for stage in stages),
        "seconds": round(time.monotonic() - began, 3),
    }
    report(line)


def report(line: dict[str, object]) -> None:
    """Tell whoever started this script, at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Start every task at once, half on each provider: a fan-out of agents, as orchestrators do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--habit", choices=sorted(HABITS), required=True)
    parser.add_argument("--tasks", type=int, default=30)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    asks = clients(HABITS[options.habit])
    providers = [("openai", "anthropic")[number % 2] for number in range(options.tasks)]
    plans = [plan(rng, options.calls) for _ in providers]
    report({"started": options.tasks})
    await asyncio.gather(
        *(run_task(n, provider, asks[provider], plans[n]) for n, provider in enumerate(providers))
    )


if __name__ == "__main__":
    asyncio.run(main())
