"""Bursts of prompt-cache misses against the pool's own baseline, and how full the pool was inside them."""

import math
from statistics import median
from typing import Any, Final

from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs.concurrency import figures, levels_between

WINDOW_SECONDS: Final = 10
FEWEST_CALLS: Final = 8
Z: Final = 3.0
"""A window is part of a burst when its miss share lies this many standard errors above the baseline: the
one-sided one-sample proportion test, NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.4."""

_WINDOWS: Final = """
SELECT pool, start_ns // {width} AS slot, count(*) AS calls,
       count(*) FILTER (WHERE cache_read_tokens = 0) AS misses,
       CAST(sum(input_tokens - cache_read_tokens) AS BIGINT) AS uncached_tokens,
       CAST(sum(input_tokens) AS BIGINT) AS input_tokens
FROM spans
WHERE owns_tokens AND cache_read_tokens IS NOT NULL AND input_tokens IS NOT NULL AND start_ns IS NOT NULL
GROUP BY ALL ORDER BY pool, slot
"""
_REFUSED: Final = """
SELECT count(*) AS refused FROM spans
WHERE is_attempt AND failed AND error_class = 'rate_limit' AND pool = ? AND start_ns >= ? AND start_ns < ?
"""
_SILENT: Final = """
SELECT count(*) AS calls FROM spans WHERE owns_tokens AND NOT failed AND cache_read_tokens IS NULL
"""


def bursts(spans: Spans) -> Answer:
    """Answer `traces bursts`."""
    pools: dict[str, list[dict[str, Any]]] = {}
    for window in spans.rows(_WINDOWS.format(width=WINDOW_SECONDS * 1_000_000_000)):
        pools.setdefault(window["pool"], []).append(window)
    told = [_pool(spans, pool, windows) for pool, windows in pools.items()]
    found = [burst for pool in told for burst in pool.pop("bursts")]
    silent = spans.rows(_SILENT)[0]["calls"]
    data = {
        "pools": told,
        "bursts": found,
        "window_seconds": WINDOW_SECONDS,
        "calls_that_tell_nothing_of_the_cache": silent,
        "quality": spans.quality,
    }
    lines = [f"{len(found)} bursts of cache misses in {len(told)} pools"]
    if silent:
        lines.append(f"{silent:,} calls tell nothing of the prompt cache")
    tables = [table_of("bursts of cache misses", found), table_of("baseline", told)]
    return Answer("bursts", data, lines, [table for table in tables if table.rows])


def _pool(spans: Spans, pool: str, windows: list[dict[str, Any]]) -> dict[str, Any]:
    baseline = median(window["misses"] / window["calls"] for window in windows)
    uncached = median(window["uncached_tokens"] / window["calls"] for window in windows)
    merged: list[dict[str, Any]] = []
    for window in windows:
        if not _stands_out(window["misses"], window["calls"], baseline):
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
        "bursts": [_describe(spans, pool, burst, baseline, uncached) for burst in merged],
    }


def _stands_out(misses: int, calls: int, baseline: float) -> bool:
    if calls < FEWEST_CALLS:
        return False
    share = min(max(baseline, 0.5 / calls), 1 - 0.5 / calls)  # a baseline of 0 has no spread to test against
    return (misses / calls - share) / math.sqrt(share * (1 - share) / calls) > Z


def _describe(
    spans: Spans, pool: str, burst: dict[str, Any], baseline: float, uncached: float
) -> dict[str, Any]:
    width = WINDOW_SECONDS * 1_000_000_000
    begin, end = burst["first"] * width, (burst["last"] + 1) * width
    live = figures(levels_between(spans, pool, begin, end))
    return {
        "pool": pool,
        "start_ns": begin,
        "seconds": (end - begin) // 1_000_000_000,
        "calls": burst["calls"],
        "miss_ratio": burst["misses"] / burst["calls"],
        "baseline_miss_ratio": baseline,
        "extra_uncached_tokens": max(0, round(burst["uncached_tokens"] - uncached * burst["calls"])),
        "p99_live": live["p99"],
        "max_live": live["max"],
        "rate_limited": spans.rows(_REFUSED, [pool, begin, end])[0]["refused"],
    }
