"""Calls per task and calls at once per task: the arithmetic that saturates a quota."""

from typing import Any, Final

from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs.concurrency import NS, PERCENTS, figures, levels

_SHOWN: Final = 20
_MEASURES: Final = ("operations", "attempts", "tools", "peak_live", "seconds", "tokens")

_TASKS: Final = """
WITH mine AS (
  SELECT task, task_name, is_operation, is_attempt, is_tool, failed, start_ns, end_ns,
         CASE WHEN owns_tokens THEN coalesce(input_tokens, 0) + coalesce(output_tokens, 0) ELSE 0 END
           AS tokens
  FROM spans WHERE task IS NOT NULL
), counted AS (
  SELECT task, max(task_name) AS name, count(*) FILTER (WHERE is_operation) AS operations,
         count(*) FILTER (WHERE is_attempt) AS attempts, count(*) FILTER (WHERE is_tool) AS tools,
         count(*) FILTER (WHERE is_attempt AND failed) AS failed_attempts,
         CAST(sum(tokens) AS BIGINT) AS tokens,
         coalesce(max(end_ns) - min(start_ns), 0) AS ns, min(start_ns) AS start_ns, max(end_ns) AS end_ns
  FROM mine GROUP BY task
), tries AS (
  SELECT cityHash64(task) AS g, start_ns AS s, end_ns AS e FROM mine WHERE is_attempt AND end_ns > start_ns
), steps AS (
  SELECT g, s AS t, 1 AS d FROM tries UNION ALL SELECT g, e AS t, -1 AS d FROM tries
), peaks AS (
  SELECT g, CAST(max(level) AS BIGINT) AS peak_live FROM (
    SELECT g, sum(d) OVER (ORDER BY g, t, d ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS level
    FROM steps) AS running GROUP BY g
)
SELECT c.*, coalesce(p.peak_live, 0) AS peak_live
FROM counted c LEFT JOIN peaks p ON p.g = cityHash64(c.task)
"""
"""A task's steps add up to nothing, so that those of the next one begin at level 0."""
_CALLING: Final = "FROM calls_of_tasks WHERE operations > 0 OR attempts > 0"
_HEAVIEST: Final = f"""
SELECT task, name, operations, attempts, tools, failed_attempts, tokens, ns / 1e9 AS seconds,
       start_ns, end_ns, peak_live
{_CALLING} ORDER BY attempts DESC, task LIMIT {_SHOWN}
"""
_COLUMNS: Final = {name: "ns" if name == "seconds" else name for name in _MEASURES}
_LISTED: Final = ", ".join(
    f"arraySort(groupArray({column})) AS {name}, CAST(sum({column}) AS BIGINT) AS {name}_whole"
    for name, column in _COLUMNS.items()
)
_PICKED: Final = ", ".join(
    f"{name}_whole, {name}[tasks] AS {name}_max, "
    + ", ".join(f"{name}[intDiv(tasks * {percent} + 99, 100)] AS {name}_p{percent}" for percent in PERCENTS)
    for name in _MEASURES
)
_SPREAD: Final = f"""
SELECT tasks, {_PICKED} FROM (SELECT count(*) AS tasks, {_LISTED} {_CALLING}) AS listed WHERE tasks > 0
"""  # noqa: S608 - of our own words
_LIVE: Final = "SELECT 0 AS g, start_ns AS s, end_ns AS e FROM calls_of_tasks WHERE end_ns >= start_ns"


def fanout(spans: Spans) -> Answer:
    """Answer `traces fanout`."""
    spans.hold("calls_of_tasks", _TASKS)
    at_once = figures(levels(spans, _LIVE).get(0, {}))
    told = next(iter(spans.rows(_SPREAD)), None)
    spread = {name: _spread(told, name, NS if name == "seconds" else 1) for name in _MEASURES}
    count = told["tasks"] if told else 0
    heaviest = spans.rows(_HEAVIEST)
    data: dict[str, Any] = {
        "tasks": count,
        "per_task": spread,
        "tasks_at_once": at_once,
        "calls_at_once_if_all_fan_out": at_once["p95"] * spread["peak_live"]["p95"],
        "heaviest": heaviest,
        "quality": spans.quality,
    }
    lines = [
        f"{count:,} tasks; operations each: p50 {spread['operations']['p50']}, "
        f"p95 {spread['operations']['p95']}, max {spread['operations']['max']}",
        f"{at_once['p95']} tasks at once (p95) × {spread['peak_live']['p95']} calls at once each (p95) = "
        f"{data['calls_at_once_if_all_fan_out']:,} live calls when all fan out",
    ]
    if count > 1 and spread["operations"]["max"] <= 1 and all(task["name"] is None for task in heaviest):
        lines.append("no work is named, so each call stands alone: put `with penstock.task(NAME):` round it")
    tables = [
        table_of("per task", [{"measure": name, **held} for name, held in spread.items()]),
        table_of("heaviest tasks", heaviest, ("task", "name", *_MEASURES, "failed_attempts")),
    ]
    return Answer("fanout", data, lines, [table for table in tables if table.rows])


def _spread(told: dict[str, Any] | None, name: str, unit: int) -> dict[str, float]:
    """Give the mean and nearest-rank percentiles of a measure over tasks, in units."""
    ranks = (*(f"p{percent}" for percent in PERCENTS), "max")
    if told is None:
        return dict.fromkeys(("mean", *ranks), 0)
    found = {rank: told[f"{name}_{rank}"] for rank in ranks}
    mean = told[f"{name}_whole"] / told["tasks"] / unit
    return {"mean": mean} | {rank: value / unit if unit > 1 else value for rank, value in found.items()}
