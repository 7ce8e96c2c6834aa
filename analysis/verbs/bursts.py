"""Bursts of prompt-cache misses against the pool's own baseline: their cause, and how full the pool was."""

from statistics import median
from typing import Any, Final

from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs._prefixes import (
    WINDOW_NS,
    WINDOW_SECONDS,
    are_marked,
    cause_of_burst,
    tell_burst,
    tell_versions,
    versions,
)
from penstock.analysis.verbs._proportion import stands_out
from penstock.analysis.verbs.concurrency import NS, figures, levels_inside, windows_of

_WINDOWS: Final = """
SELECT pool, intDiv(start_ns, {width}) AS slot, count(*) AS calls,
       count(*) FILTER (WHERE cache_read_tokens = 0) AS misses,
       CAST(sum(input_tokens - cache_read_tokens) AS BIGINT) AS uncached_tokens,
       CAST(sum(input_tokens) AS BIGINT) AS input_tokens
FROM spans
WHERE owns_tokens AND cache_read_tokens IS NOT NULL AND input_tokens IS NOT NULL AND start_ns IS NOT NULL
GROUP BY ALL ORDER BY pool, slot
"""
_REFUSED: Final = """
SELECT w.g AS g, count(*) AS refused FROM spans JOIN ({windows}) w ON w.pool = spans.pool
WHERE is_attempt AND failed AND error_class = 'rate_limit' AND start_ns >= w.since AND start_ns < w.until
GROUP BY w.g
"""
_SILENT: Final = """
SELECT count(*) AS calls FROM spans
WHERE owns_tokens AND NOT failed AND error_class IS NULL AND cache_read_tokens IS NULL
"""

_ASKED_TOGETHER: Final = 50
"""A question about more bursts than that is asked in several."""
_BASELINE: Final = ("pool", "calls", "baseline_miss_ratio")
_SHOWN: Final = (
    "pool", "start_ns", "seconds", "calls", "miss_ratio", "baseline_miss_ratio", "extra_uncached_tokens",
    "p99_live", "max_live", "rate_limited", "cause",
)  # fmt: skip


def bursts(spans: Spans) -> Answer:
    """Answer `traces bursts`."""
    pools: dict[str, list[dict[str, Any]]] = {}
    for window in spans.rows(_WINDOWS.format(width=WINDOW_NS)):
        pools.setdefault(window["pool"], []).append(window)
    marked = are_marked(spans)
    told = [_pool(spans, pool, windows, marked) for pool, windows in pools.items()]
    found = [burst for pool in told for burst in pool.pop("bursts")]
    _add_load(spans, found)
    silent = spans.rows(_SILENT)[0]["calls"]
    data = {
        "pools": told,
        "bursts": found,
        "window_seconds": WINDOW_SECONDS,
        "calls_that_tell_nothing_of_the_cache": silent,
        "quality": spans.quality,
    }
    lines = [f"{len(found)} bursts of cache misses in {len(told)} pools"]
    lines += [tell_burst(burst) for burst in found]
    lines += [said for pool in told for said in tell_versions(pool["pool"], pool["prompt_versions"])]
    if silent:
        lines.append(f"{silent:,} calls tell nothing of the prompt cache")
    tables = [table_of("bursts of cache misses", found, _SHOWN), table_of("baseline", told, _BASELINE)]
    return Answer("bursts", data, lines, [table for table in tables if table.rows])


def _pool(spans: Spans, pool: str, windows: list[dict[str, Any]], marked: bool) -> dict[str, Any]:
    baseline = median(window["misses"] / window["calls"] for window in windows)
    uncached = median(window["uncached_tokens"] / window["calls"] for window in windows)
    merged: list[dict[str, Any]] = []
    for window in windows:
        if not stands_out(window["misses"], window["calls"], baseline):
            continue
        if merged and merged[-1]["last"] == window["slot"] - 1:
            for name in ("calls", "misses", "uncached_tokens"):
                merged[-1][name] += window[name]
            merged[-1]["last"] = window["slot"]
        else:
            merged.append({**window, "first": window["slot"], "last": window["slot"]})
    return {
        "pool": pool,
        "calls": sum(window["calls"] for window in windows),
        "baseline_miss_ratio": baseline,
        "prompt_versions": versions(spans, pool, (windows[0]["slot"], windows[-1]["slot"] + 1))
        if marked
        else {},
        "bursts": [
            _describe(pool, burst, baseline, uncached) | _cause(spans, pool, windows, burst, marked)
            for burst in merged
        ],
    }


def _cause(
    spans: Spans, pool: str, windows: list[dict[str, Any]], burst: dict[str, Any], marked: bool
) -> dict[str, Any]:
    if not marked:
        return {"cause": None, "changed": []}
    return cause_of_burst(spans, pool, windows, (burst["first"], burst["last"] + 1))


def _describe(pool: str, burst: dict[str, Any], baseline: float, uncached: float) -> dict[str, Any]:
    begin, end = burst["first"] * WINDOW_NS, (burst["last"] + 1) * WINDOW_NS
    return {
        "pool": pool,
        "start_ns": begin,
        "seconds": (end - begin) // NS,
        "calls": burst["calls"],
        "miss_ratio": burst["misses"] / burst["calls"],
        "baseline_miss_ratio": baseline,
        "extra_uncached_tokens": max(0, round(burst["uncached_tokens"] - uncached * burst["calls"])),
    }


def _add_load(spans: Spans, bursts: list[dict[str, Any]]) -> None:
    """Say how full the pool was in each burst, and how much it refused."""
    for first in range(0, len(bursts), _ASKED_TOGETHER):
        some = bursts[first : first + _ASKED_TOGETHER]
        asked = [(one["pool"], one["start_ns"], one["start_ns"] + one["seconds"] * NS) for one in some]
        windows, values = windows_of(asked)
        rows = spans.rows(_REFUSED.format(windows=windows), values)
        refused = {row["g"]: row["refused"] for row in rows}
        for number, (burst, time_at) in enumerate(zip(some, levels_inside(spans, asked), strict=True)):
            live = figures(time_at)
            burst |= {
                "p99_live": live["p99"], "max_live": live["max"], "rate_limited": refused.get(number, 0)
            }  # fmt: skip
