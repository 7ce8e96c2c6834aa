"""The table: one line a policy, means over seeds."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

from rich.console import Console
from rich.table import Table

from penstock.simulator import Scenario

WIDTH = 140
COLUMNS = (
    ("goodput", "goodput_ratio", "{:.3f}"),
    ("429/1k", "rate_limited_per_1000", "{:.1f}"),
    ("failed", "tasks_failed_ratio", "{:.1%}"),
    ("p50 s", "task_p50_seconds", "{:.0f}"),
    ("p99 s", "task_p99_seconds", "{:.0f}"),
    ("p99/oracle", "task_p99_over_oracle", "{:.2f}"),
    ("worst wait", "worst_wait_over_median", "{:.2f}"),
    ("fallback", "fallback_ratio", "{:.2f}"),
    ("oracle/bound", "oracle_over_bound", "{:.3f}"),
    ("cpu s", "compute_seconds", "{:.1f}"),
)


def show(scenario: Scenario, rows: Sequence[dict[str, Any]]) -> None:
    """Print a scenario's rows."""
    by_policy: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_policy.setdefault(row["policy"], []).append(row)
    table = Table(title=f"{scenario.name} ({scenario.horizon_seconds:.0f} s)", title_justify="left")
    table.add_column("policy", no_wrap=True)
    for title, _, _ in COLUMNS:
        table.add_column(title, justify="right")
    for policy, own in by_policy.items():
        if "skipped" not in own[0]:
            table.add_row(policy, *(_cell(own, key, shape) for _, key, shape in COLUMNS))
    skipped = {policy: own[0]["skipped"] for policy, own in by_policy.items() if "skipped" in own[0]}
    table.caption = "\n".join(f"{policy} skipped: {reason}" for policy, reason in skipped.items()) or None
    table.caption_justify = "left"
    console = Console()
    # A pipe is as wide as the table needs.
    (console if console.is_terminal else Console(width=WIDTH)).print(table)


def _cell(rows: Sequence[dict[str, Any]], key: str, shape: str) -> str:
    values = [row[key] for row in rows if row.get(key) is not None]
    return shape.format(mean(values)) if values else "–"
