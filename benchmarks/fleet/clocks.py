"""Half of the processes five minutes early, half five minutes late; beside it, the same with right clocks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.fleet.share import loads, measured

_PLACES: Final = "/usr/lib/*/faketime/libfaketime.so.1"
_WORLDS: Final = {"even, clocks right": ("+0", "+0"), "even, clocks ±5 min": ("+5m", "-5m")}
"""The library is loaded in both, so that the clocks are all that differs."""


def missing() -> str | None:
    """Say what to install, or None."""
    return None if _library() else "libfaketime is missing: apt-get install libfaketime"


def clocks(seconds: float, seed: int) -> Iterator[dict[str, Any]]:
    """Run the even load. Only the time of day is wrong: no two machines' monotonic clocks agree anyway."""
    library = _library()
    assert library is not None
    preload = {"LD_PRELOAD": library, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    for name, offsets in _WORLDS.items():
        worlds = [{**preload, "FAKETIME": offset} for offset in offsets]
        row = measured("fleet", loads(seconds)["even"], seconds, seed, worlds=worlds)
        yield {**row, "load": name}


def _library() -> str | None:
    return next((str(path) for path in Path("/").glob(_PLACES.lstrip("/"))), None)
