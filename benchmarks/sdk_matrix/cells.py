"""Run one cell of the matrix and say what is wrong with it."""

import asyncio
import contextlib
import gc
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from benchmarks.sdk_matrix.drivers import Driver
from benchmarks.sdk_matrix.outcomes import CELLS, LEFT, REFUSED, Cell
from penstock.simulator import PROFILES, Config, Distribution, Simulator, profile
from penstock.telemetry.hooks import Engine, install, uninstall

_QUICK: Final = Distribution("constant", 0.005)
SERVED: Final = Config(
    pools=tuple(
        replace(profile(name, rpm=600_000), latency_seconds=_QUICK, rejection_seconds=0.0)
        for name in PROFILES
    ),
    tool_call_share=0.0,
)
"""Every provider at one address."""


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

    @property
    def classes(self) -> list[str | None]:
        return [a.verdict.error_class.value if a.verdict else None for a in self.attempts]


def matrix(sim: Simulator, driver: Driver) -> Iterator[dict[str, Any]]:
    """Run every cell of one SDK."""
    with asyncio.Runner() as runner:
        for manner in driver.manners:
            asynchronous, stream = "async" in manner, "stream" in manner
            for cell in CELLS:
                mine = driver.speaks_openai_or_anthropic or not cell.openai_or_anthropic
                if mine and cell.applies(stream=stream, asynchronous=asynchronous):
                    yield Run(sim, driver, cell, manner, runner).row()
                    gc.freeze()  # a cell's collections need not walk what is here to stay
        runner.run(driver.close())


@dataclass
class Run:
    sim: Simulator
    driver: Driver
    cell: Cell
    manner: str
    runner: asyncio.Runner

    def row(self) -> dict[str, Any]:
        """Run the cell and judge it."""
        seen = Seen()
        engine = Engine(attempt_sinks=[seen], work_sinks=[seen])
        install(engine)
        self._served = len(self.sim.entries())
        self.sim.script(*self.cell.script)
        try:
            raised = self._calls()
        finally:
            uninstall()
            self._clear()
        gc.collect()
        self.runner.run(_settled(engine))
        served = len(self.sim.entries()) - self._served
        return {
            "sdk": self.driver.name,
            "version": self.driver.version,
            "mode": self.manner,
            "outcome": self.cell.name,
            "served": served,
            "seen": len(seen.attempts),
            "classes": [name or "ok" for name in seen.classes],
            "raised": raised,
            "in_flight": seen.live + engine.live,
            "wrong": self._wrong(seen, served, engine),
        }

    def _calls(self) -> str:
        """Call, and again where the app has to try again; returns the name of what was raised at last."""
        raised = self._call()
        if not self._app_tries_again or self.cell.act != "finish":
            return raised
        for _ in range(self.cell.retries):
            if raised:
                raised = self._call()
        return raised

    def _call(self) -> str:
        try:
            if "async" in self.manner:
                self.runner.run(self._async())
            else:
                self._sync()
        except Exception as error:  # noqa: BLE001 - what the app sees is part of the cell
            return type(error).__name__
        return ""

    def _sync(self) -> None:
        client = self.driver.client("sync", self.cell.settings(self.sim.url))
        if "stream" not in self.manner:
            self.driver.plain(client)
            return
        with contextlib.closing(self.driver.stream(client)) as chunks:  # type: ignore[type-var]
            for _ in chunks:
                if self.cell.act == "abandon":
                    break

    async def _async(self) -> None:
        client = self.driver.client("async", self.cell.settings(self.sim.url))
        if self.cell.act != "cancel":
            await self._one(client)
            return
        task = asyncio.create_task(self._one(client))
        while len(self.sim.entries()) == self._served and not task.done():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _one(self, client: Any) -> None:
        if "stream" not in self.manner:
            await self.driver.plain_async(client)
            return
        async with contextlib.aclosing(self.driver.stream_async(client)) as chunks:  # type: ignore[type-var]
            async for _ in chunks:
                if self.cell.act == "abandon":
                    break

    @property
    def _app_tries_again(self) -> bool:
        return self.manner in self.driver.app_tries_again

    def _clear(self) -> None:
        request = urllib.request.Request(f"{self.sim.url}/_sim/script", method="DELETE")
        urllib.request.urlopen(request).close()

    def _wrong(self, seen: Seen, served: int, engine: Engine) -> list[str]:
        cell, ends = self.cell, [a.end for a in seen.attempts]
        operations = {id(o): o for o in seen.operations}
        numbers = {key: [a.number for a in seen.attempts if id(a.operation) == key] for key in operations}
        checks = {
            f"saw {len(seen.attempts)} attempts of {served}": len(seen.attempts) == served,
            f"{served} served": cell.at_least <= served <= len(cell.script),
            f"classes {seen.classes}": all(map(self._allowed, cell.classes, seen.classes)),
            f"ends {ends}": all(map(self._ended, cell.ends, ends)),
            f"numbers {numbers}": all(n == list(range(1, len(n) + 1)) for n in numbers.values()),
            f"{len(operations)} operations": (len(operations) == 1 or self._app_tries_again)
            and [o.attempts for o in seen.operations] == [len(n) for n in numbers.values()]
            and sum(o.attempts for o in seen.operations) == served,
            f"in flight {seen.live}, {engine.live}": not seen.live and not engine.live,
        }
        return [problem for problem, holds in checks.items() if not holds]

    def _allowed(self, want: Any, got: str | None) -> bool:
        if want is REFUSED:
            return got == self.driver.limited
        if want is LEFT:
            return got in self.driver.left["class"]
        return got in want if isinstance(want, set) else got == want

    def _ended(self, want: Any, got: str | None) -> bool:
        return got in self.driver.left["end"] if want is LEFT else want in ("*", got)


async def _settled(engine: Engine) -> None:
    """Let the loop close what the app has dropped: async generators and sockets end in callbacks."""
    for _ in range(20):
        await asyncio.sleep(0.01 if engine.live else 0)
        if not engine.live:
            return
        gc.collect()
