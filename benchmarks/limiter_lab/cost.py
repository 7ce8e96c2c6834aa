"""What a permit costs in CPU: `python -m benchmarks.limiter_lab.cost [--json FILE] [--plot FILE.svg]`.

First one call at a time, with nobody else there: acquire and release of a penstock permit, bare and with
the headers that its mirror learns from, beside asyncio.Semaphore, aiolimiter and pyrate-limiter as they
ship, in one run and in turns. Then the cost of a call that waits, against how many wait. Run it on a silent
machine.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.limiter_lab.plots import curves
from penstock.limiter import Limiter, LimiterSettings, PoolSettings
from penstock.limiter._permit import PoolHandle
from penstock.providers import Quota, Usage, Window

CALLS: Final = 200
TURNS: Final = 100
WAITERS: Final = (1, 10, 100, 1000, 10_000)
SLOTS: Final = 10
AMPLE: Final = 1e9

Once = Callable[[], Awaitable[None]]

_REQUESTS: Final = Window(limit=AMPLE, remaining=AMPLE, reset_seconds=0.0)


def _pool(slots: int | None = None) -> PoolHandle:
    settings = PoolSettings(max_concurrency=slots, max_wait_seconds=AMPLE, queue_limit=1_000_000)
    return Limiter(LimiterSettings(defaults=settings)).pool("bench:cost", requests_per_minute=AMPLE)


def _permit(quota: Quota | None) -> Once:
    pool, usage = _pool(), Usage(input=1800, output=200)

    async def once() -> None:
        async with pool.permit(tokens=1800) as permit:
            permit.report(usage=usage, quota=quota)

    return once


def _semaphore() -> Once:
    semaphore = asyncio.Semaphore(SLOTS)

    async def once() -> None:
        async with semaphore:
            pass

    return once


def _aiolimiter() -> Once:
    from aiolimiter import AsyncLimiter

    limiter = AsyncLimiter(AMPLE, 60)

    async def once() -> None:
        async with limiter:
            pass

    return once


def _pyrate() -> Once:
    from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate

    limiter = Limiter(InMemoryBucket([Rate(int(AMPLE), Duration.SECOND)]))

    async def once() -> None:
        await limiter.try_acquire_async("bench")

    return once


ALONE: Final[dict[str, Callable[[], Once]]] = {
    "penstock permit": lambda: _permit(None),
    "penstock permit, request headers": lambda: _permit(Quota(requests=_REQUESTS)),
    "penstock permit, request and token headers": lambda: _permit(
        Quota(requests=_REQUESTS, tokens=_REQUESTS)
    ),
    "asyncio.Semaphore": _semaphore,
    "aiolimiter": _aiolimiter,
    "pyrate-limiter": _pyrate,
}


async def alone() -> dict[str, float]:
    """Measure microseconds of one call that need not wait: the best of many short turns each."""
    best: dict[str, float] = {}
    for _ in range(TURNS):
        for name, make in ALONE.items():
            once = make()
            for _ in range(CALLS // 10):
                await once()
            began = time.perf_counter()
            for _ in range(CALLS):
                await once()
            spent = (time.perf_counter() - began) / CALLS * 1e6
            best[name] = min(best.get(name, spent), spent)
    return best


async def waiting(waiters: int, acquire: Callable[[], Any]) -> float:
    """Measure microseconds a call when so many wait at once for ten slots, tasks and loop included."""

    async def once() -> None:
        async with acquire():
            await asyncio.sleep(0)

    began = time.perf_counter()
    await asyncio.gather(*(once() for _ in range(waiters)))
    return (time.perf_counter() - began) / waiters * 1e6


async def against_waiters() -> dict[str, dict[int, float]]:
    """Measure for each number of waiters."""
    found: dict[str, dict[int, float]] = {"penstock permit": {}, "asyncio.Semaphore": {}}
    for waiters in WAITERS:
        turns = max(3, min(50, 20_000 // waiters))
        pool, semaphore = _pool(SLOTS), asyncio.Semaphore(SLOTS)
        for name, acquire in (("penstock permit", pool.permit), ("asyncio.Semaphore", lambda s=semaphore: s)):
            found[name][waiters] = min([await waiting(waiters, acquire) for _ in range(turns)])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limiter_lab.cost", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = parser.parse_args()
    single, many = asyncio.run(alone()), asyncio.run(against_waiters())
    print("acquire and release, nobody waits, µs")
    for name, spent in single.items():
        print(f"  {name:44} {spent:8.2f}")
    print(f"a call when so many wait for {SLOTS} slots, µs")
    for name, by_waiters in many.items():
        cells = "  ".join(f"{waiters}: {spent:.1f}" for waiters, spent in by_waiters.items())
        print(f"  {name:20} {cells}")
    if options.json:
        options.json.write_text(json.dumps({"alone": single, "waiting": many}, indent=1) + "\n")
    if options.plot:
        options.plot.write_text(curves("µs a call, against calls that wait (log)", many))


if __name__ == "__main__":
    main()
