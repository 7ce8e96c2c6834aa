"""What the quota seems to be: what headers said, else where refusals began; and the room that was left."""

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from penstock.analysis._quota_fit import (
    FEWEST_REFUSALS,
    Estimate,
    fit_concurrency,
    fit_requests,
    most_within,
)
from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans

MINUTE_NS: Final = 60_000_000_000
_SURE: Final = 0.99
_TOLD: Final = ("requests", "tokens")
"""The limits that headers tell."""
_SHOWN: Final = ("pool", "attempts", "refused", "requests_remaining_min", "tokens_remaining_min")
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
SELECT pool, CAST(sum(attempts) AS BIGINT) AS attempts, CAST(sum(refused) AS BIGINT) AS refused,
       min(requests_remaining) AS requests_remaining_min, min(tokens_remaining) AS tokens_remaining_min,
       coalesce(max(tokens), 0) AS peak_tokens, sum(told_requests) AS told_requests,
       sum(told_tokens) AS told_tokens
FROM (
  SELECT coalesce(pool, 'unknown') AS pool, intDiv(start_ns, 60000000000) AS minute,
         count(*) FILTER (WHERE is_attempt) AS attempts,
         count(*) FILTER (WHERE is_attempt AND failed AND error_class = 'rate_limit') AS refused,
         min(quota_requests_remaining) FILTER (WHERE is_attempt) AS requests_remaining,
         min(quota_tokens_remaining) FILTER (WHERE is_attempt) AS tokens_remaining,
         count(quota_requests_limit) FILTER (WHERE is_attempt) AS told_requests,
         count(quota_tokens_limit) FILTER (WHERE is_attempt) AS told_tokens,
         CAST(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0))
              FILTER (WHERE owns_tokens AND start_ns IS NOT NULL) AS BIGINT) AS tokens
  FROM spans WHERE is_attempt OR owns_tokens GROUP BY ALL) AS minutes
GROUP BY pool HAVING sum(attempts) > 0 ORDER BY 2 DESC, 1
"""
_TRIES: Final = """
SELECT coalesce(pool, 'unknown') AS pool, start_ns, greatest(end_ns, start_ns) AS end_ns,
       coalesce(failed AND error_class = 'rate_limit', false) AS refused,
       coalesce(limit_dimension, '') AS dimension
FROM spans WHERE is_attempt AND start_ns IS NOT NULL AND end_ns IS NOT NULL
"""
_STARTS: Final = f"""
SELECT pool, refused, CASE WHEN refused THEN dimension ELSE '' END AS limit_of,
       arraySort(groupArray(start_ns)) AS starts
FROM ({_TRIES}) AS tries GROUP BY pool, refused, limit_of
"""  # noqa: S608 - of our own words, here and below
_ENDS: Final = f"""
SELECT arraySort(groupArray(end_ns)) AS ends FROM ({_TRIES}) AS tries WHERE pool = ? AND NOT refused
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class _Tries:
    """A pool's attempts: sorted starts of accepted ones, and of refused ones by what they name."""

    accepted: Sequence[int] = ()
    refused: dict[str | None, Sequence[int]] = field(default_factory=dict)


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
    pools, tries = spans.rows(_POOLS), _tries(spans)
    told = _from_headers(spans, {kind for kind in _TOLD if any(row[f"told_{kind}"] for row in pools)})
    return [_pool(spans, row, told.get(row["pool"], []), tries.get(row["pool"], _Tries())) for row in pools]


def _tries(spans: Spans) -> dict[str, _Tries]:
    accepted: dict[str, Sequence[int]] = {}
    refused: dict[str, dict[str | None, Sequence[int]]] = defaultdict(dict)
    for row in spans.rows(_STARTS):
        if row["refused"]:
            of = refused[row["pool"]]
            dimension = _DIMENSIONS.get(row["limit_of"])
            of[dimension] = sorted((*of.get(dimension, ()), *row["starts"]))
        else:
            accepted[row["pool"]] = row["starts"]
    return {pool: _Tries(accepted.get(pool, ()), refused[pool]) for pool in {*accepted, *refused}}


def _pool(spans: Spans, row: dict[str, Any], told: list[Estimate], tries: _Tries) -> dict[str, Any]:
    known = {estimate.kind for estimate in told}
    inferred, unknown = _from_refusals(spans, row["pool"], tries)
    limits = told + [estimate for estimate in inferred if estimate.kind not in known]
    used = {"requests": most_within(tries.accepted, MINUTE_NS), "tokens": row["peak_tokens"]}
    shares = [used[limit.kind] / limit.value for limit in limits if limit.kind in used and limit.value]
    return {
        **{name: row[name] for name in _SHOWN},
        "limits": [asdict(limit) for limit in limits],
        "cannot_tell": [kind for kind in unknown if kind not in {limit.kind for limit in limits}],
        "peak_accepted_per_minute": used["requests"],
        "peak_tokens_per_minute": used["tokens"],
        "headroom_ratio": max(0.0, 1 - max(shares)) if shares else None,
    }


def _from_headers(spans: Spans, kinds: Container[str]) -> dict[str, list[Estimate]]:
    """Take the newest limits of some kinds that answers told, by pool."""
    found: dict[str, list[Estimate]] = defaultdict(list)
    for kind in (kind for kind in _TOLD if kind in kinds):
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


def _from_refusals(spans: Spans, pool: str, tries: _Tries) -> tuple[list[Estimate], list[str]]:
    """Fit what refusals name; what they do not name is tried as concurrency, then as requests."""
    found: list[Estimate] = []
    unknown: list[str] = []
    for dimension, refused in sorted(tries.refused.items(), key=lambda held: held[1][0]):
        estimate = None
        if dimension in {None, "concurrency"} and len(refused) >= FEWEST_REFUSALS and tries.accepted:
            (held,) = spans.rows(_ENDS, [pool])
            named = dimension is not None
            estimate = fit_concurrency(tries.accepted, held["ends"], refused, named=named)
        if estimate is None and (dimension == "requests" or (dimension is None and len(tries.refused) == 1)):
            estimate = fit_requests(tries.accepted, refused)
        if estimate is None:
            unknown.append(dimension or "unnamed limit")
        else:
            found.append(estimate)
    return found, unknown


def _words(pool: dict[str, Any]) -> str:
    said = [
        f"{limit['value']:,.0f} {_UNITS[limit['kind']]} "
        f"({limit['source']}, confidence {limit['confidence']:.2f})"
        for limit in pool["limits"]
    ]
    said += [f"cannot tell the limit on {kind}" for kind in pool["cannot_tell"]]
    return "; ".join(said) or "no limit was met and no header told one"


_UNITS: Final = {"requests": "requests/min", "tokens": "tokens/min", "concurrency": "calls at once"}
