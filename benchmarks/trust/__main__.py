"""The invoice agent with and without guards: `python -m benchmarks.trust [--runs N] [--json FILE]`."""

import argparse
import asyncio
import json
import logging
import statistics
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.limiter_lab.clock import VirtualLoop, run
from benchmarks.trust.world import INVOICES, Killed, Process, UnavailableError, World

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "invoice_agent"))

import agent as example

RESTART_SECONDS = 5.0
WORKERS = 4
MAX_SECONDS = 86_400.0
Handle = Callable[[str], Awaitable[object]]


@dataclass
class Day:
    """How one run ended."""

    arm: str
    seed: int
    seconds: float
    payments: int
    double: int
    wrong: int
    unverified: int
    unpaid: int
    kills: int


def guarded(world: World, process: Process) -> Handle:
    """The example's agent, as it is."""

    async def ask(prompt: str) -> str:
        try:
            return await process.ask(prompt)
        except UnavailableError as error:
            raise example.UnavailableError from error

    payer = example.InvoiceAgent(_worded(ask), world, world.ledger)
    return lambda invoice: payer.handle(example.Invoice(invoice, invoice))


def unguarded(world: World, process: Process) -> Handle:
    """The same agent as people write it: retries, and a list of what was paid."""
    paid: set[str] = world.__dict__.setdefault("paid", set())

    async def handle(invoice: str) -> None:
        while invoice not in paid:
            try:
                await world.transfer(invoice, int(await process.ask(f"read {invoice} ?")))
                paid.add(invoice)
            except (UnavailableError, TimeoutError):
                await asyncio.sleep(2)

    return handle


def _worded(ask: Callable[[str], Awaitable[str]]) -> Callable[[str], Awaitable[str]]:
    """Shorten the example's prompts to the world's: read or confirm, which invoice, which amount."""

    def short(prompt: str) -> str:
        invoice = prompt.rsplit(" ", 1)[1]
        return f"confirm {invoice} {prompt.split()[1]}" if prompt.startswith("Is ") else f"read {invoice} ?"

    return lambda prompt: ask(short(prompt))


ARMS = {"guarded": guarded, "unguarded": unguarded}


async def _process(world: World, arm: str, left: list[str]) -> None:
    """Work until all is done or the process is killed; the done are taken off `left`."""
    handle = ARMS[arm](world, world.process())
    todo = list(left)

    async def worker() -> None:
        while todo:
            invoice = todo.pop(0)
            await handle(invoice)
            world._maybe_kill(0.01)
            left.remove(invoice)

    workers = [asyncio.ensure_future(worker()) for _ in range(WORKERS)]
    try:
        done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        for one in done:
            one.result()
    finally:
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def day(arm: str, seed: int) -> Day:
    """Run one day to its end."""
    loop = VirtualLoop()
    world: list[World] = []

    async def main() -> float:
        world.append(World(seed, loop))
        begun = loop.time()
        left = sorted(world[0].totals)
        while left and loop.time() - begun < MAX_SECONDS:
            try:
                await _process(world[0], arm, left)
            except Killed:
                await asyncio.sleep(RESTART_SECONDS)
        ended = loop.time() - begun
        await asyncio.sleep(10)  # what was sent settles
        return ended

    seconds = run(loop, main())
    return _count(arm, world[0], seconds)


def _count(arm: str, world: World, seconds: float) -> Day:
    paid = [payment.invoice for payment in world.payments]
    return Day(
        arm=arm,
        seed=world.seed,
        seconds=seconds,
        payments=len(paid),
        double=len(paid) - len(set(paid)),
        wrong=sum(payment.cents != world.totals[payment.invoice] for payment in world.payments),
        unverified=sum(p.source != "big" and not p.confirmed for p in world.payments),
        unpaid=INVOICES - len(set(paid)),
        kills=world.kills,
    )


def table(days: list[Day]) -> str:
    """Lay the arms side by side."""
    lines = [f"{'':<34}" + "".join(f"{arm:>14}" for arm in ARMS)]
    rows: list[tuple[str, Callable[[list[Day]], float], str]] = [
        ("runs", len, ",.0f"),
        ("payments", lambda d: sum(x.payments for x in d), ",.0f"),
        ("crashes", lambda d: sum(x.kills for x in d), ",.0f"),
        ("double payments", lambda d: sum(x.double for x in d), ",.0f"),
        ("on unverified fallback or stale", lambda d: sum(x.unverified for x in d), ",.0f"),
        ("wrong amounts", lambda d: sum(x.wrong for x in d), ",.0f"),
        ("invoices unpaid", lambda d: sum(x.unpaid for x in d), ",.0f"),
        (
            "runs with every payment right",
            lambda d: sum(not (x.double or x.wrong or x.unpaid) for x in d),
            ",.0f",
        ),
        ("seconds a run, median", lambda d: statistics.median(x.seconds for x in d), ",.1f"),
        ("seconds a run, p95", lambda d: sorted(x.seconds for x in d)[int(0.95 * (len(d) - 1))], ",.1f"),
    ]
    by_arm = [[x for x in days if x.arm == arm] for arm in ARMS]
    for name, figure, form in rows:
        lines.append(f"{name:<34}" + "".join(f"{format(figure(some), form):>14}" for some in by_arm))
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    seeds = range(options.first_seed, options.first_seed + options.runs)
    days = [day(arm, seed) for seed in seeds for arm in ARMS]
    print(table(days))
    if options.json:
        options.json.write_text("".join(json.dumps(asdict(one)) + "\n" for one in days))
    return 0


if __name__ == "__main__":
    sys.exit(main())
