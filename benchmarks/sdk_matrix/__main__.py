"""The SDK matrix: every SDK, sync and async, plain and streamed, over every way a call can go.

    python benchmarks/sdk_matrix [--json] [--sdk openai]

In each cell: the attempts seen are the attempts that the server served, with the right class, in one
operation, and nothing stays in flight. Exit 1 if a cell fails.
"""

import argparse
import asyncio
import contextlib
import gc
import importlib.metadata
import json
import sys
from dataclasses import dataclass, field
from typing import Any

from drivers import Driver, installed
from outcomes import CELLS, Cell

from penstock.simulator import Simulator, serve
from penstock.telemetry import guard
from penstock.telemetry.hooks import Engine, install, uninstall


@dataclass
class Seen:
    """A sink that keeps what it is told."""

    attempts: list[Any] = field(default_factory=list)
    operations: list[Any] = field(default_factory=list)
    live: int = 0

    def attempt_started(self, attempt: Any) -> None:
        self.live += 1

    def attempt_ended(self, attempt: Any) -> None:
        self.live -= 1
        self.attempts.append(attempt)

    def operation_ended(self, operation: Any) -> None:
        self.operations.append(operation)

    def tool_ended(self, call: Any) -> None: ...

    def task_ended(self, task: Any) -> None: ...


def run(driver: Driver, cell: Cell, sim: Simulator, *, stream: bool, asynchronous: bool) -> str:
    """Make the call; returns the name of what the app's code raised, or an empty string."""
    url = sim.url
    try:
        if asynchronous:
            asyncio.run(_async(driver, cell, sim, stream))
        elif stream:
            chunks = driver.stream(url, cell.retries, cell.timeout)
            with contextlib.closing(chunks):  # type: ignore[type-var]
                for _ in chunks:
                    if cell.act == "abandon":
                        break
        else:
            driver.plain(url, cell.retries, cell.timeout)
    except Exception as error:  # noqa: BLE001 - what the app sees is part of the cell
        return type(error).__name__
    return ""


async def _async(driver: Driver, cell: Cell, sim: Simulator, stream: bool) -> None:
    url, before = sim.url, len(sim.entries())

    async def call() -> None:
        if not stream:
            await driver.plain_async(url, cell.retries, cell.timeout)
            return
        chunks = driver.stream_async(url, cell.retries, cell.timeout)
        async with contextlib.aclosing(chunks):  # type: ignore[type-var]
            async for _ in chunks:
                if cell.act == "abandon":
                    break

    if cell.act != "cancel":
        await call()
        return
    task = asyncio.create_task(call())
    while len(sim.entries()) == before and not task.done():  # noqa: ASYNC110 - the server has no event for us
        await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def judge(cell: Cell, seen: Seen, served: int, engine: Engine) -> list[str]:
    """Say what is wrong with a cell."""
    wrong = []
    classes = [a.verdict.error_class.value if a.verdict else None for a in seen.attempts]
    if len(seen.attempts) != served:
        wrong.append(f"saw {len(seen.attempts)} attempts of {served}")
    if len(classes) != len(cell.classes) or any(
        got not in want if isinstance(want, set) else got != want
        for got, want in zip(classes, cell.classes, strict=False)
    ):
        wrong.append(f"classes {classes}")
    ends = [a.end for a in seen.attempts]
    if any(want not in ("*", got) for got, want in zip(ends, cell.ends, strict=False)):
        wrong.append(f"ends {ends}")
    if [a.number for a in seen.attempts] != list(range(1, len(seen.attempts) + 1)):
        wrong.append(f"numbers {[a.number for a in seen.attempts]}")
    if len(seen.operations) != 1 or seen.operations[0].attempts != served:
        wrong.append(f"operations {[o.attempts for o in seen.operations]}")
    if seen.live or engine.live:
        wrong.append(f"in flight {seen.live}")
    return wrong


def matrix(sim: Simulator, drivers: list[Driver]) -> list[dict[str, Any]]:
    """Run every cell."""
    rows = []
    for driver in drivers:
        for asynchronous in (False, True):
            for stream in (False, True):
                for cell in CELLS:
                    if not cell.applies(stream=stream, asynchronous=asynchronous):
                        continue
                    rows.append(one(sim, driver, cell, stream, asynchronous))
    return rows


def one(sim: Simulator, driver: Driver, cell: Cell, stream: bool, asynchronous: bool) -> dict[str, Any]:
    """Run one cell."""
    seen = Seen()
    engine = Engine(attempt_sinks=[seen], work_sinks=[seen])
    install(engine)
    before = len(sim.entries())
    sim.script(*cell.script)
    try:
        raised = run(driver, cell, sim, stream=stream, asynchronous=asynchronous)
    finally:
        uninstall()
    gc.collect()
    served = len(sim.entries()) - before
    return {
        "sdk": driver.name,
        "version": importlib.metadata.version(driver.module),
        "mode": ("async" if asynchronous else "sync") + (" stream" if stream else ""),
        "outcome": cell.name,
        "served": served,
        "seen": len(seen.attempts),
        "classes": [a.verdict.error_class.value if a.verdict else "ok" for a in seen.attempts],
        "raised": raised,
        "in_flight": seen.live,
        "wrong": judge(cell, seen, served, engine),
    }


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sdk", action="append")
    options = parser.parse_args()
    drivers = [d for d in installed() if not options.sdk or d.name in options.sdk]
    with serve() as sim:
        rows = matrix(sim, drivers)
    failed = [row for row in rows if row["wrong"]]
    if options.json:
        print(json.dumps({"cells": rows, "failed": len(failed), "hook_errors": dict(guard.errors)}))
    else:
        for row in rows:
            mark = "ok  " if not row["wrong"] else "FAIL"
            print(
                f"{mark} {row['sdk']:<10} {row['version']:<8} {row['mode']:<13} {row['outcome']:<20}"
                f" served {row['served']} seen {row['seen']} in flight {row['in_flight']}"
                f"  {','.join(row['classes']):<32} {row['raised'] or '-':<22} {'; '.join(row['wrong'])}"
            )
        print(
            f"{len(rows) - len(failed)} of {len(rows)} cells right; hook errors {sum(guard.errors.values())}"
        )
    return 1 if failed or guard.errors else 0


if __name__ == "__main__":
    sys.exit(main())
