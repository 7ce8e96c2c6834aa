"""Calls per task and calls at once per task: the arithmetic that saturates a quota."""

from typing import Any, Final

from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs.concurrency import NS, PERCENTS, figures, levels

_SHOWN: Final = 20
_MEASURES: Final = ("operations", "attempts", "tools", "peak_live", "seconds", "tokens")

_TASKS: Final = """
tasks AS (
  SELECT task, max(task_name) AS name, count(*) FILTER (WHERE is_operation) AS operations,
         count(*) FILTER (WHERE is_attempt) AS attempts, count(*) FILTER (WHERE is_tool) AS tools,
         count(*) FILTER (WHERE is_attempt AND failed) AS failed_attempts,
         CAST(coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0))
              FILTER (WHERE owns_tokens), 0) AS BIGINT) AS tokens,
         max(end_ns) - min(start_ns) AS ns, min(start_ns) AS start_ns, max(end_ns) AS end_ns
  FROM spans WHERE task IS NOT NULL GROUP BY task
), counted AS (
  SELECT * FROM tasks WHERE operations > 0 OR attempts > 0
)
"""
_PEAKS: Final = """
steps AS (
  SELECT cityHash64(task) AS g, start_ns AS t, 1 AS d FROM spans
  WHERE is_attempt AND task IS NOT NULL AND end_ns > start_ns {some}
  UNION ALL
  SELECT cityHash64(task) AS g, end_ns AS t, -1 AS d FROM spans
  WHERE is_attempt AND task IS NOT NULL AND end_ns > start_ns {some}
), peaks AS (
  SELECT g, CAST(max(level) AS BIGINT) AS peak_live FROM (
    SELECT g, sum(d) OVER (ORDER BY g, t, d ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS level
    FROM steps) AS running GROUP BY g
)
"""
"""A task's steps add up to nothing, so that those of the next one begin at level 0."""
_HEAVIEST: Final = f"""
WITH {_TASKS}, heaviest AS (
  SELECT * FROM counted ORDER BY attempts DESC, task LIMIT {_SHOWN}
), {_PEAKS.format(some="AND task IN (SELECT task FROM heaviest)")}
SELECT h.task AS task, h.name AS name, h.operations AS operations, h.attempts AS attempts, h.tools AS tools,
       h.failed_attempts AS failed_attempts, h.tokens AS tokens, h.ns / 1e9 AS seconds,
       h.start_ns AS start_ns, h.end_ns AS end_ns, coalesce(p.peak_live, 0) AS peak_live
FROM heaviest h LEFT JOIN peaks p ON p.g = cityHash64(h.task) ORDER BY attempts DESC, task
"""  # noqa: S608 - of our own words, here and below
_COLUMNS: Final = {name: "ns" if name == "seconds" else name for name in _MEASURES}
_ONE: Final = "SELECT '{name}' AS measure, CAST(coalesce({column}, 0) AS BIGINT) AS value FROM measured"
_RANK: Final = "max(CASE WHEN place = intDiv(total * {percent} + 99, 100) THEN value END) AS p{percent}"
_SPREAD: Final = f"""
WITH {_TASKS}, {_PEAKS.format(some="")}, measured AS (
  SELECT c.*, p.peak_live FROM counted c LEFT JOIN peaks p ON p.g = cityHash64(c.task)
), listed AS (
  {" UNION ALL ".join(_ONE.format(name=name, column=column) for name, column in _COLUMNS.items())}
), ranked AS (
  SELECT measure, value, row_number() OVER (PARTITION BY measure ORDER BY value) AS place,
         count(*) OVER (PARTITION BY measure) AS total
  FROM listed
)
SELECT measure, count(*) AS tasks, CAST(sum(value) AS BIGINT) AS whole, max(value) AS max,
       {", ".join(_RANK.format(percent=percent) for percent in PERCENTS)}
FROM ranked GROUP BY measure
"""  # noqa: S608
_LIVE: Final = """
SELECT 0 AS g, min(start_ns) AS s, max(end_ns) AS e FROM spans
WHERE task IS NOT NULL AND start_ns IS NOT NULL GROUP BY task HAVING max(end_ns) >= min(start_ns)
"""


def fanout(spans: Spans) -> Answer:
    """Answer `traces fanout`."""
    at_once = figures(levels(spans, _LIVE).get(0, {}))
    rows = {row["measure"]: row for row in spans.rows(_SPREAD)}
    spread = {name: _spread(rows.get(name), NS if name == "seconds" else 1) for name in _MEASURES}
    count = rows["attempts"]["tasks"] if rows else 0
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


def _spread(told: dict[str, Any] | None, unit: int) -> dict[str, float]:
    """Give nearest-rank percentiles over tasks, in units."""
    ranks = [f"p{percent}" for percent in PERCENTS]
    if told is None:
        return dict.fromkeys(("mean", *ranks, "max"), 0)
    mean = told["whole"] / told["tasks"] / unit
    return {"mean": mean} | {rank: told[rank] / unit if unit > 1 else told[rank] for rank in (*ranks, "max")}
