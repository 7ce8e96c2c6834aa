"""What happened second by second on the wall clock: the limiter's own view, and the simulator's truth."""

import asyncio
import json
import time
from collections import Counter
from math import inf
from pathlib import Path
from typing import Any, Final

from benchmarks.limiter_lab.plots import over_time
from penstock.limiter import PoolSnapshot

SECOND_NS: Final = 1_000_000_000

Rows = list[dict[str, Any]]
"""None: nothing bounds it yet."""


class Recorder:
    """Looks at a pool once a second; the truth is added when the run is over."""

    def __init__(self, runtime: Any, pool: str) -> None:
        self._runtime = runtime
        self._pool = pool
        self._began_ns = time.time_ns()
        self._rows: Rows = []

    async def watch(self, seconds: int) -> None:
        """Look once a second, for so long."""
        for second in range(seconds):
            ahead = self._began_ns / SECOND_NS + second + 0.5 - time.time()
            await asyncio.sleep(max(0.0, ahead))
            seen: PoolSnapshot | None = self._runtime.limiter.snapshot().get(self._pool)
            if seen is not None:
                self._rows.append(
                    {
                        "second": second,
                        "cap": _bound(seen.cap),
                        "rate_per_second": _bound(seen.rate_per_second),
                        "in_flight": seen.in_flight,
                        "queued": seen.queued,
                    }
                )

    def finish(self, truth: Path, home: str) -> Rows:
        """Add what the simulator saw of each second: accepted, refused, and the share of other pools."""
        accepted: Counter[int] = Counter()
        refused: Counter[int] = Counter()
        moved: Counter[int] = Counter()
        for line in truth.read_text().splitlines():
            entry = json.loads(line)
            second = (entry["began_ns"] - self._began_ns) // SECOND_NS
            accepted[second] += entry["status"] == 200
            refused[second] += entry["status"] == 429
            moved[second] += entry["status"] == 200 and entry["pool"] != home
        for row in self._rows:
            second = row["second"]
            row["accepted"], row["refused"] = accepted[second], refused[second]
            row["fallback_share"] = moved[second] / accepted[second] if accepted[second] else 0.0
        return self._rows


def _bound(value: float) -> float | None:
    return value if value < inf else None


def draw(title: str, rows: Rows) -> str:
    """Plot a record."""

    def line(name: str) -> dict[int, float]:
        return {row["second"]: row[name] for row in rows if row[name] is not None}

    panels = [
        ("live calls and cap", [("in flight", line("in_flight")), ("cap", line("cap"))]),
        ("accepted a second and rate", [("accepted", line("accepted")), ("rate", line("rate_per_second"))]),
        ("429s a second", [("429", line("refused"))]),
        ("share of the fallback", [("fallback", line("fallback_share"))]),
    ]
    return over_time(title, panels, rows[-1]["second"] + 1)
