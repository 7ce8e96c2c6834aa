"""Measure fleets of real processes over a real Redis: `python -m benchmarks.fleet [PART…]`."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.fleet import clocks, cost, crash, history, share, suffer
from benchmarks.fleet.faults import FAULTS
from benchmarks.fleet.stage import show

Rows = list[dict[str, Any]]


def _share(options: argparse.Namespace) -> Rows:
    known = [f"{arm}:{load}" for arm, load in share.RUNS]
    chosen = options.runs.split(",") if options.runs else known
    runs = [(arm, load) for arm, load in share.RUNS if f"{arm}:{load}" in chosen]
    if not Path(options.litellm).exists():
        print(f"litellm: skipped, no {options.litellm}; --litellm names a Python that has it", flush=True)
        runs = [run for run in runs if run[0] != "litellm"]
    return _each(share.compare(runs, options.seconds or 60, options.seed, options.litellm))


def _clocks(options: argparse.Namespace) -> Rows:
    if reason := clocks.missing():
        print(f"clocks: skipped, {reason}", flush=True)
        return []
    return _each(clocks.clocks(options.seconds or 60, options.seed))


def _crash(options: argparse.Namespace) -> Rows:
    return _each([crash.crash(20, options.seed)])


def _faults(options: argparse.Namespace) -> Rows:
    chosen = [name for name in FAULTS if not options.runs or name in options.runs.split(",")]
    return _each(suffer.suffer(chosen, options.seconds or 15, options.seed))


def _history(options: argparse.Namespace) -> Rows:
    say: Callable[[str], None] = lambda line: print(line, flush=True)  # noqa: E731
    return _each([history.history(options.seconds or 600, 10.0, 12.0, options.seed, say)])


def _cost(options: argparse.Namespace) -> Rows:
    sizes = map(int, options.runs.split(",")) if options.runs else cost.SIZES
    return _each(cost.cost(options.seconds or 20, sizes))


def _registered(options: argparse.Namespace) -> Rows:
    return _each(cost.registered())


PARTS: Final[dict[str, Callable[[argparse.Namespace], Rows]]] = {
    "share": _share,
    "clocks": _clocks,
    "crash": _crash,
    "faults": _faults,
    "history": _history,
    "cost": _cost,
    "registered": _registered,
}


def _each(rows: Any) -> Rows:
    """Show each row when it is there, for whoever watches; the table comes last."""
    found = []
    for row in rows:
        print("  " + "  ".join(f"{name}={value}" for name, value in row.items()), flush=True)
        found.append(row)
    return found


def main(argv: list[str] | None = None) -> int:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, help="of each run, instead of the part's own")
    parser.add_argument(
        "--runs", metavar="A,B", help="of share, such as fleet:even; of faults, by name; of cost, by members"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--litellm", default=share.default_litellm(), help="a Python that has litellm")
    parser.add_argument("--json", type=Path, help="write the rows here", metavar="FILE")
    options = parser.parse_args(argv)
    results = {name: PARTS[name](options) for name in options.parts or PARTS}
    for name, rows in results.items():
        show(name, rows)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
