"""What the quota seems to be: what headers said, else where refusals began; and the room that was left."""

from collections import Counter, defaultdict
from dataclasses import asdict
from typing import Any, Final

from penstock.analysis._quota_fit import Estimate, Try, fit_concurrency, fit_requests
from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans

MINUTE_NS: Final = 60_000_000_000
_SURE: Final = 0.99
_DIMENSIONS: Final = {
    "requests_per_minute": "requests",
    "requests_per_second": "requests",
    "requests": "requests",
    "tokens_per_minute": "tokens",
    "input_tokens_per_minute": "tokens",
    "output_tokens_per_minute": "tokens",
    "tokens": "tokens",
    "concurrency": "concurrency",
}

_HEADERS: Final = """
SELECT coalesce(pool, 'unknown') AS pool, {column} AS value, count(*) AS answers, max(start_ns) AS last_ns
FROM spans WHERE is_attempt AND {column} IS NOT NULL
GROUP BY ALL ORDER BY last_ns DESC, value
"""
_POOLS: Final = """
SELECT coalesce(pool, 'unknown') AS pool, count(*) AS attempts,
       count(*) FILTER (WHERE failed AND error_class = 'rate_limit') AS refused,
       min(quota_requests_remaining) AS requests_remaining_min,
       min(quota_tokens_remaining) AS tokens_remaining_min
FROM spans WHERE is_attempt GROUP BY ALL ORDER BY 2 DESC, 1
"""
_TRIES: Final = """
SELECT start_ns, greatest(end_ns, start_ns) AS end_ns,
       coalesce(failed AND error_class = 'rate_limit', false) AS refused, limit_dimension
FROM spans WHERE is_attempt AND coalesce(pool, 'unknown') = ? AND start_ns IS NOT NULL AND end_ns IS NOT NULL
ORDER BY start_ns
"""
_TOKENS: Final = """
SELECT pool, max(tokens) AS peak FROM (
  SELECT coalesce(pool, 'unknown') AS pool, intDiv(start_ns, 60000000000) AS minute,
         CAST(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) AS BIGINT) AS tokens
  FROM spans WHERE owns_tokens AND start_ns IS NOT NULL GROUP BY ALL) AS minutes
GROUP BY pool
"""


def quota(spans: Spans) -> Answer:
    """Answer `traces quota`: per pool a list of limits, each with its source and confidence."""
    pools = spans.kept("quota by pool", lambda: _pools(spans))
    data = {"pools": pools, "quality": spans.quality}
    limits = [
        {
            "pool": pool["pool"],
            **{key: limit[key] for key in ("kind", "value", "window", "source", "confidence")},
        }
        for pool in pools
        for limit in pool["limits"]
    ]
    lines = [f"{pool['pool']}: {_words(pool)}" for pool in pools]
    shown = (
        "pool",
        "attempts",
        "refused",
        "peak_accepted_per_minute",
        "peak_tokens_per_minute",
        "headroom_ratio",
    )
    return Answer("quota", data, lines, [table_of("limits", limits), table_of("use", pools, shown)])


def _pools(spans: Spans) -> list[dict[str, Any]]:
    told = _from_headers(spans)
    tokens = {row["pool"]: row["peak"] for row in spans.rows(_TOKENS)}
    return [
        _pool(spans, row, told.get(row["pool"], []), tokens.get(row["pool"], 0)) for row in spans.rows(_POOLS)
    ]


def _pool(spans: Spans, row: dict[str, Any], told: list[Estimate], tokens: int) -> dict[str, Any]:
    pool = row["pool"]
    tries = [
        Try(held["start_ns"], held["end_ns"], held["refused"], _DIMENSIONS.get(held["limit_dimension"] or ""))
        for held in spans.rows(_TRIES, [pool])
    ]
    known = {estimate.kind for estimate in told}
    inferred, unknown = _from_refusals(tries)
    limits = told + [estimate for estimate in inferred if estimate.kind not in known]
    peak = _peak(tries)
    used = {"requests": peak, "tokens": tokens}
    shares = [used[limit.kind] / limit.value for limit in limits if limit.kind in used and limit.value]
    return {
        **row,
        "limits": [asdict(limit) for limit in limits],
        "cannot_tell": [kind for kind in unknown if kind not in {limit.kind for limit in limits}],
        "peak_accepted_per_minute": peak,
        "peak_tokens_per_minute": tokens,
        "headroom_ratio": max(0.0, 1 - max(shares)) if shares else None,
    }


def _from_headers(spans: Spans) -> dict[str, list[Estimate]]:
    """Take the newest limits that answers told, by pool."""
    found: dict[str, list[Estimate]] = defaultdict(list)
    for kind in ("requests", "tokens"):
        by_pool: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in spans.rows(_HEADERS.format(column=f"quota_{kind}_limit")):
            by_pool[row["pool"]].append(row)
        for pool, (newest, *older) in by_pool.items():
            answers = newest["answers"] + sum(row["answers"] for row in older)
            confidence = max(0.7, newest["answers"] / answers) if older else _SURE
            found[pool].append(
                Estimate(kind, newest["value"], confidence, "headers", "per minute, as headers tell it", 60.0)
            )
    return found


def _from_refusals(tries: list[Try]) -> tuple[list[Estimate], list[str]]:
    """Fit what refusals name; what they do not name is tried as concurrency, then as requests."""
    named = Counter(one.dimension for one in tries if one.refused)
    if not named:
        return [], []
    found: list[Estimate] = []
    unknown: list[str] = []
    for dimension in named:
        mine = [one for one in tries if not one.refused or one.dimension == dimension]
        estimate = None
        if dimension in {None, "concurrency"}:
            estimate = fit_concurrency(mine)
        if estimate is None and (dimension == "requests" or (dimension is None and len(named) == 1)):
            estimate = fit_requests(mine)
        if estimate is None:
            unknown.append(dimension or "unnamed limit")
        else:
            found.append(estimate)
    return found, unknown


def _peak(tries: list[Try]) -> int:
    """Count the most accepted sends in any sixty seconds."""
    starts = [one.start for one in tries if not one.refused]
    best = begin = 0
    for end, at in enumerate(starts):
        while at - starts[begin] >= MINUTE_NS:
            begin += 1
        if end - begin >= best:
            best = end - begin + 1
    return best


def _words(pool: dict[str, Any]) -> str:
    said = [
        f"{limit['value']:,.0f} {_UNITS[limit['kind']]} "
        f"({limit['source']}, confidence {limit['confidence']:.2f})"
        for limit in pool["limits"]
    ]
    said += [f"cannot tell the limit on {kind}" for kind in pool["cannot_tell"]]
    return "; ".join(said) or "no limit was met and no header told one"


_UNITS: Final = {"requests": "requests/min", "tokens": "tokens/min", "concurrency": "calls at once"}
