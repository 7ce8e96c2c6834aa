"""Calls per task and calls at once per task: the arithmetic that saturates a quota."""

from typing import Any, Final

from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs.concurrency import figures

_SHOWN: Final = 20
_MEASURES: Final = ("operations", "attempts", "tools", "peak_live", "seconds", "tokens")

_TASKS: Final = """
WITH tagged AS (
  SELECT * FROM spans
), live AS (
  SELECT task, start_ns, end_ns FROM tagged WHERE is_attempt AND end_ns > start_ns
), per_task AS (
  SELECT task, max(task_name) AS name, count(*) FILTER (WHERE is_operation) AS operations,
         count(*) FILTER (WHERE is_attempt) AS attempts, count(*) FILTER (WHERE is_tool) AS tools,
         count(*) FILTER (WHERE is_attempt AND failed) AS failed_attempts,
         CAST(coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0))
              FILTER (WHERE owns_tokens), 0) AS BIGINT) AS tokens,
         (max(end_ns) - min(start_ns)) / 1e9 AS seconds, min(start_ns) AS start_ns, max(end_ns) AS end_ns
  FROM tagged WHERE task IS NOT NULL GROUP BY task
), steps AS (
  SELECT task, t, sum(d) AS d FROM (
    SELECT task, start_ns AS t, 1 AS d FROM live UNION ALL SELECT task, end_ns AS t, -1 AS d FROM live
  ) AS changes GROUP BY task, t
), peaks AS (
  SELECT task, max(level) AS peak FROM (
    SELECT task, sum(d) OVER (
      PARTITION BY task ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS level
    FROM steps) AS running GROUP BY task
)
SELECT p.*, CAST(coalesce(k.peak, 0) AS BIGINT) AS peak_live
FROM per_task p LEFT JOIN peaks k ON k.task = p.task WHERE p.operations > 0 OR p.attempts > 0
"""
_LIVE_TASKS: Final = """
WITH tasks AS (
  SELECT min(start_ns) AS s, max(end_ns) AS e FROM spans
  WHERE task IS NOT NULL AND start_ns IS NOT NULL GROUP BY task
), levels AS (
  SELECT t, sum(sum(d)) OVER (ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS level,
         lead(t) OVER (ORDER BY t) AS until
  FROM (SELECT s AS t, 1 AS d FROM tasks WHERE e >= s UNION ALL
        SELECT e, -1 FROM tasks WHERE e >= s) AS changes
  GROUP BY t
)
SELECT CAST(level AS BIGINT) AS level, CAST(sum(until - t) AS BIGINT) AS ns
FROM levels WHERE until > t GROUP BY level
"""


def fanout(spans: Spans) -> Answer:
    """Answer `traces fanout`."""
    tasks = spans.rows(_TASKS)
    at_once = figures({row["level"]: row["ns"] for row in spans.rows(_LIVE_TASKS)})
    spread = {name: _spread([task[name] or 0 for task in tasks]) for name in _MEASURES}
    heaviest = sorted(tasks, key=lambda task: (-task["attempts"], str(task["task"])))[:_SHOWN]
    data: dict[str, Any] = {
        "tasks": len(tasks),
        "per_task": spread,
        "tasks_at_once": at_once,
        "calls_at_once_if_all_fan_out": at_once["p95"] * spread["peak_live"]["p95"],
        "heaviest": heaviest,
        "quality": spans.quality,
    }
    lines = [
        f"{len(tasks):,} tasks; operations each: p50 {spread['operations']['p50']}, "
        f"p95 {spread['operations']['p95']}, max {spread['operations']['max']}",
        f"{at_once['p95']} tasks at once (p95) × {spread['peak_live']['p95']} calls at once each (p95) = "
        f"{data['calls_at_once_if_all_fan_out']:,} live calls when all fan out",
    ]
    tables = [
        table_of("per task", [{"measure": name, **held} for name, held in spread.items()]),
        table_of("heaviest tasks", heaviest, ("task", "name", *_MEASURES, "failed_attempts")),
    ]
    return Answer("fanout", data, lines, [table for table in tables if table.rows])


def _spread(values: list[float]) -> dict[str, float]:
    """Give nearest-rank percentiles over tasks."""
    ordered = sorted(values)
    if not ordered:
        return {"mean": 0, "p50": 0, "p95": 0, "p99": 0, "max": 0}
    return {
        "mean": sum(ordered) / len(ordered),
        "p50": _rank(ordered, 50),
        "p95": _rank(ordered, 95),
        "p99": _rank(ordered, 99),
        "max": ordered[-1],
    }


def _rank(ordered: list[float], percent: int) -> float:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
