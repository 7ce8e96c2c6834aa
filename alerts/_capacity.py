"""Alerts on the promise to users and on capacity: budget, refusals, limits, quota."""

from collections.abc import Iterator
from typing import Final

from penstock.alerts import _recordings as r
from penstock.alerts._spec import ON_POOL, PERCENT, Alert, Clock, Severity
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o

_TRAFFIC: Final = f"{r.ATTEMPT_RATE} > {o.SENT_PER_SECOND_FLOOR}"


def capacity_alerts(clock: Clock) -> Iterator[Alert]:
    """Yield the alerts in the order in which people should read them."""
    yield _burn("Fast", o.FAST_BURN, Severity.CRITICAL, "2m", "5m", clock)
    yield _burn("Slow", o.SLOW_BURN, Severity.WARNING, "1h", "15m", clock)
    yield from _refusals()
    yield from _limits(clock)
    yield from _quota(clock)


def _burn(
    pace: str, burns: tuple[o.Burn, ...], severity: Severity, hold: str, keep: str, clock: Clock
) -> Alert:
    """Fire when a long and a short window both burn, on more than a handful of operations."""
    pairs = []
    for burn in burns:
        limit = round(burn.factor * (1 - o.SLO_RATIO), 6)
        events = r.QUERY.increase(m.OPERATIONS, by=r.BY, window=clock(burn.long))
        pairs.append(
            f"({r.slo_errors(burn.long)} > {limit} and {r.slo_errors(burn.short)} > {limit}"
            f" and {events} > {o.SLO_EVENTS_FLOOR})"
        )
    return Alert(
        name=f"PenstockErrorBudgetBurn{pace}",
        expr=" or ".join(pairs),
        severity=severity,
        hold=hold,
        keep=keep,
        summary=f"{PERCENT} of operations fail {ON_POOL}",
        description=f"The error budget ({1 - o.SLO_RATIO:.0%} of operations in 30 days) burns "
        f"{'' if burns[-1].factor == 1 else f'{burns[-1].factor:g} times '}as fast as it may, or faster.",
        board="penstock-slo",
    )


def _refusals() -> Iterator[Alert]:
    yield Alert(
        name="PenstockRateLimited",
        expr=f"{r.RATE_LIMITED_RATIO} > {o.RATE_LIMITED_RATIO.warning} and {_TRAFFIC}",
        severity=Severity.WARNING,
        hold="5m",
        keep="5m",
        summary=f"{PERCENT} of attempts are refused {ON_POOL}",
        description="The provider answers 429 (or 529, 503 overloaded). Refused requests may be charged "
        "against the quota.",
        board="penstock-overview",
    )
    yield Alert(
        name="PenstockRateLimitStorm",
        expr=f"{r.RATE_LIMITED_RATIO} > {o.RATE_LIMITED_RATIO.critical} and {_TRAFFIC}",
        severity=Severity.CRITICAL,
        hold="2m",
        keep="5m",
        summary=f"429 storm: {PERCENT} of attempts are refused {ON_POOL}",
        description="Most of what is sent fails and is sent again. Useful work falls towards nothing.",
        board="penstock-overview",
    )
    yield Alert(
        name="PenstockTimeouts",
        expr=f"{r.TIMEOUT_RATIO} > {o.TIMEOUT_RATIO.warning} and {_TRAFFIC}",
        severity=Severity.WARNING,
        hold="5m",
        keep="5m",
        summary=f"{PERCENT} of attempts time out or lose their connection {ON_POOL}",
        description="Answers that were given up on were still computed, and are paid for.",
        board="penstock-errors",
    )
    yield Alert(
        name="PenstockRetryAmplification",
        expr=f"{r.AMPLIFICATION} > {o.RETRY_AMPLIFICATION.warning} and {_TRAFFIC}",
        severity=Severity.WARNING,
        hold="5m",
        keep="5m",
        summary=f"{{{{ $value | humanize }}}} attempts for each operation {ON_POOL}",
        description="Retries multiply the load that they react to.",
        board="penstock-errors",
    )


def _limits(clock: Clock) -> Iterator[Alert]:
    recent, day = clock("5m"), clock("6h")
    cap = r.QUERY.select(m.CAP)
    waiting = f"{r.QUERY.total(m.QUEUE, by=r.BY)} > 0"
    usual = f"max_over_time(({cap} < Inf)[{day}:{clock('1m')}])"
    median = r.QUERY.select(m.ATTEMPT_SECONDS, o.SUCCEEDED, part="_bucket")
    now = f"histogram_quantile(0.5, sum by ({r.BY}, le) (rate({median}[{recent}])))"
    before = f"histogram_quantile(0.5, sum by ({r.BY}, le) (rate({median}[{day}] offset {clock('10m')})))"
    yield Alert(
        name="PenstockProviderSlow",
        expr=f"{now} > {o.SLOWDOWN.warning:g} * {before} and {_TRAFFIC}",
        severity=Severity.WARNING,
        hold="5m",
        keep="5m",
        summary=f"Half of the answers take longer than {{{{ $value | humanizeDuration }}}} {ON_POOL}",
        description=f"The median answer takes over {o.SLOWDOWN.warning:g} times as long as in the six hours "
        "before: the same work now needs that many more live calls.",
        board="penstock-errors",
    )
    yield Alert(
        name="PenstockHeadroomLow",
        expr=f"{r.HEADROOM} < {o.HEADROOM_RATIO.warning} and {_TRAFFIC}",
        severity=Severity.WARNING,
        hold="15m",
        keep="5m",
        summary=f"{PERCENT} of the cap is free {ON_POOL}",
        description="The p99 of live calls has been next to the cap for a quarter of an hour.",
        board="penstock-concurrency",
    )
    yield Alert(
        name="PenstockQueueWaitLong",
        expr=f"{r.QUERY.quantile(0.95, m.WAIT, by=r.BY, window=recent)} > {o.QUEUE_WAIT_SECONDS.warning:g}",
        severity=Severity.WARNING,
        hold="10m",
        keep="5m",
        summary=f"One call in twenty waits over {{{{ $value | humanizeDuration }}}} {ON_POOL}",
        description="Demand is above the quota. Calls that wait longer than their timeout are refused.",
        board="penstock-concurrency",
    )
    yield Alert(
        name="PenstockCapCollapsed",
        expr=f"min by ({r.BY}) ({cap} / {usual}) < {o.CAP_LEFT_RATIO.warning} and {waiting}",
        severity=Severity.WARNING,
        hold="5m",
        keep="5m",
        summary=f"The cap is at {PERCENT} of its level of the last six hours {ON_POOL}",
        description="The limiter was cut down while calls wait: the provider refuses far more than usual.",
        board="penstock-concurrency",
    )
    yield Alert(
        name="PenstockAllPoolsClosed",
        expr=f"{r.QUERY.total(m.GATE, by='job', function='min')} == 2",
        severity=Severity.CRITICAL,
        hold="2m",
        keep="2m",
        summary="No pool of {{ $labels.job }} accepts calls",
        description="Every gate is closed: nothing can be sent, and there is nowhere to move it.",
        board="penstock-routing",
    )


def _quota(clock: Clock) -> Iterator[Alert]:
    recent, by = clock("5m"), f"{r.BY}, dimension"
    remaining = r.QUERY.select(m.QUOTA_REMAINING)
    lasts = f"min by ({by}) ({remaining} / clamp_min(-deriv({remaining}[{recent}]), 0.000001))"
    reset = f"({r.QUERY.total(m.QUOTA_RESET, by=by, function='max')} - time())"
    left = r.QUERY.total(m.QUOTA_REMAINING, by=by, function="min")
    age = f"(time() - {r.QUERY.total(m.QUOTA_SEEN, by=r.BY, function='max')})"
    fresh = f"{age} < {clock.scale * o.QUOTA_SAMPLE_AGE_SECONDS.warning:g}"
    spent = r.QUERY.increase(m.ATTEMPTS, 'class="quota"', by=r.BY, window=recent)
    # Windows that reset within minutes are the pacer's business, not people's.
    yield Alert(
        name="PenstockQuotaExhaustion",
        expr=f"{lasts} < {reset} and {reset} > {clock.seconds('5m'):g} and {left} > 0"
        f" and on ({r.BY}) ({fresh})",
        severity=Severity.WARNING,
        hold="5m",
        keep="5m",
        summary=f"{{{{ $labels.dimension }}}} run out in {{{{ $value | humanizeDuration }}}} {ON_POOL}",
        description="At the present pace the quota is used up before it resets.",
        board="penstock-quota",
    )
    yield Alert(
        name="PenstockQuotaSpent",
        expr=f"{spent} > 0",
        severity=Severity.CRITICAL,
        hold="0s",
        keep="15m",
        summary=f"Quota, plan or credit is used up {ON_POOL}: {{{{ $value | humanize }}}} refused in 5 min",
        description="Attempts are refused for good: time alone will not bring them back.",
        board="penstock-quota",
    )
    yield _callers(clock)


def _callers(clock: Clock) -> Alert:
    """Fire on the autoscaling trap: more processes on the same quota, and no more answers."""
    recent, back = clock("5m"), clock("30m")
    callers = r.QUERY.total(m.BUILD, by="job")
    before = f"sum by (job) ({r.QUERY.select(m.BUILD)} offset {back})"
    answered = r.QUERY.select(m.OPERATIONS, o.SUCCEEDED)
    queue = r.QUERY.total(m.QUEUE, by="job")
    refused = r.QUERY.share(m.ATTEMPTS, o.RATE_LIMITED, by="job", window=recent)
    return Alert(
        name="PenstockCallersUpQuotaFlat",
        expr=f"{callers} / {before} > {o.CALLERS_GROWTH.warning:g}"
        f" and on (job) sum by (job) (rate({answered}[{recent}]))"
        f" < {o.SERVED_GROWTH.warning:g} * sum by (job) (rate({answered}[{recent}] offset {back}))"
        f" and on (job) ({queue} > 0 or {refused} > {o.RATE_LIMITED_RATIO.warning})",
        severity=Severity.WARNING,
        hold="10m",
        keep="5m",
        summary="{{ $labels.job }} has {{ $value | humanize }} times the processes, and no more answers",
        description="Scaling out adds callers to the same quota: they share it, and wait or are refused.",
        board="penstock-quota",
    )
