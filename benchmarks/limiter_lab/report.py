"""Tables from JSON files of the lab, as Markdown: `python -m benchmarks.limiter_lab.report FILE.json…`.

Ours beside its targets, with what misses them; the ablations; every policy over all its scenarios, and then
scenario by scenario.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.limiter_lab.lab import WEAK_ORACLE
from benchmarks.limiter_lab.targets import means_of, target_of

OURS: Final = "penstock"
ORACLE: Final = "oracle"
ABLATION: Final = "penstock_without_"
SHORT: Final = {
    "goodput_ratio": "goodput",
    "rate_limited_per_1000": "429s",
    "task_p99_over_oracle": "p99",
    "tasks_failed_ratio": "failed",
    "worst_wait_over_median": "wait",
}
RAISED: Final = "⁰¹²³⁴⁵⁶⁷⁸⁹"

Rows = list[dict[str, Any]]
Runs = dict[str, dict[str, Rows]]
"""Rows by scenario and policy."""


def read(paths: Iterable[Path]) -> Runs:
    """Read what the lab wrote, each run once; rows of policies that could not run are left out."""
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for path in paths:
        for row in json.loads(path.read_text())["results"]:
            if "skipped" not in row:
                found[row["scenario"], row["policy"], row["seed"]] = row
    runs: Runs = defaultdict(lambda: defaultdict(list))
    for (scenario, policy, _), row in sorted(found.items()):
        runs[scenario][policy].append(row)
    return runs


def ours(runs: Runs) -> list[str]:
    """Put our limiter beside its targets."""
    lines = table_head(
        "scenario", "seeds", "goodput", "least", "target", "429s per 1000", "target", "failed tasks",
        "p99 / oracle", "target", "worst wait", "oracle / bound", "misses",
    )  # fmt: skip
    for scenario, by_policy in sorted(runs.items()):
        rows = by_policy.get(OURS)
        if not rows:
            continue
        means, target = means_of(rows), target_of(scenario)
        missed = ", ".join(SHORT[name] for name in target.missed(means, _lost(by_policy))) or "–"
        least = min(row["goodput_ratio"] for row in rows)
        weak = " (weak)" if means["oracle_over_bound"] < WEAK_ORACLE else ""
        lines.append(
            f"| {scenario} | {len(rows)} "
            f"| {means['goodput_ratio']:.3f} | {least:.3f} | ≥ {target.goodput:g} | "
            f"{means['rate_limited_per_1000']:.1f} | ≤ {target.refused:g} | "
            f"{means['tasks_failed_ratio']:.1%} | {_number(means, 'task_p99_over_oracle')} | "
            f"≤ {target.p99:g} | {_number(means, 'worst_wait_over_median')} | "
            f"{means['oracle_over_bound']:.3f}{weak} | {missed} |"
        )
    return lines


def overall(runs: Runs, policies: list[str]) -> list[str]:
    """Sum each policy up over the scenarios it ran in, and count where it meets all of our targets."""
    lines = table_head(
        "policy", "scenarios", "runs", "all targets met", "goodput, median", "worst", "429s per 1000, median",
        "worst", "failed tasks, median", "worst",
    )  # fmt: skip
    for policy in policies:
        own = {scenario: found[policy] for scenario, found in runs.items() if policy in found}
        means = {scenario: means_of(rows) for scenario, rows in own.items()}
        met = sum(
            not target_of(scenario).missed(mean, _lost(runs[scenario])) for scenario, mean in means.items()
        )
        goodput = [mean["goodput_ratio"] for mean in means.values()]
        refused = [mean["rate_limited_per_1000"] for mean in means.values()]
        failed = [mean["tasks_failed_ratio"] for mean in means.values()]
        lines.append(
            f"| {policy} | {len(own)} | {sum(map(len, own.values()))} | {met} "
            f"| {median(goodput):.3f} | {min(goodput):.3f} | {median(refused):.1f} | {max(refused):.0f} "
            f"| {median(failed):.1%} | {max(failed):.0%} |"
        )
    return lines


def grid(runs: Runs, policies: list[str], cell: Callable[[dict[str, float]], str]) -> list[str]:
    """Put policies beside each other, scenario by scenario; marks a mean of fewer seeds than others have."""
    lines = table_head("scenario", *policies)
    most = max(len(rows) for found in runs.values() for rows in found.values())
    for scenario, found in sorted(runs.items()):
        cells = [
            cell(means_of(rows)) + (_raised(len(rows)) if len(rows) < most else "")
            if (rows := found.get(policy))
            else "–"
            for policy in policies
        ]
        if any(text != "–" for text in cells[1:]):
            lines.append(f"| {scenario} | " + " | ".join(cells) + " |")
    return lines


def table_head(*names: str) -> list[str]:
    """Begin a Markdown table."""
    return ["| " + " | ".join(names) + " |", "|---" + "|---:" * (len(names) - 1) + "|"]


def _raised(number: int) -> str:
    return "".join(RAISED[int(digit)] for digit in str(number))


def _lost(by_policy: dict[str, Rows]) -> float:
    """Give the share of tasks that fail even for the oracle: a call may be larger than any window."""
    rows = by_policy.get(ORACLE)
    return means_of(rows)["tasks_failed_ratio"] if rows else 0.0


def _all_three(means: dict[str, float]) -> str:
    return (
        f"{means['goodput_ratio']:.3f} / {means['rate_limited_per_1000']:.0f} / "
        f"{means['tasks_failed_ratio']:.0%}"
    )


def _number(means: dict[str, float], name: str) -> str:
    return f"{means[name]:.2f}" if name in means else "–"


def sections(runs: Runs) -> dict[str, list[str]]:
    """Make every table that the rows are enough for, by its title."""
    policies = sorted({policy for found in runs.values() for policy in found} - {OURS, ORACLE})
    ablations = [policy for policy in policies if policy.startswith(ABLATION)]
    peers = [policy for policy in policies if policy not in ablations]
    made = {"Ours beside the targets": ours(runs)}
    if ablations:
        title = "What each part is worth: goodput / 429s per 1000 / failed tasks"
        made[title] = grid(runs, [OURS, *ablations], _all_three)
    if peers:
        everyone = [OURS, *peers]
        made["Everyone, over all scenarios"] = overall(runs, everyone)
        made["Goodput"] = grid(runs, everyone, lambda means: f"{means['goodput_ratio']:.3f}")
        made["429s per 1000 attempts"] = grid(
            runs, everyone, lambda means: f"{means['rate_limited_per_1000']:.1f}"
        )
        made["Failed tasks"] = grid(runs, everyone, lambda means: f"{means['tasks_failed_ratio']:.1%}")
    return made


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limiter_lab.report", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    for title, lines in sections(read(parser.parse_args().files)).items():
        sys.stdout.write(f"## {title}\n\n" + "\n".join(lines) + "\n\n")


if __name__ == "__main__":
    main()
