"""What a fleet costs: exchanges a second on Redis, its time for each, and what a call waits for them."""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.fleet.share import LEAD_SECONDS
from benchmarks.fleet.stage import POOL, Crew, folder, redis_on_loopback
from benchmarks.limiter_lab.measure import quantile
from penstock.limiter import Limiter
from penstock.limiter.fleet import Fleet, RedisStore

SIZES: Final = (1, 20, 200)
LOADS: Final = {
    "half of the quota": {"agents": 1, "held_seconds": 0.5, "pause_seconds": 1.5},
    "five times the quota": {"agents": 3, "held_seconds": 0.5, "pause_seconds": 0.1},
}
_PER_MEMBER: Final = 60
_PROCESSES: Final = 4
_SETTLE_SECONDS: Final = 5.0
_REGISTERED: Final = (1, 20, 200, 2000, 5000)


def cost(seconds: float, sizes: Iterable[int] = SIZES) -> Iterator[dict[str, Any]]:
    """Measure each size under each load; then half load with a limiter each and no store."""
    for members in sizes:
        for load in LOADS:
            yield _row(members, load, seconds, shared=True)
        yield _row(members, next(iter(LOADS)), seconds, shared=False)


def _row(members: int, load: str, seconds: float, *, shared: bool) -> dict[str, Any]:
    pool = {"requests_per_minute": _PER_MEMBER * (members if shared else 1)}
    processes = min(_PROCESSES, members)
    with (
        folder() as where,
        redis_on_loopback(where) as (server, url),
        Crew("permits", "-", url if shared else "", where, pool=pool) as crew,
    ):
        start = time.monotonic() + LEAD_SECONDS
        measured = start + _SETTLE_SECONDS
        for _ in range(processes):
            crew.hire(members=members // processes, start=start, until=measured + seconds, **LOADS[load])
        time.sleep(max(0.0, measured - time.monotonic()))
        server.client.config_resetstat()
        before = server.client.info("cpu")
        time.sleep(seconds)
        after = server.client.info("cpu")
        script = server.client.info("commandstats").get("cmdstat_evalsha", {"calls": 0, "usec_per_call": 0.0})
        waits = sorted(_waits(crew.wait(measured + seconds), measured))
    spent = sum(after[name] - before[name] for name in ("used_cpu_user", "used_cpu_sys"))
    return {
        "members": members,
        "load": load if shared else f"{load}, no store",
        "calls_per_s": len(waits) / seconds,
        "exchanges_per_s": script["calls"] / seconds,
        "per_member": script["calls"] / seconds / members,
        "us_each": script["usec_per_call"],
        "redis_cpu_%": 100 * spent / seconds,
        "wait_p50_ms": 1000 * (quantile(waits, 0.5) or 0.0),
        "wait_p99_ms": 1000 * (quantile(waits, 0.99) or 0.0),
    }


def _waits(paths: list[Path], since: float) -> Iterator[float]:
    for path in paths:
        for line in path.read_text().splitlines():
            what, _, at, waited = json.loads(line)
            if what == "acquire" and at >= since * 1e9:
                yield waited


def registered() -> Iterator[dict[str, Any]]:
    """Measure the script alone as the number of members grows: all wait, all are lent a call now and then."""
    for members in _REGISTERED:
        with folder() as where, redis_on_loopback(where) as (server, url):
            reports = list(_reports(url, members))
            store = RedisStore(url, socket_timeout=10)
            for report in reports:
                store.exchange(POOL, report)
            server.client.config_resetstat()
            for report in (reports * (1 + 2000 // members))[: max(2000, members)]:
                store.exchange(POOL, report)
            script = server.client.info("commandstats")["cmdstat_evalsha"]
            memory = server.client.memory_usage(f"penstock:fleet:{{{POOL}}}:members") or 0
            store.close()
        each = float(script["usec_per_call"])
        yield {
            "members": members,
            "us_each": each,
            "most_per_s_of_a_core": 1e6 / each,
            "bytes_per_member": memory / members,
        }


def _reports(url: str, members: int) -> Iterator[dict[str, Any]]:
    """Make what so many members would tell, from what one tells."""
    told: list[dict[str, Any]] = []

    class Listening(RedisStore):
        def exchange(self, pool: str, report: Any) -> Any:
            told.append(report)
            return super().exchange(pool, report)

    limiter = Limiter(fleet=Fleet(lambda: Listening(url, socket_timeout=10)))
    with limiter.pool(POOL, requests_per_minute=600, max_concurrency=50).permit():
        pass
    limiter.close()
    report = next(one for one in told if "look" not in one and "leave" not in one)
    for number in range(members):
        yield {**report, "id": f"{number:016x}", "demand": [[2, "default", 2]], "queued": 2}
