"""kill -9 of half of the workers, over and over: slots come back, and no count falls below nothing."""

import random
import time
from typing import Any, Final

from benchmarks.fleet import ledger
from benchmarks.fleet.crew import MEMBERS
from benchmarks.fleet.share import LEAD_SECONDS
from benchmarks.fleet.stage import POOL, Crew, folder, redis_on_loopback
from penstock.limiter.fleet import RedisStore

CAP: Final = 20
_AGENTS: Final = 4
_FOREVER_SECONDS: Final = 3600.0
_PATIENCE_SECONDS: Final = 30.0


def crash(times: int, seed: int) -> dict[str, Any]:
    """Kill so many times. Half of the workers alone want twice the cap."""
    rng = random.Random(seed)
    forgotten, lowest, ends, killed_at = [], 0.0, {}, []
    with (
        folder() as where,
        redis_on_loopback(where) as (_, url),
        Crew("permits", "-", url, where, pool={"max_concurrency": CAP}) as crew,
    ):
        store = RedisStore(url, socket_timeout=5)
        for number in range(times):
            _fill(crew, store)
            victims = rng.sample(crew.pids, MEMBERS // 2)
            at = time.monotonic_ns()
            for pid in victims:
                ends[crew.output(pid)] = at
            crew.kill(victims)
            killed_at.append(at)
            while True:
                told = _look(store)
                lowest = min(lowest, told["slots"], told["live"], told["queued"])
                if told["members"] == MEMBERS // 2:
                    break
                assert time.monotonic_ns() - at < _PATIENCE_SECONDS * 1e9, f"kill {number}: {told}"
                time.sleep(0.05)
            forgotten.append((time.monotonic_ns() - at) / 1e9)
            time.sleep(1.0)
        now, outputs = time.monotonic_ns(), crew.outputs()
        crew.kill(list(crew.pids))
        held = ledger.read(outputs, {path: ends.get(path, now) for path in outputs})
    told_levels = ledger.levels(held)
    # The killed had about half of the slots: only theirs can bring the level back to nearly all.
    reused = [ledger.seconds_until(told_levels, at + 1, CAP - 1) for at in killed_at]
    return {
        "kills": times,
        "members_gone_after_max_s": max(forgotten),
        "slots_used_again_after_max_s": max(reused),
        "lowest_count": lowest,
        "most_held": ledger.most(told_levels, [], inside=False),
        "cap": CAP,
        "permits": len(held),
    }


def _fill(crew: Crew, store: RedisStore) -> None:
    """Hire until all are there, and let them take every slot."""
    start = time.monotonic() + (LEAD_SECONDS if not crew.pids else 0.5)
    while len(crew.pids) < MEMBERS:
        crew.hire(agents=_AGENTS, held_seconds=0.5, pause_seconds=0.05, start=start,
                  until=start + _FOREVER_SECONDS)  # fmt: skip
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (told := _look(store))["members"] < MEMBERS or told["live"] < CAP - 1:
        assert time.monotonic() < deadline, f"not all came: {told}"
        time.sleep(0.05)
    time.sleep(1.0)


def _look(store: RedisStore) -> dict[str, Any]:
    nobody = {"members": 0, "live": 0, "slots": 0, "queued": 0}
    return {**nobody, **dict(store.look()).get(POOL, {})}
