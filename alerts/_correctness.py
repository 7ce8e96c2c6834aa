"""Alerts on what answers are worth, on caches and tools, and on the telemetry itself."""

from collections.abc import Iterator

from penstock.alerts import _recordings as r
from penstock.alerts._spec import ON_POOL, PERCENT, Alert, Clock, Severity
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o


def correctness_alerts(clock: Clock) -> Iterator[Alert]:
    """Yield the alerts in the order in which people should read them."""
    yield from _answers(clock)
    yield from _failures(clock)
    yield from _telemetry(clock)


def _answers(clock: Clock) -> Iterator[Alert]:
    bursts = r.QUERY.increase(m.CACHE_BURSTS, 'kind="miss"', by=r.BY, window=clock("5m"))
    fanout = r.QUERY.quantile(0.95, m.FANOUT_LIVE, by="job", window=clock("30m"))
    unknown = r.QUERY.increase(m.IRREVERSIBLE, 'outcome="unknown"', by="job", window=clock("10m"))
    yield Alert(
        name="PenstockCacheMissBurst",
        expr=f"{bursts} > 0 and on (job) {fanout} > {o.FANOUT_LIVE_CALLS.warning:g}",
        severity=Severity.WARNING,
        hold="0s",
        keep="5m",
        summary=f"{{{{ $value | humanize }}}} bursts of prompt-cache misses at a wide fan-out {ON_POOL}",
        description=f"Tasks have over {o.FANOUT_LIVE_CALLS.warning:g} calls in flight, and their prompts "
        "miss the cache together: the token quota is spent several times over.",
        board="penstock-cache",
    )
    yield Alert(
        name="PenstockDegradedAnswers",
        expr=f"{r.DEGRADED_RATIO} > {o.DEGRADED_RATIO.warning}",
        severity=Severity.WARNING,
        hold="10m",
        keep="5m",
        summary=f"{PERCENT} of answers come from a fallback or a stale cache {ON_POOL}",
        description="They were not verified since. What they started may have to be checked.",
        board="penstock-routing",
    )
    yield Alert(
        name="PenstockIrreversibleUnknown",
        expr=f"{unknown} > 0",
        severity=Severity.CRITICAL,
        hold="0s",
        keep="15m",
        summary="{{ $value | humanize }} irreversible jobs of {{ $labels.job }} began and never reported",
        description="Whether it happened is unknown: it must be looked up before it runs again.",
        board="penstock-routing",
    )


def _failures(clock: Clock) -> Iterator[Alert]:
    recent = clock("5m")
    model = r.QUERY.share(m.OPERATIONS, 'class="model"', by=r.BY, window=recent)
    tool = r.QUERY.share(m.TOOLS, o.FAILED, by="job, tool", window=recent)
    operations = r.QUERY.rate(m.OPERATIONS, by=r.BY, window=recent)
    calls = r.QUERY.rate(m.TOOLS, by="job, tool", window=recent)
    yield Alert(
        name="PenstockModelErrors",
        expr=f"{model} > {o.MODEL_ERROR_RATIO.warning} and {operations} > {o.SENT_PER_SECOND_FLOOR}",
        severity=Severity.WARNING,
        hold="10m",
        keep="5m",
        summary=f"{PERCENT} of answers are wrong in form {ON_POOL}",
        description="Malformed calls, unknown tools, truncated or empty answers: capacity is not the cause.",
        board="penstock-errors",
    )
    yield Alert(
        name="PenstockToolErrors",
        expr=f"{tool} > {o.TOOL_ERROR_RATIO.warning} and {calls} > {o.SENT_PER_SECOND_FLOOR}",
        severity=Severity.WARNING,
        hold="10m",
        keep="5m",
        summary=f"{PERCENT} of calls to tool {{{{ $labels.tool }}}} fail ({{{{ $labels.job }}}})",
        description="The tool fails, not the model: its own quota, timeout or bug.",
        board="penstock-errors",
    )


def _telemetry(clock: Clock) -> Iterator[Alert]:
    build = r.QUERY.select(m.BUILD)
    hooks = r.QUERY.increase(m.HOOK_ERRORS, by="job, hook", window=clock("10m"))
    dropped = r.QUERY.rate(m.SPANS_DROPPED, by="job, exporter", window=clock("5m"))
    yield Alert(
        name="PenstockStoreDown",
        expr=f"count by (job) ({r.QUERY.select(m.STORE)} == 0)",
        severity=Severity.WARNING,
        hold="1m",
        keep="2m",
        summary="{{ $value | humanize }} instances of {{ $labels.job }} do not reach the shared store",
        description="Each sends its last share of the quota, less a tenth: safe, and slower than allowed.",
        board="penstock-telemetry",
    )
    yield Alert(
        name="PenstockTelemetryMissing",
        expr=f"count by (job) (max_over_time({build}[{clock('1h')}])) unless count by (job) ({build})",
        severity=Severity.WARNING,
        hold="5m",
        keep="0s",
        summary="No instance of {{ $labels.job }} reports any more ({{ $value }} did in the last hour)",
        description="While they are silent, no other alert can fire.",
        board="penstock-telemetry",
    )
    yield Alert(
        name="PenstockHookErrors",
        expr=f"{hooks} > 0",
        severity=Severity.WARNING,
        hold="0s",
        keep="5m",
        summary="Hook {{ $labels.hook }} of {{ $labels.job }} failed {{ $value | humanize }} times in 10 min",
        description="Our own bug, swallowed: the app is untouched; figures from that hook are incomplete.",
        board="penstock-telemetry",
    )
    yield Alert(
        name="PenstockSpansDropped",
        expr=f"{dropped} > 0",
        severity=Severity.WARNING,
        hold="5m",
        keep="5m",
        summary="{{ $labels.exporter }} of {{ $labels.job }} drops {{ $value | humanize }} spans a second",
        description="Traces are incomplete; metrics are not touched.",
        board="penstock-telemetry",
    )
