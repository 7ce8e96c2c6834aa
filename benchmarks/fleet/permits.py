"""A worker that draws permits and writes down each one: nothing but the limiter, the fleet and the store."""

import asyncio
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from penstock.errors import PenstockError
from penstock.limiter import Limiter, LimiterSettings
from penstock.limiter._permit import PoolHandle
from penstock.limiter.fleet import Fleet, RedisStore

POOL: Final = "openai:lab"


@dataclass(frozen=True, slots=True)
class Order:
    """Draw a pool's permits with so many agents, each held for so long on average, with pauses between.

    `out` gets a line for each permit: "acquire" or "release", its name, and the nanoseconds of the clock
    that all processes of a machine share; and how long the acquirer waited, in seconds.
    """

    out: str
    start: float
    until: float
    pool: str = POOL
    members: int = 1
    agents: int = 3
    held_seconds: float = 2.0
    pause_seconds: float = 0.5
    seed: int = 1


def work(store: str, pool: dict[str, Any], order: Order) -> None:
    """Be one worker, or several members in one process."""
    limiters = [
        Limiter(LimiterSettings(), fleet=Fleet(lambda: RedisStore(store)) if store else None)
        for _ in range(order.members)
    ]
    drawn = [limiter.pool(order.pool, **pool) for limiter in limiters]
    with Path(order.out).open("w", buffering=1) as log:
        asyncio.run(_agents(drawn, order, log))
        for limiter in limiters:
            limiter.close()


async def _agents(drawn: list[PoolHandle], order: Order, log: TextIO) -> None:
    await asyncio.sleep(order.start - time.monotonic())
    await asyncio.gather(
        *(
            _agent(pool, order, log, random.Random(f"{order.seed} {member} {agent}"))
            for member, pool in enumerate(drawn)
            for agent in range(order.agents)
        )
    )


async def _agent(drawn: PoolHandle, order: Order, log: TextIO, rng: random.Random) -> None:
    number, name = 0, rng.getrandbits(48)
    while time.monotonic() < order.until:
        number += 1
        id = f"{name:x}-{number}"
        try:
            async with drawn.permit() as permit:
                _note(log, "acquire", id, permit.queued_seconds)
                await asyncio.sleep(rng.uniform(0.5, 1.5) * order.held_seconds)
                _note(log, "release", id, 0.0)
        except PenstockError as error:
            _note(log, type(error).__name__, id, 0.0)
        await asyncio.sleep(rng.expovariate(1 / order.pause_seconds))


def _note(log: TextIO, what: str, id: str, waited: float) -> None:
    log.write(json.dumps([what, id, time.monotonic_ns(), waited]) + "\n")
