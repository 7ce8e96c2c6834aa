"""Before and after: what changed, and whether it could be chance.

Calls of one task are alike, so tasks are what is sampled: each measure is a ratio of sums over tasks,
its variance by linearisation (the delta method for ratio estimators, Cochran, Sampling Techniques, 1977,
6.4), the difference tested with the normal distribution. Many measures are looked at together, so the
p-values are adjusted by Holm's step-down method (1979).
"""

import math
from collections.abc import Sequence
from typing import Any, Final

from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs.concurrency import concurrency
from penstock.analysis.verbs.errors import LEVELS, errors

FEWEST_TASKS: Final = 30
"""Below this many tasks on either side the normal approximation is not trusted, and no p-value is given."""
SIGNIFICANT: Final = 0.05

MEASURES: Final = {
    "failed operations ratio": ("failed_operations", "operations"),
    "failed attempts ratio": ("failed_attempts", "attempts"),
    "rate limited attempts ratio": ("rate_limited", "attempts"),
    "failed tools ratio": ("failed_tools", "tools"),
    "attempts per operation": ("attempts", "operations"),
    "operations per task": ("operations", "one"),
    "operation seconds, mean": ("operation_seconds", "operations"),
    "input tokens per operation": ("input_tokens", "operations"),
    "output tokens per operation": ("output_tokens", "operations"),
    "task seconds, mean": ("seconds", "one"),
}

_TASKS: Final = """
SELECT 1 AS one,
       count(*) FILTER (WHERE is_operation) AS operations,
       count(*) FILTER (WHERE is_operation AND failed) AS failed_operations,
       count(*) FILTER (WHERE is_attempt) AS attempts,
       count(*) FILTER (WHERE is_attempt AND failed) AS failed_attempts,
       count(*) FILTER (WHERE is_attempt AND failed AND error_class = 'rate_limit') AS rate_limited,
       count(*) FILTER (WHERE is_tool) AS tools,
       count(*) FILTER (WHERE is_tool AND failed) AS failed_tools,
       coalesce(sum(greatest(end_ns - start_ns, 0)) FILTER (WHERE is_operation), 0) / 1e9
         AS operation_seconds,
       CAST(coalesce(sum(input_tokens) FILTER (WHERE owns_tokens), 0) AS BIGINT) AS input_tokens,
       CAST(coalesce(sum(output_tokens) FILTER (WHERE owns_tokens), 0) AS BIGINT) AS output_tokens,
       greatest(max(end_ns) - min(start_ns), 0) / 1e9 AS seconds
FROM spans WHERE task IS NOT NULL
GROUP BY task HAVING count(*) FILTER (WHERE is_operation OR is_attempt OR is_tool) > 0 ORDER BY task
"""


def compare(before: Spans, after: Spans) -> Answer:
    """Answer `traces compare`."""
    sides = [before.rows(_TASKS), after.rows(_TASKS)]
    changes = [
        change for name, pair in MEASURES.items() if (change := _change(name, pair, sides)) is not None
    ]
    _holm(changes)
    live = [concurrency(spans).data["total"] for spans in (before, after)]
    levels = [{"measure": f"live calls, {rank}", "before": live[0][rank], "after": live[1][rank]}
              for rank in ("mean", "p50", "p95", "p99", "max")]  # fmt: skip
    told = [errors(spans).data for spans in (before, after)]
    data: dict[str, Any] = {
        "tasks": {"before": len(sides[0]), "after": len(sides[1])},
        "changes": changes,
        "live": levels,
        "classes": _classes(told),
        "quality": after.quality,
        "quality_before": before.quality,
    }
    significant = [change for change in changes if change["significant"]]
    lines = [f"{len(sides[0]):,} tasks before, {len(sides[1]):,} after"]
    if min(len(side) for side in sides) < FEWEST_TASKS:
        lines.append(f"fewer than {FEWEST_TASKS} tasks on one side: differences are shown, not tested")
    elif significant:
        lines += [_words(change) for change in significant]
    else:
        lines.append("nothing changed beyond chance")
    tables = [
        table_of("changes", changes),
        table_of("live calls", levels),
        table_of("failures", data["classes"]),
    ]
    return Answer("compare", data, lines, [table for table in tables if table.rows])


def _words(change: dict[str, Any]) -> str:
    values = f"{change['before']:.4g} → {change['after']:.4g}"
    return f"{change['measure']}: {values} (p {change['p_adjusted']:.2g})"


def _change(name: str, pair: tuple[str, str], sides: Sequence[list[dict[str, Any]]]) -> dict[str, Any] | None:
    top, bottom = pair
    earlier, later = (
        _ratio([row[top] or 0 for row in side], [row[bottom] or 0 for row in side]) for side in sides
    )
    if earlier is None or later is None:
        return None
    (before, var_before), (after, var_after) = earlier, later
    deviation = math.sqrt(var_before + var_after)
    p_value = None
    if min(len(side) for side in sides) >= FEWEST_TASKS:
        if deviation:
            p_value = math.erfc(abs(after - before) / deviation / math.sqrt(2))
        else:
            p_value = 1.0 if after == before else 0.0
    margin = 1.959964 * deviation
    return {
        "measure": name, "before": before, "after": after, "difference": after - before,
        "low": after - before - margin, "high": after - before + margin,
        "p": p_value, "p_adjusted": None, "significant": False,
    }  # fmt: skip


def _ratio(tops: list[float], bottoms: list[float]) -> tuple[float, float] | None:
    """Return Σ top ÷ Σ bottom and its variance over tasks."""
    total, count = sum(bottoms), len(bottoms)
    if not total:
        return None
    ratio = sum(tops) / total
    if count < 2:
        return ratio, 0.0
    squares = sum((top - ratio * bottom) ** 2 for top, bottom in zip(tops, bottoms, strict=True))
    return ratio, squares * count / (count - 1) / total**2


def _holm(changes: list[dict[str, Any]]) -> None:
    tested = sorted((change for change in changes if change["p"] is not None), key=lambda change: change["p"])
    worst = 0.0
    for i, change in enumerate(tested):
        worst = max(worst, min(1.0, change["p"] * (len(tested) - i)))
        change["p_adjusted"] = worst
        change["significant"] = worst < SIGNIFICANT


def _classes(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"level": level, "class": name, "before": told[0][level]["by_class"].get(name, 0),
         "after": told[1][level]["by_class"].get(name, 0)}
        for level in LEVELS
        for name in sorted({*told[0][level]["by_class"], *told[1][level]["by_class"]})
    ]  # fmt: skip
