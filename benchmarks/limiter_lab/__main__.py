"""`python -m benchmarks.limiter_lab SCENARIO.toml… [--policies a,b] [--seeds 1,2,3] [--json FILE]`."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.limiter_lab.lab import WEAK_ORACLE, compare
from benchmarks.limiter_lab.plots import draw
from benchmarks.limiter_lab.policies import POLICIES
from benchmarks.limiter_lab.table import show
from penstock.errors import UsageError
from penstock.simulator import load_scenario

USAGE_EXIT = 2


def main(argv: list[str] | None = None) -> int:
    """Run the lab."""
    options = _parser().parse_args(argv)
    try:
        scenarios = [load_scenario(path) for path in options.scenarios]
        policies = _policies(options.policies)
        seeds = _seeds(options.seeds)
        if options.json:
            _writable(options.json)
    except UsageError as error:
        print(f"limiter_lab: {error}", file=sys.stderr)
        return USAGE_EXIT
    results = []
    for scenario in scenarios:
        rows = []
        for row, result in compare(scenario, policies, seeds, watched=options.plots is not None):
            rows.append(row)
            if options.plots and result is not None:
                draw(options.plots, row, result)
        results += rows
        show(scenario, rows)
        if options.json:  # after each: a run of many scenarios takes hours
            options.json.write_text(json.dumps({"results": results}, indent=1) + "\n")
    weak = {row["scenario"] for row in results if row.get("oracle_over_bound", 1.0) < WEAK_ORACLE}
    if weak:
        print(f"weak oracle (below {WEAK_ORACLE} of the bound): {', '.join(sorted(weak))}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limiter_lab", description=__doc__)
    parser.add_argument("scenarios", nargs="+", metavar="SCENARIO.toml")
    parser.add_argument("--policies", help="comma-separated; default: all", metavar="a,b")
    parser.add_argument("--seeds", default="1", help="comma-separated whole numbers", metavar="1,2,3")
    parser.add_argument("--json", type=Path, help="write the rows here", metavar="FILE")
    parser.add_argument(
        "--plots", type=Path, help="write an SVG for each run into this folder", metavar="DIR"
    )
    return parser


def _policies(text: str | None) -> list[str]:
    if text is None:
        return list(POLICIES)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in POLICIES and name != "oracle":
            raise UsageError(f"unknown policy {name!r}; choose from oracle, {', '.join(POLICIES)}")
    return names


def _seeds(text: str) -> list[int]:
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise UsageError(f"--seeds must be whole numbers, such as 1,2,3, not {text!r}") from None


def _writable(path: Path) -> None:
    try:
        path.open("a").close()
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
