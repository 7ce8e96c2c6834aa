"""Run the three arms at once, each on a simulator of its own, and count."""

import asyncio
import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.simulator.demo.arm import Arm

ARMS: Final = {
    "naive": "SDK retries × three tries",
    "handmade": "Semaphore(8), full jitter",
    "guarded": "penstock run --limit",
}
TICK_SECONDS: Final = 1.0
BUCKET_SECONDS: Final = 10.0

# Half of the agents on each provider, so half of the quota on each.
SCENARIO: Final = """\
name = "demo"

[[pools]]
name = "openai"
headers = "openai"
requests_per_minute = {half}
bucket_seconds = {bucket}
charge_rejected = true      # OpenAI: "unsuccessful requests contribute to your per-minute limit"
retry_after = "seconds"
latency_seconds = {{ distribution = "lognormal", mean = 1.2, sigma = 0.6 }}

[[pools]]
name = "anthropic"
headers = "anthropic"
requests_per_minute = {half}
bucket_seconds = {bucket}
charge_rejected = false     # undocumented for Anthropic
retry_after = "seconds"
latency_seconds = {{ distribution = "lognormal", mean = 1.2, sigma = 0.6 }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to race. `requests_per_minute` is each arm's quota, half of it on each provider."""

    folder: Path
    tasks: int = 30
    calls: int = 20
    seed: int = 1
    requests_per_minute: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an arm did. Live percentiles are the simulator's own, exact and time-weighted.

    `goodput_ratio`: calls of finished tasks ÷ calls the quota could admit until the arm's last task
    ended. `wasted_attempts`: attempts that no finished task used. Task times are those of finished
    tasks only; None when none finished.
    """

    tasks_total: int
    tasks_finished: int
    attempts: int
    rate_limited: int
    wasted_attempts: int
    goodput_ratio: float
    live_p50: int
    live_p95: int
    live_p99: int
    task_p50_seconds: float | None
    task_p99_seconds: float | None
    seconds: float
    spans: str


async def race(options: Options, on_tick: Callable[[Sequence[Arm]], None]) -> dict[str, Result]:
    """Run all arms to their end; `on_tick` is called every second with what is known."""
    options.folder.mkdir(parents=True, exist_ok=True)
    scenario = options.folder / "quota.toml"
    half = options.requests_per_minute / 2
    scenario.write_text(SCENARIO.format(half=half, bucket=BUCKET_SECONDS))
    arms = [Arm(name=name, says=says, spans=options.folder / f"{name}.jsonl") for name, says in ARMS.items()]
    for arm in arms:
        arm.spans.unlink(missing_ok=True)
    arms[1].fixed_cap = 8
    try:
        await asyncio.gather(*(arm.open_quota(scenario, options.seed) for arm in arms))
        await asyncio.gather(*(_start(arm, options) for arm in arms))
        await _watch(arms, on_tick)
    finally:
        await asyncio.gather(*(arm.stop() for arm in arms))
    return {arm.name: result(arm, options) for arm in arms}


async def _start(arm: Arm, options: Options) -> None:
    numbers = {"--tasks": options.tasks, "--calls": options.calls, "--seed": options.seed}
    agent = ["--habit", arm.name, *(word for flag, value in numbers.items() for word in (flag, str(value)))]
    if arm.name != "guarded":
        await arm.start([], agent, None)
        return
    port = _free_port()
    await arm.start(["--limit", "--metrics-port", str(port)], agent, port)


async def _watch(arms: Sequence[Arm], on_tick: Callable[[Sequence[Arm]], None]) -> None:
    running = [asyncio.ensure_future(arm.follow()) for arm in arms]
    broken = False
    try:
        while not broken and not all(task.done() for task in running):
            await asyncio.wait(running, timeout=TICK_SECONDS, return_when=asyncio.ALL_COMPLETED)
            await asyncio.gather(*(arm.look() for arm in arms))
            on_tick(arms)
            broken = any(task.done() and task.exception() for task in running)
        for task in running:
            if task.done():
                task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)  # what they say of their end is no news now


def result(arm: Arm, options: Options) -> Result:
    """Reduce an arm to its figures."""
    admissible = options.requests_per_minute / 60 * (arm.seconds + BUCKET_SECONDS)
    useful = sum(task["calls"] for task in arm.tasks if task["ok"])
    times = sorted(task["seconds"] for task in arm.tasks if task["ok"])
    live = arm.truth["live"]
    return Result(
        tasks_total=options.tasks,
        tasks_finished=arm.finished,
        attempts=int(arm.truth["attempts"]),
        rate_limited=arm.refused,
        wasted_attempts=int(arm.truth["attempts"]) - useful,
        goodput_ratio=round(min(1.0, useful / admissible), 4) if admissible else 0.0,
        live_p50=int(live["p50"]),
        live_p95=int(live["p95"]),
        live_p99=int(live["p99"]),
        task_p50_seconds=_nearest_rank(times, 0.50),
        task_p99_seconds=_nearest_rank(times, 0.99),
        seconds=round(arm.seconds, 2),
        spans=str(arm.spans),
    )


def _nearest_rank(ordered: Sequence[float], share: float) -> float | None:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
