"""How many attempts were live: exact, weighted by time.

Intervals are half open, so an end at t comes before a start at t. The level between two neighbouring
times is weighted by the nanoseconds it lasted. A percentile is the smallest level L with
time(level ≤ L) ≥ p × total (nearest rank, in integers), from the first start to the last end; and
once more over the busy time, when at least one attempt was live.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs._grouping import grouped, hashed

GROUPS: Final = ("pool", "provider")
PERCENTS: Final = (50, 95, 99)
NS: Final = 1_000_000_000
Window = tuple[str, int, int]
"""A pool, and from when until when (nanoseconds, half open)."""
_KEPT: Final = ("attempts", "first_start_ns", "last_end_ns")

_LEVELS: Final = """
WITH live AS ({live}), levels AS (
  SELECT g, t,
         sum(d) OVER ({order} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS level,
         lead(t) OVER ({order}) AS until {following}
  FROM (SELECT g, s AS t, 1 AS d FROM live UNION ALL SELECT g, e AS t, -1 AS d FROM live) AS steps
)
SELECT g, CAST(level AS BIGINT) AS level, CAST(sum(until - t) AS BIGINT) AS ns
FROM levels WHERE until > t {same} GROUP BY g, level
"""
"""Of several steps at one time only the last one lasts, and its level has all of them in it.

Groups lie one behind the other in one order, which is quicker than a window for each: a group's steps
add up to nothing, so that the next one begins at level 0.
"""
_LIVE: Final = """
SELECT {key} AS g, start_ns AS s, greatest(end_ns, start_ns) AS e
FROM spans WHERE is_attempt AND start_ns IS NOT NULL AND end_ns IS NOT NULL
"""
_INSIDE: Final = """
SELECT w.g AS g, greatest(start_ns, w.since) AS s, least(end_ns, w.until) AS e
FROM spans JOIN ({windows}) w ON w.pool = spans.pool
WHERE is_attempt AND start_ns < w.until AND end_ns > w.since
"""
_WINDOW: Final = "SELECT {g} AS g, ? AS pool, {since} AS since, {until} AS until"
_PEAKS: Final = """
SELECT {select} {key} AS g, count(*) AS attempts, min(start_ns) AS first_start_ns, max(end_ns) AS last_end_ns
FROM spans WHERE is_attempt AND start_ns IS NOT NULL AND end_ns IS NOT NULL {group}
"""


def concurrency(spans: Spans, by: Sequence[str] = GROUPS) -> Answer:
    """Answer `traces concurrency`: one entry a group, most live first, and all attempts together."""
    held = _levels(spans, by)
    groups = [
        {
            **{name: row[name] for name in by},
            **figures(held.get(row["g"], {})),
            **{name: row[name] for name in _KEPT},
        }
        for row in _members(spans, by)
    ]
    groups.sort(key=lambda group: (-group["max"], [str(group[name]) for name in by]))
    total = figures((_levels(spans, ()) if by else held).get(0, {}))
    data = {"groups": groups, "total": total, "quality": spans.quality}
    lines = [
        f"live calls: p50 {total['p50']}, p95 {total['p95']}, p99 {total['p99']}, max {total['max']}; "
        f"mean {total['mean']:.2f} over {total['seconds']:,.1f} s"
    ]
    columns = (*by, "mean", "p50", "p95", "p99", "max", "seconds", "attempts")
    shown = [table_of("live calls, by time", groups, columns)]
    shown.append(
        table_of("the same over busy time", [{**group, **group["busy"]} for group in groups], columns[:-1])
    )
    return Answer("concurrency", data, lines, shown)


def figures(time_at: Mapping[int, int]) -> dict[str, Any]:
    """Compute mean, percentiles, max and length from nanoseconds spent at each level."""
    busy = {level: ns for level, ns in time_at.items() if level > 0}
    return {**_figures(time_at), "busy": _figures(busy)}


def _figures(time_at: Mapping[int, int]) -> dict[str, Any]:
    total = sum(time_at.values())
    found: dict[str, Any] = {
        "mean": sum(level * ns for level, ns in time_at.items()) / total if total else 0.0,
        **{f"p{percent}": percentile(time_at, percent) for percent in PERCENTS},
        "max": max(time_at, default=0),
        "seconds": total / NS,
    }
    return found


def percentile(time_at: Mapping[int, int], percent: int) -> int:
    """Return the smallest level L with time(level ≤ L) ≥ percent of the whole; 0 when there is no time."""
    total = sum(time_at.values())
    passed = 0
    for level in sorted(time_at):
        passed += time_at[level]
        if passed * 100 >= percent * total:
            return level
    return 0


def windows_of(asked: Sequence[Window]) -> tuple[str, list[object]]:
    """Give a SELECT of windows, numbered (`g`) as they come, and what stands for its `?`."""
    selects = [
        _WINDOW.format(g=number, since=int(since), until=int(until))
        for number, (_, since, until) in enumerate(asked)
    ]
    return " UNION ALL ".join(selects), [pool for pool, _, _ in asked]


def levels_inside(spans: Spans, asked: Sequence[Window]) -> list[dict[int, int]]:
    """Give nanoseconds at each level of one pool, inside of each window."""
    if not asked:
        return []
    windows, values = windows_of(asked)
    held = levels(spans, _INSIDE.format(windows=windows), values, grouped=True)
    found = [held.get(number, {}) for number in range(len(asked))]
    for time_at, (_, since, until) in zip(found, asked, strict=True):
        if (idle := until - since - sum(time_at.values())) > 0:
            time_at[0] = time_at.get(0, 0) + idle
    return found


def levels(
    spans: Spans, live: str, values: Sequence[object] = (), *, grouped: bool = False
) -> dict[int, dict[int, int]]:
    """Give nanoseconds at each level, by group: `live` selects groups (`g`), starts (`s`) and ends (`e`)."""
    order = "ORDER BY g, t" if grouped else "ORDER BY t"
    following = f", lead(g) OVER ({order}) AS next" if grouped else ""
    sql = _LEVELS.format(live=live, order=order, following=following, same="AND next = g" if grouped else "")
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for row in spans.rows(sql, values):
        found[row["g"]][row["level"]] = row["ns"]
    return found


def _levels(spans: Spans, by: Sequence[str]) -> dict[int, dict[int, int]]:
    return levels(spans, _LIVE.format(key=hashed(by)), grouped=bool(by))


def _members(spans: Spans, by: Sequence[str]) -> list[dict[str, Any]]:
    select, _ = grouped(by)
    group = "GROUP BY ALL" if by else ""  # a name may be that of another column, too
    return spans.rows(_PEAKS.format(select=f"{select}," if by else "", key=hashed(by), group=group))
