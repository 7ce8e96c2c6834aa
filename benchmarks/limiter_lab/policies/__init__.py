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
    "penstock_without_queue": Entry("ours:without_queue", "ablation: only watches; the SDK repeats"),
    "penstock_without_mirror": Entry("ours:without_mirror", "ablation: quota headers unread"),
    "penstock_without_gate": Entry("ours:without_gate", "ablation: Retry-After unread"),
    "penstock_without_retries": Entry("ours:without_retries", "ablation: refusals go up to the SDK"),
    "immediate": Entry("retry:immediate", "five tries, no pause"),
    "full_jitter": Entry("retry:full", "eight tries, AWS full jitter"),
    "decorrelated_jitter": Entry("retry:decorrelated", "eight tries, AWS decorrelated jitter"),
    "openai_sdk": Entry("libraries:openai_sdk", "as shipped: two retries", "openai"),
    "anthropic_sdk": Entry("libraries:anthropic_sdk", "as shipped: two retries", "anthropic"),
    "tenacity": Entry("libraries:tenacity", "as the cookbook shows it, six tries", "tenacity"),
    "stamina": Entry("libraries:stamina", "as shipped, ten tries in 45 s", "stamina"),
    "semaphore": Entry("static:semaphore", "Semaphore(8) and full jitter, eight tries"),
    "bucket": Entry("static:bucket", "90 % of the known quota, one second deep, SDK retries"),
    "aiolimiter": Entry("static:aiolimiter", "as shipped, 90 % of the known quota", "aiolimiter"),
    "pyrate_limiter": Entry("static:pyrate", "as shipped, 90 % of the known quota", "pyrate_limiter"),
    "botocore_adaptive": Entry("libraries:botocore_3", "as shipped, three attempts", "botocore"),
    "botocore_adaptive_9": Entry("libraries:botocore_9", "as shipped, nine attempts", "botocore"),
    "netflix_aimd": Entry("adaptive:netflix_aimd", "AIMD on drops, eight tries"),
    "google_throttle": Entry("adaptive:google_throttle", "refuses locally, eight tries"),
    "data_designer": Entry("adaptive:data_designer", "NVIDIA's admission, cap 64"),
    "langroid": Entry("adaptive:langroid", "paces by headers"),
    "llmd_aimd": Entry("adaptive:llmd_aimd", "AIMD per clean second"),
    "hivemind": Entry("adaptive:hivemind", "told the quota, AIMD on latency"),
    "atb": Entry("adaptive:atb", "adaptive token bucket"),
    "litellm_router": Entry("litellm_router:litellm_router", "as shipped, one deployment a pool", "litellm"),
    "cooldown_router": Entry("adaptive:cooldown_router", "rests a pool for 5 s, nine tries"),
}
