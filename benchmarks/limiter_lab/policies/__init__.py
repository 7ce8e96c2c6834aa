"""Every policy by its name: ours, and peers as they ship or rebuilt from their public descriptions."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from benchmarks.limiter_lab.workload import Policy
from benchmarks.limiter_lab.world import World


class SkippedError(Exception):
    """A policy cannot run in this scenario; says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One policy. `home` is `module:class` below this package; `needs` the package it drives as shipped."""

    home: str
    says: str
    needs: str | None = None

    def missing(self) -> str | None:
        """Say which package is not installed, or None."""
        if self.needs is None or find_spec(self.needs) is not None:
            return None
        return f"{self.needs} is not installed"

    def make(self, world: World) -> list[Policy]:
        """Make one instance a process."""
        module, name = self.home.split(":")
        build: Callable[[World], list[Policy]] = getattr(
            import_module(f"benchmarks.limiter_lab.policies.{module}"), name
        )
        return build(world)


POLICIES: Final[dict[str, Entry]] = {
    "penstock": Entry("ours:penstock", "the production limiter"),
    "immediate": Entry("retry:immediate", "five tries, no pause"),
    "full_jitter": Entry("retry:full", "eight tries, AWS full jitter"),
    "decorrelated_jitter": Entry("retry:decorrelated", "eight tries, AWS decorrelated jitter"),
    "semaphore": Entry("static:semaphore", "Semaphore(8) and full jitter, eight tries"),
    "bucket": Entry("static:bucket", "90 % of the known quota, one second deep, SDK retries"),
    "aiolimiter": Entry("static:aiolimiter", "as shipped, 90 % of the known quota", "aiolimiter"),
    "pyrate_limiter": Entry("static:pyrate", "as shipped, 90 % of the known quota", "pyrate_limiter"),
}
