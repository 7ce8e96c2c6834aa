"""What each fault of the store does to twenty processes at twice their quota, and to a call that has room."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from benchmarks.fleet.crew import MEMBERS
from benchmarks.fleet.faults import FAULTS, Store
from benchmarks.fleet.share import LEAD_SECONDS
from benchmarks.fleet.stage import Crew, Simulator, folder, provider
from penstock.limiter.fleet import RedisStore

_WARM_SECONDS: Final = 10.0
_REST_SECONDS: Final = 3.0
_PATIENCE_SECONDS: Final = 30.0
_NOTICED_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class _Stage:
    store: Store
    simulator: Simulator
    probed: Path
    """Where a worker writes how long each of its calls waited, though its pool has room."""


def suffer(names: list[str], seconds: float, seed: int) -> Iterator[dict[str, Any]]:
    """Break the store by each name. Yields a row for each, and a last one of what the app saw."""
    total = LEAD_SECONDS + _WARM_SECONDS + len(names) * (seconds + _REST_SECONDS + _PATIENCE_SECONDS)
    with (
        folder() as where,
        Store(where) as store,
        provider(where, seed) as simulator,
        Crew("fleet", simulator.url, store.proxy.url, where) as crew,
        Crew("permits", "-", store.proxy.url, where) as probe,
    ):
        start = time.monotonic() + LEAD_SECONDS
        until = {"start": start, "until": start + total}
        for at in range(MEMBERS):
            crew.hire(agents=1 + at % 2, **until)
        probe.hire(pool="probe", agents=1, held_seconds=0.001, pause_seconds=0.2, **until)
        time.sleep(LEAD_SECONDS + _WARM_SECONDS)
        (probed,) = probe.outputs()
        stage = _Stage(store, simulator, probed)
        began = simulator.truth()
        for name in names:
            yield _row(stage, name, seconds)
        told = simulator.truth()
        errors = {kind for kind, *_ in _lines(probed)} - {"acquire", "release"}
        failed = told["failed"] - told["rate_limited"] - began["failed"] + began["rate_limited"]
        assert not errors, f"the app saw {errors}"
        assert failed <= MEMBERS, f"{failed} calls were broken off"


def _row(stage: _Stage, name: str, seconds: float) -> dict[str, Any]:
    before, began = stage.simulator.truth(), time.monotonic_ns()
    with FAULTS[name](stage.store, seconds):
        time.sleep(max(0.0, seconds - (time.monotonic_ns() - began) / 1e9))
        during = stage.simulator.truth()
    healed = time.monotonic()
    _all_back(stage.store)
    back = time.monotonic() - healed
    time.sleep(_REST_SECONDS)
    after, ended = stage.simulator.truth(), time.monotonic_ns()
    let_in = after["accepted_per_second"][len(before["accepted_per_second"]) :]
    waits = [line[3] for line in _lines(stage.probed) if line[0] == "acquire" and began <= line[2] <= ended]
    return {
        "fault": name,
        "attempts": during["attempts"] - before["attempts"],
        "limited_per_1000": _limited(before, during),
        "back_seconds": back,
        "limited_per_1000_after": _limited(during, after),
        "silent_seconds": max((len(list(run)) for count, run in groupby(let_in) if not count), default=0),
        "calls_with_room": len(waits),
        "waited": sum(wait > _NOTICED_SECONDS for wait in waits),
        "longest_wait_ms": 1000 * max(waits),
    }


def _limited(before: dict[str, Any], after: dict[str, Any]) -> float:
    attempts = after["attempts"] - before["attempts"]
    return 1000 * float(after["rate_limited"] - before["rate_limited"]) / max(1, attempts)


def _all_back(store: Store) -> None:
    """Wait until every member has told the store something since now."""
    client = store.server.client
    seconds, micros = client.time()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    looker = RedisStore(store.server.url, socket_timeout=5)
    while True:
        pools = [name for name, _ in looker.look()]
        since = f"({seconds + micros / 1e6}"
        seen = sum(client.zcount(f"penstock:fleet:{{{name}}}:seen", since, "+inf") for name in pools)
        if seen >= MEMBERS + 1:
            break
        assert time.monotonic() < deadline, f"only {seen} members are back"
        time.sleep(0.05)
    looker.close()


def _lines(path: Path) -> Iterator[list[Any]]:
    for line in path.read_text().splitlines():
        yield json.loads(line)
