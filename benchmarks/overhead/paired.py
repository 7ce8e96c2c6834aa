"""Arms measured side by side: one forked process an arm, blocks of calls in shuffled turns.

Every arm is forked from the same parent, so that all share hash seed and memory layout and none sees
another's patches. Within a round each arm runs one block per scenario; what counts is the difference
to the control's block of the same round, so that a busy or throttled machine disturbs all alike. Fresh
processes are forked a few times, since one process may be lucky throughout.
"""

import contextlib
import gc
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

Call = Callable[[], object]
Calls = Mapping[str, Callable[[], object]]
"""What an arm runs, by scenario."""
Setup = Callable[[], Calls]
"""Instrument this process and make its calls. `ImportError`: not installed."""

CONTROL: Final = "none"
_WARM_CALLS: Final = 300
_RESAMPLES: Final = 2000


@dataclass(frozen=True, slots=True)
class Block:
    """How much is measured. `times` calls a block."""

    generations: int
    rounds: int
    times: int


class Measured:
    """CPU microseconds a call, by scenario and arm: one list of rounds a generation."""

    def __init__(self) -> None:
        self.cells: dict[str, dict[str, list[list[float]]]] = {}
        self.absent: dict[str, str] = {}
        """Arms that could not be set up, and why."""

    def add(self, scenario: str, arm: str, generation: int, microseconds: float) -> None:
        """Keep one block's figure."""
        generations = self.cells.setdefault(scenario, {}).setdefault(arm, [])
        while len(generations) <= generation:
            generations.append([])
        generations[generation].append(microseconds)

    def absolute(self, scenario: str, arm: str) -> float:
        """Tell the median cost of a call."""
        return statistics.median(value for rounds in self.cells[scenario][arm] for value in rounds)

    def differences(self, scenario: str, arm: str, to: str = CONTROL) -> list[list[float]]:
        """Pair an arm's rounds with the control's."""
        arms = self.cells[scenario]
        return [
            [a - b for a, b in zip(ours, theirs, strict=True)]
            for ours, theirs in zip(arms[arm], arms[to], strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Interval:
    """Median of paired differences, its 95 % bootstrap interval, and the middle 90 % of the rounds."""

    median: float
    low: float
    high: float
    round_low: float
    round_high: float

    @classmethod
    def of(cls, generations: Sequence[Sequence[float]]) -> "Interval":
        """Resample generations, then rounds within each: rounds of one process are not independent."""
        rng = random.Random(1)
        medians = sorted(
            statistics.median(
                value
                for rounds in rng.choices(generations, k=len(generations))
                for value in rng.choices(rounds, k=len(rounds))
            )
            for _ in range(_RESAMPLES)
        )
        every = sorted(value for rounds in generations for value in rounds)
        return cls(
            statistics.median(every),
            medians[int(0.025 * _RESAMPLES)],
            medians[int(0.975 * _RESAMPLES)],
            every[int(0.05 * len(every))],
            every[min(int(0.95 * len(every)), len(every) - 1)],
        )

    def overlaps(self, other: "Interval") -> bool:
        """Tell whether the bootstrap intervals meet."""
        return self.low <= other.high and other.low <= self.high


def measure(arms: Mapping[str, Setup], block: Block) -> Measured:
    """Run every scenario of every arm; `CONTROL` is among the arms."""
    measured = Measured()
    for generation in range(block.generations):
        with _forked({name: setup for name, setup in arms.items() if name not in measured.absent}) as workers:
            for name, (pipe, _) in list(workers.items()):
                ready = pipe.recv()
                if isinstance(ready, str):
                    measured.absent[name] = ready
                    del workers[name]
            for _ in range(block.rounds):
                _round(workers, measured, generation, block.times)
    return measured


Workers = dict[str, tuple[Connection, multiprocessing.process.BaseProcess]]


def _round(workers: Workers, measured: Measured, generation: int, times: int) -> None:
    order = list(workers)
    random.shuffle(order)
    for name in order:
        pipe, _ = workers[name]
        pipe.send(times)
        for scenario, microseconds in pipe.recv().items():
            measured.add(scenario, name, generation, microseconds)


@contextlib.contextmanager
def _forked(arms: Mapping[str, Setup]) -> Iterator[Workers]:
    fork = multiprocessing.get_context("fork")
    gc.collect()
    gc.freeze()
    workers: Workers = {}
    for name, setup in arms.items():
        ours, theirs = fork.Pipe()
        process = fork.Process(target=_work, args=(setup, theirs), daemon=True)
        process.start()
        workers[name] = (ours, process)
    everyone = list(workers.values())
    try:
        yield workers
    finally:
        for pipe, process in everyone:
            with contextlib.suppress(OSError):
                pipe.send(0)
            process.join(5)


def _work(setup: Setup, pipe: Connection) -> None:
    try:
        calls = setup()
    except ImportError as error:
        pipe.send(f"not installed ({error.name or error})")
        return
    for call in calls.values():
        timed(call, _WARM_CALLS)
    gc.collect()
    gc.freeze()  # a block begins with a collection: what is here for good need not be walked
    pipe.send(None)
    while times := pipe.recv():
        pipe.send({scenario: timed(call, times) for scenario, call in calls.items()})


def timed(call: Call, times: int) -> float:
    """CPU microseconds a call, of all threads of this process."""
    gc.collect()
    begin = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begin) / times * 1e6
