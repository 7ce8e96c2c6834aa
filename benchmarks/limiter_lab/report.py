"""Tables from JSON files of the lab, as Markdown: `python -m benchmarks.limiter_lab.report FILE.json…`.

Ours beside its targets, with what misses them; the ablations; the peers.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from benchmarks.limiter_lab.targets import means_of, target_of

OURS: Final = "penstock"
ABLATION: Final = "penstock_without_"
SHORT: Final = {
    "goodput_ratio": "goodput",
    "rate_limited_per_1000": "429s",
    "task_p99_over_oracle": "p99",
    "tasks_failed_ratio": "failed",
    "worst_wait_over_median": "wait",
}

Runs = dict[str, dict[str, list[dict[str, Any]]]]
"""Rows by scenario and policy."""


def read(paths: Iterable[Path]) -> Runs:
    """Read what the lab wrote; rows of policies that could not run are left out."""
    runs: Runs = defaultdict(lambda: defaultdict(list))
    for path in paths:
        for row in json.loads(path.read_text())["results"]:
            if "skipped" not in row:
                runs[row["scenario"]][row["policy"]].append(row)
    return runs


def ours(runs: Runs) -> list[str]:
    """Put our limiter beside its targets."""
    lines = table_head(
        "scenario", "seeds", "goodput", "least", "target", "429s per 1000", "target", "failed tasks",
        "p99 / oracle", "target", "worst wait", "misses",
    )  # fmt: skip
    for scenario, by_policy in sorted(runs.items()):
        rows = by_policy.get(OURS)
        if not rows:
            continue
        means, target = means_of(rows), target_of(scenario)
        missed = ", ".join(SHORT[name] for name in target.missed(means)) or "–"
        least = min(row["goodput_ratio"] for row in rows)
        lines.append(
            f"| {scenario} | {len(rows)} "
            f"| {means['goodput_ratio']:.3f} | {least:.3f} | ≥ {target.goodput:g} | "
            f"{means['rate_limited_per_1000']:.1f} | ≤ {target.refused:g} | "
            f"{means['tasks_failed_ratio']:.1%} | {_number(means, 'task_p99_over_oracle')} | "
            f"≤ {target.p99:g} | {_number(means, 'worst_wait_over_median')} | {missed} |"
        )
    return lines


def matrix(runs: Runs, policies: list[str]) -> list[str]:
    """Put policies beside each other: goodput / 429s per 1000 / failed tasks."""
    scenarios = sorted(name for name, found in runs.items() if set(policies) & (set(found) - {OURS}))
    lines = table_head("policy", *scenarios)
    for policy in policies:
        cells = [_cell(runs[scenario].get(policy)) for scenario in scenarios]
        if any(cell != "–" for cell in cells):
            lines.append(f"| {policy} | " + " | ".join(cells) + " |")
    return lines


def table_head(*names: str) -> list[str]:
    """Begin a Markdown table."""
    return ["| " + " | ".join(names) + " |", "|---" + "|---:" * (len(names) - 1) + "|"]


def _cell(rows: list[dict[str, Any]] | None) -> str:
    if not rows:
        return "–"
    means = means_of(rows)
    return (
        f"{means['goodput_ratio']:.3f} / {means['rate_limited_per_1000']:.0f} / "
        f"{means['tasks_failed_ratio']:.0%}"
    )


def _number(means: dict[str, float], name: str) -> str:
    return f"{means[name]:.2f}" if name in means else "–"


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limiter_lab.report", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    runs = read(parser.parse_args().files)
    policies = sorted({policy for found in runs.values() for policy in found} - {OURS, "oracle"})
    ablations = [policy for policy in policies if policy.startswith(ABLATION)]
    peers = [policy for policy in policies if policy not in ablations]
    sections = [("Ours beside the targets", ours(runs))]
    if ablations:
        sections.append(
            (
                "What each part is worth: goodput / 429s per 1000 / failed tasks",
                matrix(runs, [OURS, *ablations]),
            )
        )
    if peers:
        sections.append(("Peers: goodput / 429s per 1000 / failed tasks", matrix(runs, [OURS, *peers])))
    for title, lines in sections:
        sys.stdout.write(f"## {title}\n\n" + "\n".join(lines) + "\n\n")


if __name__ == "__main__":
    main()
