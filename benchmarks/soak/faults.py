"""What breaks: each fault is a context, whole again at its end."""

import itertools
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import redis

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


@contextmanager
def _clock_jumps(world: World, part: Part, seconds: float) -> Iterator[None]:
    """Set a running worker's clock to another time, and back."""
    clock = world.folder / f"clock-{part.name}"
    clock.write_text(str(seconds))
    try:
        yield
    finally:
        clock.write_text("0")


@contextmanager
def _full(world: World) -> Iterator[None]:
    """Let the store refuse whatever needs memory."""
    with redis.Redis(port=world.store_port) as store:
        store.config_set("maxmemory", 1)
        try:
            yield
        finally:
            store.config_set("maxmemory", 0)


def _one(world: World, rng: random.Random) -> Part:
    return rng.choice(world.workers)


# By the part that breaks; parts take turns.
FAULTS: dict[str, dict[str, Fault]] = {
    "worker": {
        "a worker is killed": lambda world, rng: _killed(_one(world, rng)),
        "a worker hangs": lambda world, rng: _stopped(_one(world, rng)),
    },
    "clock": {
        "a worker's clock jumps ahead": lambda world, rng: _clock_jumps(world, _one(world, rng), 3600),
        "a worker's clock jumps back": lambda world, rng: _clock_jumps(world, _one(world, rng), -300),
    },
    "disk": {
        "a worker's disk is full": lambda world, rng: _restarted(
            _one(world, rng), PENSTOCK_SPANS="/dev/full"
        ),
    },
    "store": {
        "the store is killed": lambda world, rng: _killed(world.store),
        "the store hangs": lambda world, rng: _stopped(world.store),
        "the store loses everything": lambda world, rng: _emptied(world),
        "the store is full": lambda world, rng: _full(world),
        "the way to the store is slow": lambda world, rng: world.way_to_store.failing(delay_seconds=0.2),
        "the way to the store is cut": lambda world, rng: world.way_to_store.failing("parted"),
    },
    "network": {
        "the network is slow": lambda world, rng: world.way_to_provider.failing(delay_seconds=0.5),
        "the network is cut": lambda world, rng: world.way_to_provider.failing("parted"),
        "the network resets": lambda world, rng: world.way_to_provider.failing("resets"),
    },
    "scraper": {
        "the scraper is killed": lambda world, rng: _killed(world.prometheus),
    },
    "provider": {
        "the provider is out": lambda world, rng: _provider(world, outage_seconds=3600, outage_status=503),
        "the provider is overloaded": lambda world, rng: _provider(world, error_rates={"overloaded": 0.4}),
        "the quota is halved": lambda world, rng: _provider(world, requests_per_minute=450),
        "the provider hangs": lambda world, rng: _provider(world, error_rates={"timeout": 0.2}),
        "streams break": lambda world, rng: _provider(world, error_rates={"broken_stream": 0.4}),
        "a neighbour comes": lambda world, rng: _provider(world, neighbour_share=0.5),
    },
}


def rotation(rng: random.Random) -> Iterator[tuple[str, Fault]]:
    """Give every fault once, part after part, in an order of chance; then again."""
    while True:
        parts = [rng.sample(sorted(faults.items()), len(faults)) for faults in FAULTS.values()]
        rng.shuffle(parts)
        for round_ in itertools.zip_longest(*parts):
            yield from filter(None, round_)


def hold(world: World, seconds: float) -> None:
    """Let time pass, and keep alive whatever should be."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(0.5, left))
        for part in world.parts:
            part.check()
    world.weigh()
