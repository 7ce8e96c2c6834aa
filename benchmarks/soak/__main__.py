"""Run the whole loop while its parts break in turn, then audit the books: `python -m benchmarks.soak`."""

import argparse
import json
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmarks.soak.audit import Check, audit
from benchmarks.soak.bad_inputs import BadInputs
from benchmarks.soak.course import Course, Stretch
from benchmarks.soak.world import RPM, running


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600, help="how long to run (default: an hour)")
    parser.add_argument("--each", type=float, default=12, help="seconds that a fault lasts (default: 12)")
    parser.add_argument("--rest", type=float, default=8, help="seconds between faults (default: 8)")
    parser.add_argument("--seed", type=int, default=1, help="order and aim of the faults (default: 1)")
    parser.add_argument("--folder", type=Path, help="keep spans, logs and books there (default: thrown away)")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end instead")
    args = parser.parse_args(argv)
    with ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            parser.error(f"{folder} is not empty")
        rng = random.Random(args.seed)
        bad = BadInputs(folder, rng)
        told = sys.stderr if args.json else sys.stdout
        with running(folder, args.seed) as world:
            course = Course(world, bad, rng, told)
            course.run(until=time.monotonic() + args.seconds, each=args.each, rest=args.rest)
            checks = [_came_back(course.faults), *audit(world, bad)]
    if args.json:
        print(_as_json(course, checks))
    else:
        print(_as_text(course, checks))
    return 0 if all(check.holds for check in checks) else 1


def _came_back(faults: list[Stretch]) -> Check:
    waits = sorted(fault.back_seconds for fault in faults)
    late = [fault.fault for fault in faults if not fault.came_back]
    claim = "after each fault work goes on"
    if late or not waits:
        return Check(claim, holds=False, seen=f"not after {late}" if late else "there was no fault")
    seen = f"within {waits[len(waits) // 2]:.1f} s in the median, {waits[-1]:.1f} s at most"
    return Check(claim, holds=True, seen=seen)


def _load(stretches: list[Stretch]) -> dict[str, float]:
    """Sum up: tasks and attempts a minute, and the refused among a thousand."""
    minutes = sum(one.seconds for one in stretches) / 60 or 1.0
    attempts = sum(one.attempts for one in stretches)
    return {
        "minutes": round(minutes, 1),
        "tasks_per_minute": round(sum(one.tasks for one in stretches) / minutes, 1),
        "attempts_per_minute": round(attempts / minutes, 1),
        "refused_per_1000": round(1000 * sum(one.refused for one in stretches) / (attempts or 1), 1),
    }


def _as_text(course: Course, checks: list[Check]) -> str:
    kinds = len({fault.fault for fault in course.faults})
    lines = ["", f"{len(course.faults)} faults of {kinds} kinds; quota {RPM} requests a minute"]
    for name, stretches in (("in calm", course.calm), ("in faults", course.faults)):
        load = _load(stretches)
        lines.append(
            f"{name:>9}: {load['minutes']:5.1f} min, {load['tasks_per_minute']:6.1f} tasks and "
            f"{load['attempts_per_minute']:6.1f} attempts a minute, "
            f"{load['refused_per_1000']:.1f} of 1000 refused"
        )
    lines += [f"{'ok  ' if check.holds else 'FAIL'}  {check.claim}: {check.seen.strip()}" for check in checks]
    return "\n".join(lines)


def _as_json(course: Course, checks: list[Check]) -> str:
    return json.dumps(
        {
            "quota_requests_per_minute": RPM,
            "load": {"calm": _load(course.calm), "faults": _load(course.faults)},
            "faults": [asdict(fault) for fault in course.faults],
            "checks": [asdict(check) for check in checks],
        },
        indent=2,
    )


if __name__ == "__main__":
    sys.exit(main())
