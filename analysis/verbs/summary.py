"""The page an on-call person reads first: what failed, which layer to fix, and how full the pools were."""

from collections import Counter
from typing import Any, Final

from penstock.analysis.answer import Answer, Table, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs._calls import CALLS
from penstock.analysis.verbs.concurrency import concurrency
from penstock.analysis.verbs.errors import LEVELS, counts, errors
from penstock.classifiers import CLASSES, ErrorClass, Layer

ADVICE: Final = {
    Layer.CAPACITY: "capacity: queue before sending (penstock run --limit), raise the quota or add a pool",
    Layer.TOOL: "tools: look at the failed tool calls; the provider is not at fault",
    Layer.MODEL: "model: its answers were wrong; check prompts, schemas and token limits",
    Layer.APP: "app: requests, keys or policy are at fault; repeating will not help",
}
_UNREACHED: Final = (
    "capacity: the provider was slow, broken or not reached; look at its status, add a fallback pool"
)
# Where a layer is fixed otherwise than most of its failures are.
_OF_CLASS: Final = {
    ErrorClass.QUOTA: "capacity: money, plan or a hard cap is used up; waiting will not help",
    ErrorClass.TIMEOUT: _UNREACHED,
    ErrorClass.NETWORK: _UNREACHED,
    ErrorClass.SERVER_ERROR: _UNREACHED,
    ErrorClass.UNKNOWN: "app: most failures carry too little evidence to say more",
}
_NOTHING: Final = "nothing failed"
_STORM_ATTEMPTS: Final = 3

_CALLS: Final = f"""
WITH {CALLS.format(columns="")}
SELECT count(*) AS calls, CAST(coalesce(sum(attempts), 0) AS BIGINT) AS attempts,
       coalesce(max(attempts), 0) AS most_attempts,
       count(*) FILTER (WHERE attempts >= ?) AS stormy_calls,
       coalesce(sum(wasted_ns), 0) / 1e9 AS wasted_seconds
FROM calls
"""  # noqa: S608 - of our own words
_TOKENS: Final = """
SELECT CAST(sum(input_tokens) AS BIGINT) AS input, CAST(sum(output_tokens) AS BIGINT) AS output,
       CAST(sum(cache_read_tokens) AS BIGINT) AS cache_read,
       CAST(sum(cache_write_tokens) AS BIGINT) AS cache_write,
       CAST(sum(reasoning_tokens) AS BIGINT) AS reasoning
FROM spans WHERE owns_tokens
"""
_QUOTA: Final = """
SELECT pool, max(quota_requests_limit) AS requests_limit,
       min(quota_requests_remaining) AS requests_remaining_min,
       max(quota_tokens_limit) AS tokens_limit, min(quota_tokens_remaining) AS tokens_remaining_min,
       count(*) AS answers
FROM spans WHERE is_attempt AND (quota_requests_limit IS NOT NULL OR quota_tokens_limit IS NOT NULL)
GROUP BY pool ORDER BY pool
"""
_WINDOW: Final = """
SELECT count(*) AS spans, count(DISTINCT trace_id) AS traces,
       count(DISTINCT task) AS tasks,
       min(start_ns) AS first_start_ns, max(end_ns) AS last_end_ns FROM spans
"""


def summary(spans: Spans) -> Answer:
    """Answer `traces summary`."""
    failures, live = errors(spans).data, concurrency(spans).data
    data: dict[str, Any] = {
        **_window(spans),
        **{level: failures[level] for level in LEVELS},
        "layers": _layers(failures),
        "live": {key: live[key] for key in ("groups", "total")},
        "calls": _calls(spans),
        "tokens": spans.rows(_TOKENS)[0],
        "quota": spans.rows(_QUOTA),
        "groups": failures["groups"],
        "tool_groups": failures["tool_groups"],
        "quality": spans.quality,
    }
    data["fix"] = _fix(data)
    return Answer("summary", data, _lines(data), _tables(data))


def _window(spans: Spans) -> dict[str, Any]:
    found = spans.rows(_WINDOW)[0]
    first, last = found["first_start_ns"], found["last_end_ns"]
    return {**found, "seconds": 0.0 if first is None or last is None else max(0, last - first) / 1e9}


def _layers(failures: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Count failures by what they tell people to fix."""
    found = {layer.value: dict.fromkeys(LEVELS, 0) for layer in Layer}
    for level in LEVELS:
        for name, count in failures[level]["by_class"].items():
            layer = CLASSES[ErrorClass(name)].layer if name in _KNOWN else Layer.APP
            found[layer.value][level] += count
    return found


def _fix(data: dict[str, Any]) -> dict[str, Any]:
    """Say which layer to fix: where most work was lost, else where most attempts were."""
    layers = data["layers"]
    lost = {name: counts["operations"] + counts["tools"] for name, counts in layers.items()}
    wasted = {name: counts["attempts"] for name, counts in layers.items()}
    score = lost if any(lost.values()) else wasted
    worst = max(score, key=lambda name: score[name])
    if not score[worst]:
        return {"layer": None, "advice": _NOTHING}
    return {
        "layer": worst,
        "advice": _OF_CLASS.get(_worst_class(data, worst, lost=any(lost.values())), ADVICE[Layer(worst)]),
        "share": score[worst] / sum(score.values()),
        "absorbed": not any(lost.values()),
    }


def _worst_class(data: dict[str, Any], layer: str, *, lost: bool) -> ErrorClass:
    """Name the class that most failures of a layer have."""
    counted: Counter[ErrorClass] = Counter()
    for level in ("operations", "tools") if lost else ("attempts",):
        for name, count in data[level]["by_class"].items():
            counted[ErrorClass(name) if name in _KNOWN else ErrorClass.UNKNOWN] += count
    return max(
        (found for found in counted if CLASSES[found].layer == layer), key=lambda found: counted[found]
    )


def _calls(spans: Spans) -> dict[str, Any]:
    found = spans.rows(_CALLS, [_STORM_ATTEMPTS])[0]
    found["attempts_per_call"] = found["attempts"] / found["calls"] if found["calls"] else 0.0
    return found


def _lines(data: dict[str, Any]) -> list[str]:
    fix, live, calls = data["fix"], data["live"]["total"], data["calls"]
    absorbed = " (retries absorbed it: no work was lost)" if fix.get("absorbed") else ""
    lines = [
        f"{data['spans']:,} spans, {data['traces']:,} traces, {data['seconds']:,.1f} s",
        fix["advice"] if fix["layer"] is None else f"fix {fix['advice']}{absorbed}",
    ]
    lines += [f"{level}: {counts(data[level])}" for level in LEVELS]
    lines.append(
        f"live calls: p50 {live['p50']}, p95 {live['p95']}, p99 {live['p99']}, max {live['max']} "
        f"(busy p95 {live['busy']['p95']})"
    )
    lines.append(
        f"attempts per call: {calls['attempts_per_call']:.2f}, at most {calls['most_attempts']}; "
        f"{calls['stormy_calls']:,} calls took {_STORM_ATTEMPTS} or more; "
        f"{calls['wasted_seconds']:,.1f} s in failed attempts"
    )
    return lines


def _tables(data: dict[str, Any]) -> list[Table]:
    columns = ("pool", "provider", "mean", "p50", "p95", "p99", "max", "seconds")
    tables = [
        table_of("failed attempts", data["groups"]),
        table_of("failed tool calls", data["tool_groups"]),
        table_of("live calls, by time", data["live"]["groups"], columns),
        table_of("quota, as answers told it", data["quota"]),
    ]
    return [table for table in tables if table.rows]


_KNOWN: Final = frozenset(error_class.value for error_class in ErrorClass)
