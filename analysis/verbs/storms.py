"""Retry amplification: attempts per call, what they cost, and when retries fed on refusals."""

from collections.abc import Sequence
from typing import Any, Final

from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs._calls import CALLS
from penstock.analysis.verbs._grouping import grouped

WINDOW_SECONDS: Final = 10
WINDOW_NS: Final = WINDOW_SECONDS * 1_000_000_000
STORM_REFUSED_RATIO: Final = 0.3
STORM_AMPLIFICATION: Final = 1.5
STORM_ATTEMPTS: Final = 10
"""A window is part of a storm when it has this many attempts, this share of them refused, and so many
attempts for each call that was busy in it."""

_POOLS: Final = """
WITH {calls}
SELECT {names}, count(*) AS calls, CAST(sum(attempts) AS BIGINT) AS attempts,
       sum(attempts) / count(*) AS attempts_per_call, max(attempts) AS most_attempts,
       count(*) FILTER (WHERE attempts > 1) AS retried_calls,
       count(*) FILTER (WHERE refused > 0 AND attempts > refused) AS retried_after_429,
       count(*) FILTER (WHERE failed = attempts) AS calls_without_success,
       sum(wasted_ns) / 1e9 AS wasted_seconds, CAST(sum(wasted_tokens) AS BIGINT) AS wasted_tokens,
       sum(greatest(span_ns - working_ns, 0)) / 1e9 AS backoff_seconds
FROM calls GROUP BY {names} ORDER BY {most} DESC, {places}
"""
_WINDOWS: Final = """
SELECT {columns}, intDiv(start_ns, {width}) AS slot, count(*) AS attempts,
       count(*) FILTER (WHERE only_attempt)
         + count(DISTINCT CASE WHEN NOT only_attempt THEN call_id END) AS calls,
       count(*) FILTER (WHERE failed AND error_class IN ('rate_limit', 'overloaded')) AS refused
FROM spans WHERE is_attempt AND start_ns IS NOT NULL AND call_id IS NOT NULL
GROUP BY ALL ORDER BY {places}, {slot}
"""
_SPREAD: Final = f"""
WITH {CALLS.format(columns="")}
SELECT attempts, count(*) AS calls FROM calls GROUP BY attempts ORDER BY attempts
"""  # noqa: S608 - of our own words


def storms(spans: Spans, by: Sequence[str] = ("pool",)) -> Answer:
    """Answer `traces storms`.

    Raises:
        UsageError: `by` names a column that answers cannot be grouped by.
    """
    columns, quoted = grouped(by)
    places = ", ".join(str(place + 1) for place in range(len(by)))  # a name may be another column's, too
    words = {"columns": columns, "names": ", ".join(quoted), "places": places}
    calls = CALLS.format(columns=f"{columns},")
    pools = spans.rows(_POOLS.format(**words, calls=calls, most=len(by) + 2))
    found = _merge(spans.rows(_WINDOWS.format(**words, slot=len(by) + 1, width=WINDOW_NS)), by)
    count = sum(pool["calls"] for pool in pools)
    attempts = sum(pool["attempts"] for pool in pools)
    data = {
        "calls": count,
        "attempts": attempts,
        "attempts_per_call": attempts / count if count else 0.0,
        "wasted_seconds": sum(pool["wasted_seconds"] for pool in pools),
        "pools": pools,
        "attempts_spread": spans.rows(_SPREAD),
        "storms": found,
        "window_seconds": WINDOW_SECONDS,
        "quality": spans.quality,
    }
    lines = [
        f"{attempts:,} attempts for {count:,} calls: {data['attempts_per_call']:.2f} each; "
        f"{data['wasted_seconds']:,.1f} s in attempts that failed",
        f"{len(found)} storm{'s' * (len(found) != 1)}"
        + (f"; the longest took {max(s['seconds'] for s in found):,} s" if found else ""),
    ]
    tables = [
        table_of(f"retries by {', '.join(by)}", pools),
        table_of("calls by attempts", data["attempts_spread"]),
        table_of("storms: retries feeding on refusals", found),
    ]
    return Answer("storms", data, lines, [table for table in tables if table.rows])


def _merge(windows: list[dict[str, Any]], by: Sequence[str]) -> list[dict[str, Any]]:
    """Join stormy windows that touch."""
    found: list[dict[str, Any]] = []
    last: tuple[object, ...] = ()
    for window in windows:
        stormy = (
            window["attempts"] >= STORM_ATTEMPTS
            and window["refused"] >= STORM_REFUSED_RATIO * window["attempts"]
            and window["attempts"] >= STORM_AMPLIFICATION * window["calls"]
        )
        if not stormy:
            continue
        group = {name: window[name] for name in by}
        if last == (*group.values(), window["slot"] - 1):
            storm = found[-1]
            storm["seconds"] += WINDOW_SECONDS
            for name in ("attempts", "refused"):
                storm[name] += window[name]
        else:
            found.append({
                **group, "start_ns": window["slot"] * WINDOW_NS,
                "seconds": WINDOW_SECONDS, "attempts": window["attempts"], "refused": window["refused"],
            })  # fmt: skip
        last = (*group.values(), window["slot"])
    for storm in found:
        storm["refused_ratio"] = storm["refused"] / storm["attempts"]
    return found
