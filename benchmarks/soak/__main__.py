"""Run the whole loop while its parts break in turn, then audit the books: `python -m benchmarks.soak`."""

import argparse
import itertools
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.soak.audit import Check, audit
from benchmarks.soak.bad_inputs import BadInputs
from benchmarks.soak.faults import FAULTS, hold, rotation
from benchmarks.soak.world import World, running

HEAD = f"{'at':>6}  {'fault':34} {'for':>5} {'tasks':>6} {'attempts':>8} {'refused/1000':>12}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600, help="how long to run (default: an hour)")
    parser.add_argument("--each", type=float, default=12, help="seconds that a fault lasts (default: 12)")
    parser.add_argument("--rest", type=float, default=8, help="seconds between faults (default: 8)")
    parser.add_argument("--seed", type=int, default=1, help="order and aim of the faults (default: 1)")
    parser.add_argument("--folder", type=Path, help="keep spans, logs and books there (default: thrown away)")
    args = parser.parse_args(argv)
    with ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            parser.error(f"{folder} is not empty")
        rng = random.Random(args.seed)
        bad = BadInputs(folder, rng)
        with running(folder, args.seed) as world:
            suffered = _rotate(
                world, bad, rng, until=time.monotonic() + args.seconds, each=args.each, rest=args.rest
            )
            checks = audit(world, bad)
    return _tell(suffered, checks)


def _rotate(
    world: World, bad: BadInputs, rng: random.Random, *, until: float, each: float, rest: float
) -> int:
    """Break one part after another. Returns how many faults there were."""
    print(HEAD, flush=True)
    began = time.monotonic()
    _span(world, "(none)", began, rest)
    faults = itertools.takewhile(lambda _: time.monotonic() < until, rotation(rng))
    suffered = []
    for name in faults:
        with FAULTS[name](world, rng):
            _span(world, name, began, each)
        bad.try_some()
        _span(world, "(none)", began, rest)
        suffered.append(name)
    return suffered


def _span(world: World, name: str, began: float, seconds: float) -> None:
    """Let time pass, and print what was done in it."""
    at = time.monotonic()
    tasks, told = world.acknowledged(), world.told()
    hold(world, seconds)
    after = world.told()
    attempts = after["attempts"] - told["attempts"]
    refused = after["rate_limited"] - told["rate_limited"]
    share = 1000 * refused / attempts if attempts else 0.0
    row = f"{at - began:6.0f}  {name:34} {time.monotonic() - at:5.1f} {world.acknowledged() - tasks:6}"
    print(f"{row} {attempts:8} {share:12.1f}", flush=True)


def _tell(suffered: list[str], checks: list[Check]) -> int:
    print(f"\n{len(suffered)} faults of {len(set(suffered))} kinds")
    for check in checks:
        print(f"{'ok  ' if check.holds else 'FAIL'}  {check.claim}: {check.seen.strip()}")
    return 0 if all(check.holds for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
