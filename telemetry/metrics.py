"""The metric catalogue: every metric name, its labels and bounds, in one home.

Dashboards, alerts, the exposition and the docs page are made from `CATALOGUE`. Names are those of
the Prometheus exposition; base units; counters end in `_total`. Labels are bounded: provider, pool,
model (the first 50, then `other`), class, reason, tool; never ids, URLs or messages.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class MetricType(StrEnum):
    """Prometheus metric types we use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family."""

    name: str
    type: MetricType
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


COUNTER, GAUGE, HISTOGRAM = MetricType.COUNTER, MetricType.GAUGE, MetricType.HISTOGRAM

# OTel GenAI's doubling bounds, carried on for long agent calls.
SECONDS: Final = tuple(0.01 * 2**n for n in range(16))
# Levels of live calls. Exact up to 4, then about a quarter apart: a p99 is right within a bucket.
LEVELS: Final = (
    0.0,
    1.0,
    2.0,
    3.0,
    4.0,
    6.0,
    8.0,
    12.0,
    16.0,
    24.0,
    32.0,
    48.0,
    64.0,
    96.0,
    128.0,
    192.0,
    256.0,
    512.0,
)
CALLS: Final = (1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 128.0, 256.0)

# fmt: off
# What was sent
ATTEMPTS: Final = Metric("penstock_attempts_total", COUNTER, ("provider", "pool", "model", "class"),
    "Physical requests that reached for quota, by verdict; class is `ok` on success.")
OPERATIONS: Final = Metric("penstock_operations_total", COUNTER, ("provider", "pool", "model", "operation", "class"),
    "Logical LLM requests the app asked for, by final verdict; class is `ok` on success.")
RETRIES: Final = Metric("penstock_retries_total", COUNTER, ("pool", "owner"),
    "Attempts after an operation's first; owner is `sdk` or `penstock`.")
ATTEMPT_SECONDS: Final = Metric("penstock_attempt_duration_seconds", HISTOGRAM, ("pool", "class"),
    "From send to the last byte of the answer.", SECONDS)
FIRST_BYTE: Final = Metric("penstock_first_byte_seconds", HISTOGRAM, ("pool",),
    "From send to the first byte of a successful answer's body.", SECONDS)
OPERATION_SECONDS: Final = Metric("gen_ai_client_inference_duration_seconds", HISTOGRAM,
    ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"),
    "Duration of an operation, back-off and queueing included (OTel gen_ai.client.inference.duration).", SECONDS)
TOKENS: Final = Metric("penstock_tokens_total", COUNTER, ("provider", "pool", "model", "type"),
    "Tokens of answers; type is input (cached included), output, cache_read or cache_write.")

# Live calls
LIVE: Final = Metric("penstock_live_calls", GAUGE, ("pool",), "Attempts between send and last byte, now.")
LIVE_PEAK: Final = Metric("penstock_live_calls_peak", GAUGE, ("pool",), "Most live calls in the last 60 s.")
LIVE_SECONDS: Final = Metric("penstock_live_calls_seconds", HISTOGRAM, ("pool",),
    "Time-weighted: seconds spent with at most `le` live calls. _sum is call-seconds, _count is seconds.", LEVELS)
LIVE_AT_ARRIVAL: Final = Metric("penstock_live_calls_at_arrival", HISTOGRAM, ("pool",),
    "Live calls that a new attempt found.", LEVELS)
LIVE_QUANTILE: Final = Metric("penstock_live_calls_quantile", GAUGE, ("pool", "quantile"),
    "Exact time-weighted percentile of live calls of this process over the last 60 s.")
FLEET_LIVE_SECONDS: Final = Metric("penstock_fleet_live_calls_seconds", HISTOGRAM, ("pool",),
    "As penstock_live_calls_seconds, for the whole fleet, from the shared store.", LEVELS)

# Quota as the provider's headers tell it
QUOTA_LIMIT: Final = Metric("penstock_quota_limit", GAUGE, ("pool", "dimension"),
    "Limit by the provider's headers; dimension is requests, tokens, input_tokens or output_tokens.")
QUOTA_REMAINING: Final = Metric("penstock_quota_remaining", GAUGE, ("pool", "dimension"),
    "Remaining by the newest headers.")
QUOTA_RESET: Final = Metric("penstock_quota_reset_timestamp_seconds", GAUGE, ("pool", "dimension"),
    "Unix time at which the window is full again, by the newest headers.")
QUOTA_SEEN: Final = Metric("penstock_quota_seen_timestamp_seconds", GAUGE, ("pool",),
    "Unix time of the newest quota headers.")

# The limiter
CAP: Final = Metric("penstock_limiter_cap_calls", GAUGE, ("pool",), "Concurrency cap now; +Inf is none.")
RATE: Final = Metric(
    "penstock_limiter_rate_per_second", GAUGE, ("pool",), "Send rate allowed now; +Inf is none."
)
QUEUE: Final = Metric("penstock_limiter_queue_calls", GAUGE, ("pool",), "Calls waiting.")
WAIT: Final = Metric(
    "penstock_limiter_wait_seconds", HISTOGRAM, ("pool",), "Time from asking to sending.", SECONDS
)
REFUSALS: Final = Metric("penstock_limiter_refusals_total", COUNTER, ("pool", "reason"),
    "Calls not admitted; reason is queue_full, max_wait, deadline, timeout, exhausted or too_large.")
CHANGES: Final = Metric("penstock_limiter_changes_total", COUNTER, ("pool", "what", "direction", "reason"),
    "Decisions: what is cap, rate, gate, ramp or mode; direction is up or down.")
GATE: Final = Metric(
    "penstock_limiter_gate_state", GAUGE, ("pool",), "0 open, 1 half-open (one probe), 2 closed."
)
ABSORBED: Final = Metric("penstock_limiter_absorbed_total", COUNTER, ("pool", "class"),
    "Failed attempts that the limiter queued again instead of showing them to the app.")
WOULD: Final = Metric("penstock_limiter_would_total", COUNTER, ("pool", "action"),
    "In observe mode: calls that would have waited, moved or been refused.")

# Routing, trust and cache
ANSWERS: Final = Metric("penstock_answers_total", COUNTER, ("pool", "trust"),
    "Answers given to the app; trust is primary, fallback, cache_fresh, cache_stale or verified.")
FALLBACKS: Final = Metric(
    "penstock_fallbacks_total", COUNTER, ("from_pool", "pool", "reason"), "Calls that moved."
)
IRREVERSIBLE: Final = Metric("penstock_irreversible_total", COUNTER, ("outcome",),
    "Guarded side effects; outcome is ran, rechecked, asked, refused, replayed or unknown.")
CACHE_LOOKUPS: Final = Metric("penstock_cache_lookups_total", COUNTER, ("result",),
    "Response-cache lookups: hit, miss, stale, coalesced or bypass.")
CACHE_BURSTS: Final = Metric("penstock_cache_bursts_total", COUNTER, ("pool", "kind"),
    "Bursts of prompt-cache misses or hits against the pool's own baseline while live calls are high.")
CACHE_BURST_TOKENS: Final = Metric("penstock_cache_burst_uncached_tokens_total", COUNTER, ("pool",),
    "Input tokens that missed the prompt cache inside miss bursts, beyond the baseline.")
CACHE_MISSES: Final = Metric("penstock_prompt_cache_calls_total", COUNTER, ("pool", "result"),
    "Calls by provider prompt cache: hit or miss.")

# Tasks and tools
TASKS: Final = Metric(
    "penstock_tasks_total", COUNTER, ("class",), "Tasks that ended, by verdict; `ok` on success."
)
TASK_SECONDS: Final = Metric("penstock_task_duration_seconds", HISTOGRAM, (), "Duration of tasks.", SECONDS)
FANOUT: Final = Metric("penstock_task_operations", HISTOGRAM, (), "Operations of one task.", CALLS)
FANOUT_LIVE: Final = Metric(
    "penstock_task_live_calls_peak", HISTOGRAM, (), "Most live calls of one task.", CALLS
)
TOOLS: Final = Metric("penstock_tool_calls_total", COUNTER, ("tool", "class"), "Tool calls, by verdict.")
TOOL_SECONDS: Final = Metric(
    "penstock_tool_duration_seconds", HISTOGRAM, ("tool",), "Duration of tool calls.", SECONDS
)

# The fleet's store
STORE: Final = Metric(
    "penstock_store_up", GAUGE, (), "1 while the shared store answers, 0 while on the local share."
)
STORE_OPS: Final = Metric(
    "penstock_store_operations_total", COUNTER, ("result",), "Round trips to the shared store."
)
MEMBERS: Final = Metric("penstock_fleet_members", GAUGE, ("pool",), "Processes that share the pool.")

# Our own health
HOOK_ERRORS: Final = Metric("penstock_hook_errors_total", COUNTER, ("hook",), "Our own bugs, swallowed.")
SPANS_DROPPED: Final = Metric(
    "penstock_spans_dropped_total", COUNTER, ("exporter",), "Spans that could not be exported."
)
SPANS_DEDUPED: Final = Metric("penstock_spans_deduped_total", COUNTER, ("role",), "LLM spans that do not own their call's tokens.")
BUILD: Final = Metric(
    "penstock_build_info", GAUGE, ("version",), "Processes of this version: 1, or as many as one endpoint serves."
)

# fmt: on

CATALOGUE: Final[tuple[Metric, ...]] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
