"""Which class, reason, provider, model and pool; operations and attempts told apart."""

from collections.abc import Sequence
from typing import Any, Final

from penstock.analysis.answer import Answer, Table, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs._grouping import grouped

LEVELS: Final = {"attempts": "is_attempt", "operations": "is_operation", "tools": "is_tool"}
GROUPS: Final = ("provider", "model", "pool", "class", "reason")
_BUCKETS: Final = 60
_STEPS: Final = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 21600, 86400)


def errors(spans: Spans, by: Sequence[str] = GROUPS) -> Answer:
    """Answer `traces errors`. `groups` counts failed attempts, the other two lists what lies around them."""
    data: dict[str, Any] = {level: _totals(spans, flag) for level, flag in LEVELS.items()}
    data["groups"] = _groups(spans, "is_attempt", by)
    data["operation_groups"] = _groups(spans, "is_operation", by)
    data["tool_groups"] = _groups(spans, "is_tool", ("tool", "reason"))
    data["over_time"] = _over_time(spans)
    data["quality"] = spans.quality
    return Answer("errors", data, _lines(data), _tables(data))


def _totals(spans: Spans, flag: str) -> dict[str, Any]:
    rows = spans.rows(
        f"SELECT CASE WHEN failed THEN coalesce(error_class, 'unknown') ELSE error_class END AS class, "  # noqa: S608
        f"count(*) AS count FROM spans WHERE {flag} GROUP BY ALL ORDER BY count DESC, class"
    )
    by_class = {row["class"]: row["count"] for row in rows if row["class"] is not None}
    cancelled = by_class.pop("cancelled", 0)
    return {
        "total": sum(row["count"] for row in rows),
        "failed": sum(by_class.values()),
        "cancelled": cancelled,
        "by_class": by_class,
    }


def _groups(spans: Spans, flag: str, by: Sequence[str]) -> list[dict[str, Any]]:
    select, names = grouped(by)
    return spans.rows(
        f"SELECT {select}, count(*) AS count FROM spans WHERE {flag} AND failed "  # noqa: S608
        f"GROUP BY ALL ORDER BY count DESC, {', '.join(str(place) for place in range(1, len(names) + 1))}"
    )


def _over_time(spans: Spans) -> dict[str, Any]:
    """Count attempts and failures in steps of equal length, at most sixty."""
    bounds = spans.rows("SELECT min(start_ns) AS first, max(start_ns) AS last FROM spans WHERE is_attempt")[0]
    if bounds["first"] is None:
        return {"step_seconds": None, "buckets": []}
    length = (bounds["last"] - bounds["first"]) / 1e9
    step = next((step for step in _STEPS if length / step <= _BUCKETS), _STEPS[-1])
    rows = spans.rows(
        "SELECT intDiv(start_ns - ?, ?) AS bucket, count(*) AS attempts, "
        "count(*) FILTER (WHERE failed) AS failed, "
        "count(*) FILTER (WHERE error_class IN ('rate_limit', 'quota', 'overloaded') AND failed) AS refused "
        "FROM spans WHERE is_attempt AND start_ns IS NOT NULL GROUP BY bucket ORDER BY bucket",
        [bounds["first"], step * 1_000_000_000],
    )
    return {
        "step_seconds": step,
        "first_start_ns": bounds["first"],
        "buckets": [{"at_seconds": row.pop("bucket") * step, **row} for row in rows],
    }


def _lines(data: dict[str, Any]) -> list[str]:
    return [f"{level}: {counts(data[level])}" for level in LEVELS]


def counts(level: dict[str, Any]) -> str:
    """Give one level's totals in words."""
    classes = ", ".join(f"{name} {count:,}" for name, count in level["by_class"].items())
    cancelled = f"; {level['cancelled']:,} cancelled" if level["cancelled"] else ""
    return (
        f"{level['failed']:,} of {level['total']:,} failed" + (f": {classes}" if classes else "") + cancelled
    )


def _tables(data: dict[str, Any]) -> list[Table]:
    titles = {
        "groups": "failed attempts",
        "operation_groups": "failed operations",
        "tool_groups": "failed tool calls",
    }
    return [table_of(title, data[key]) for key, title in titles.items() if data[key]]
