"""Ten minutes of permits under faults, written down by every worker and checked afterwards."""

import random
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.fleet import ledger
from benchmarks.fleet.crew import MEMBERS
from benchmarks.fleet.faults import FAULTS, Store
from benchmarks.fleet.share import LEAD_SECONDS
from benchmarks.fleet.stage import Crew, folder

CAP: Final = 24
RPM: Final = 600
_HELD_SECONDS: Final = 2.6
_AFTER_SECONDS: Final = 5.0 + 1.5 * _HELD_SECONDS
"""After a fault: to come together again, and for what was begun alone to end."""
_KILL: Final = "kill -9 of half the workers"


def history(
    seconds: float, each: float, rest: float, seed: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Draw permits of a pool with a cap and a rate, of which there are too few, while the store breaks."""
    rng = random.Random(seed)
    broken: list[ledger.Interval] = []
    ends: dict[Any, int] = {}
    pool = {"max_concurrency": CAP, "requests_per_minute": RPM, "max_wait_seconds": 1e9}
    with (
        folder() as where,
        Store(where) as store,
        Crew("permits", "-", store.proxy.url, where, pool=pool) as crew,
    ):
        start = time.monotonic() + LEAD_SECONDS
        until = start + seconds

        def fill() -> None:
            while len(crew.pids) < MEMBERS:
                crew.hire(agents=3, held_seconds=_HELD_SECONDS, pause_seconds=0.5,
                          start=max(start, time.monotonic()), until=until)  # fmt: skip

        @contextmanager
        def killed(store: Store, seconds: float) -> Any:
            victims = rng.sample(crew.pids, MEMBERS // 2)
            at = time.monotonic_ns()
            ends.update({crew.output(pid): at for pid in victims})
            crew.kill(victims)
            yield
            fill()

        faults = {**FAULTS, _KILL: killed}
        fill()
        time.sleep(LEAD_SECONDS + 2 * rest)
        names: list[str] = []
        while time.monotonic() + each + rest < until:
            names = names or rng.sample(sorted(faults), len(faults))
            name = names.pop()
            began = time.monotonic_ns()
            with faults[name](store, each):
                time.sleep(each)
            say(f"{(began / 1e9 - start):6.0f} s  {name}")
            broken.append((began, time.monotonic_ns() + int(_AFTER_SECONDS * 1e9)))
            time.sleep(rest)
        held = ledger.read(crew.wait(until), ends)
    told = ledger.levels(held)
    return {
        "seconds": seconds,
        "faults": len(broken),
        "permits": len(held),
        "cap": CAP,
        "most_held_while_whole": ledger.most(told, broken, inside=False),
        "most_held_while_broken": ledger.most(told, broken, inside=True),
        "bound_while_broken": CAP + MEMBERS,
        "per_minute": RPM,
        "most_in_a_minute": ledger.most_in_a_minute(held),
        "of_rate": len(held) / (0.9 * RPM / 60 * seconds),
    }
