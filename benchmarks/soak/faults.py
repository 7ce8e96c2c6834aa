"""What breaks: each fault is a context, whole again at its end."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from benchmarks.soak.world import Part, World

Fault = Callable[[World, random.Random], AbstractContextManager[object]]


@contextmanager
def _killed(part: Part) -> Iterator[None]:
    part.kill()
    try:
        yield
    finally:
        part.start()


@contextmanager
def _stopped(part: Part) -> Iterator[None]:
    part.send(signal.SIGSTOP)
    try:
        yield
    finally:
        part.send(signal.SIGCONT)


@contextmanager
def _restarted(part: Part, **env: str) -> Iterator[None]:
    """Run with another environment for a while."""
    part.kill()
    part.start(**env)
    try:
        yield
    finally:
        part.kill()
        part.start()


@contextmanager
def _provider(world: World, **keys: object) -> Iterator[None]:
    world.fault(pool="openai", **keys)
    try:
        yield
    finally:
        world.fault(pool="openai", restore=True)


@contextmanager
def _emptied(world: World) -> Iterator[None]:
    """Restart the store with nothing in it."""
    world.store.kill()
    world.store.start()
    yield


def _one(world: World, rng: random.Random) -> Part:
    return rng.choice(world.workers)


FAULTS: dict[str, Fault] = {
    "a worker is killed": lambda world, rng: _killed(_one(world, rng)),
    "a worker hangs": lambda world, rng: _stopped(_one(world, rng)),
    "a worker's disk is full": lambda world, rng: _restarted(_one(world, rng), PENSTOCK_SPANS="/dev/full"),
    "the store is killed": lambda world, rng: _killed(world.store),
    "the store hangs": lambda world, rng: _stopped(world.store),
    "the store loses everything": lambda world, rng: _emptied(world),
    "the scraper is killed": lambda world, rng: _killed(world.prometheus),
    "the provider is out": lambda world, rng: _provider(world, outage_seconds=3600, outage_status=503),
    "the provider is overloaded": lambda world, rng: _provider(world, error_rates={"overloaded": 0.4}),
    "the quota is halved": lambda world, rng: _provider(world, requests_per_minute=450),
    "the provider hangs": lambda world, rng: _provider(world, error_rates={"timeout": 0.2}),
    "streams break": lambda world, rng: _provider(world, error_rates={"broken_stream": 0.4}),
    "a neighbour comes": lambda world, rng: _provider(world, neighbour_share=0.5),
}


def rotation(rng: random.Random) -> Iterator[str]:
    """Give every fault once in a random order, then again."""
    while True:
        yield from rng.sample(sorted(FAULTS), len(FAULTS))


def hold(world: World, seconds: float) -> None:
    """Let time pass, and keep alive whatever should be."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(0.5, left))
        for part in world.parts:
            part.check()
    world.weigh()
