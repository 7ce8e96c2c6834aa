"""The course of a soak: a fault, until work goes on, a rest, the next fault."""

import itertools
import random
import time
from dataclasses import dataclass, field
from typing import Final, TextIO

from benchmarks.soak.bad_inputs import BadInputs
from benchmarks.soak.faults import Fault, hold, rotation
from benchmarks.soak.world import World

HEAD: Final = (
    f"{'at':>6}  {'fault':30} {'for':>5} {'tasks':>6} {'attempts':>8} {'429/1000':>8} {'back after':>10}"
)
PATIENCE_SECONDS: Final = 60.0  # to wait for the first acknowledgement after a fault


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was done in a time, by the workers' books and the provider's own account."""

    fault: str
    seconds: float
    tasks: int
    attempts: int
    refused: int
    back_seconds: float = 0.0

    @property
    def came_back(self) -> bool:
        """Whether a task was acknowledged soon after the fault."""
        return self.back_seconds < PATIENCE_SECONDS


@dataclass(slots=True)
class Course:
    """Breaks one part after another, and keeps the account."""

    world: World
    bad: BadInputs
    rng: random.Random
    out: TextIO
    calm: list[Stretch] = field(default_factory=list)
    faults: list[Stretch] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def run(self, *, until: float, each: float, rest: float) -> None:
        """Let faults of `each` seconds come until the time is over."""
        print(HEAD, file=self.out, flush=True)
        self._recover()
        self.calm.append(self._stretch("", None, rest))
        for name, fault in itertools.takewhile(lambda _: time.monotonic() < until, rotation(self.rng)):
            self.faults.append(self._stretch(name, fault, each))
            self.bad.try_some()
            self.calm.append(self._stretch("", None, rest))

    def _stretch(self, name: str, fault: Fault | None, seconds: float) -> Stretch:
        """Let time pass, and print what was done in it."""
        at, tasks, told = time.monotonic(), self.world.acknowledged(), self.world.told()
        if fault is None:
            hold(self.world, seconds)
        else:
            with fault(self.world, self.rng):
                hold(self.world, seconds)
        took, after = time.monotonic() - at, self.world.told()
        done = Stretch(
            fault=name,
            seconds=took,
            tasks=self.world.acknowledged() - tasks,
            attempts=after["attempts"] - told["attempts"],
            refused=after["rate_limited"] - told["rate_limited"],
            back_seconds=0.0 if fault is None else self._recover(),
        )
        self._print(at - self._began, done)
        return done

    def _recover(self) -> float:
        """Wait until a task is acknowledged. Returns the seconds that it took."""
        began, before = time.monotonic(), self.world.acknowledged()
        while self.world.acknowledged() == before and time.monotonic() - began < PATIENCE_SECONDS:
            hold(self.world, 0.1)
        return time.monotonic() - began

    def _print(self, at: float, done: Stretch) -> None:
        share = 1000 * done.refused / (done.attempts or 1)
        back = f"{done.back_seconds:8.1f} s" if done.fault else ""
        row = f"{at:6.0f}  {done.fault or '(none)':30} {done.seconds:5.1f} {done.tasks:6} {done.attempts:8}"
        print(f"{row} {share:8.1f} {back}", file=self.out, flush=True)
