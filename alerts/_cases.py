"""For each alert: input that fires it and then recovers, and input just short of it.

`promtool test rules` runs them over the shipped rule file; no input at all is a case of every alert.
Time is minutes from the start: healthy, then bad, then healthy again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from penstock.alerts._formats import GROUPS
from penstock.alerts._spec import RuleSet
from penstock.telemetry import metrics as m
from penstock.telemetry.metrics import Metric

TESTS: Final = "penstock.rules.test.yaml"
SLOW_TESTS: Final = "penstock.rules.slow.test.yaml"

Input = Mapping[str, str]
Stretch = tuple[int, float]

_COMMON: Final = {
    "job": "app", "instance": "a", "provider": "openai", "pool": "p", "model": "gpt", "operation": "chat",
    "tool": "search", "dimension": "requests", "hook": "httpx", "exporter": "otlp", "version": "1",
}  # fmt: skip
_POOL: Final = {"job": "app", "pool": "p"}
_JOB: Final = {"job": "app"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One alert's cases. `labels` are those of the alert that fires, `severity` left out."""

    alert: str
    labels: Mapping[str, str]
    bad: Input
    quiet: Input
    fires_at: int
    recovered_at: int
    slow: bool = False
    """Whether it takes days: steps are five minutes, and rules are evaluated every ten."""


def counter(*stretches: Stretch, start: float = 0.0) -> str:
    """Write a counter that gains so much a step in each stretch of steps."""
    parts, value = [], start
    for steps, gain in stretches:
        parts.append(f"{value:g}+{gain:g}x{steps - 1}")
        value += gain * steps
    return " ".join(parts)


def gauge(*stretches: Stretch) -> str:
    """Write a gauge that holds a value for each stretch of steps."""
    return " ".join(f"{value:g}+0x{steps - 1}" for steps, value in stretches)


def gone(steps: int) -> str:
    """Write that a series is absent for so many steps."""
    return f"_x{steps}"


def series(metric: Metric, part: str = "", **labels: str) -> str:
    """Write a series of the metric; labels that are not named get common values."""
    wanted = {"job": "app", "instance": "a"} | {name: _COMMON.get(name, "") for name in metric.labels}
    wanted |= {name.rstrip("_"): value for name, value in labels.items()}
    inside = ",".join(f'{name}="{value}"' for name, value in wanted.items())
    return f"{metric.name}{part}{{{inside}}}"


def _answered(metric: Metric, total: str, failed: str, failure: str) -> dict[str, str]:
    return {series(metric, class_="ok"): total, series(metric, class_=failure): failed}


def _histogram(metric: Metric, low: str, high: str, **labels: str) -> dict[str, str]:
    """Observations at the metric's second bound, and at its last but one."""
    fast, slow = (f"{bound}" for bound in (metric.buckets[1], metric.buckets[-2]))
    return {
        series(metric, "_bucket", le=fast, **labels): low,
        series(metric, "_bucket", le=slow, **labels): high,
        series(metric, "_bucket", le="+Inf", **labels): high,
    }


def _share(alert: str, metric: Metric, failure: str, bad: float, quiet: float, **more: Any) -> Case:
    """Half an hour in which so many of 60 calls a minute fail, after twenty minutes in which none does."""
    ok = counter((180, 60.0))
    return Case(
        alert=alert,
        labels=more.get("labels", _POOL),
        bad=_answered(metric, ok, counter((20, 0), (30, bad), (90, 0)), failure),
        quiet=_answered(metric, ok, counter((20, 0), (30, quiet), (90, 0)), failure),
        fires_at=more.get("fires_at", 36),
        recovered_at=more.get("recovered_at", 70),
    )


def _capacity() -> Iterator[Case]:
    yield _share("PenstockErrorBudgetBurnFast", m.OPERATIONS, "rate_limit", 60, 3, recovered_at=120)
    ok = counter((520, 300.0))
    yield Case(
        alert="PenstockErrorBudgetBurnSlow",
        labels=_POOL,
        bad=_answered(m.OPERATIONS, ok, counter((288, 0), (72, 150), (160, 0)), "timeout"),
        quiet=_answered(m.OPERATIONS, ok, counter((288, 0), (72, 2), (160, 0)), "timeout"),
        fires_at=27 * 60,
        recovered_at=42 * 60,
        slow=True,
    )
    yield _share("PenstockRateLimited", m.ATTEMPTS, "rate_limit", 6, 2)
    yield _share("PenstockRateLimitStorm", m.ATTEMPTS, "overloaded", 60, 15)
    yield _share("PenstockTimeouts", m.ATTEMPTS, "timeout", 6, 2)
    operations = {series(m.OPERATIONS, class_="ok"): counter((180, 60.0))}
    yield Case(
        alert="PenstockRetryAmplification",
        labels=_POOL,
        bad=operations | {series(m.ATTEMPTS, class_="ok"): counter((20, 60), (30, 90), (90, 60))},
        quiet=operations | {series(m.ATTEMPTS, class_="ok"): counter((20, 60), (30, 75), (90, 60))},
        fires_at=36,
        recovered_at=70,
    )
    sent = {series(m.ATTEMPTS, class_="ok"): counter((180, 60.0))}
    fast, slow = counter((20, 60), (30, 0), (90, 60)), counter((180, 60.0))
    yield Case(
        alert="PenstockProviderSlow",
        labels=_POOL,
        bad=sent | _histogram(m.ATTEMPT_SECONDS, fast, slow, class_="ok"),
        quiet=sent | _histogram(m.ATTEMPT_SECONDS, slow, slow, class_="ok"),
        fires_at=36,
        recovered_at=70,
    )


def _limits() -> Iterator[Case]:
    cap = {
        series(m.CAP): gauge((180, 20)),
        series(m.ATTEMPTS, class_="ok"): counter((180, 60)),
    }
    p99 = series(m.LIVE_QUANTILE, quantile="0.99")
    yield Case(
        alert="PenstockHeadroomLow",
        labels=_POOL,
        bad=cap | {p99: gauge((20, 10), (30, 19), (90, 10))},
        quiet=cap | {p99: gauge((20, 10), (30, 16), (90, 10))},
        fires_at=40,
        recovered_at=70,
    )
    # Waits of 164 s at the second to last bound, or none of note.
    none, all_long = counter((20, 60), (30, 0), (90, 60)), counter((180, 60.0))
    yield Case(
        alert="PenstockQueueWaitLong",
        labels=_POOL,
        bad=_histogram(m.WAIT, none, all_long),
        quiet=_histogram(m.WAIT, all_long, all_long),
        fires_at=40,
        recovered_at=70,
    )
    waiting = {series(m.QUEUE): gauge((180, 3))}
    yield Case(
        alert="PenstockCapCollapsed",
        labels=_POOL,
        bad=waiting | {series(m.CAP): gauge((20, 20), (30, 2), (90, 20))},
        quiet={series(m.QUEUE): gauge((180, 0)), series(m.CAP): gauge((20, 20), (30, 2), (90, 20))},
        fires_at=36,
        recovered_at=70,
    )
    other = series(m.GATE, pool="q")
    yield Case(
        alert="PenstockAllPoolsClosed",
        labels=_JOB,
        bad={series(m.GATE): gauge((20, 0), (30, 2), (90, 0)), other: gauge((180, 2))},
        quiet={series(m.GATE): gauge((180, 2)), other: gauge((180, 1))},
        fires_at=36,
        recovered_at=70,
    )


def _quota() -> Iterator[Case]:
    # 10,000 a day, the day's end 10 hours off; promtool's clock starts at 0.
    known = {
        series(m.QUOTA_RESET): gauge((180, 36_000.0)),
        series(m.QUOTA_SEEN): counter((180, 60.0)),
    }
    left = series(m.QUOTA_REMAINING)
    draining = f"10000+0x19 10000-100x29 {gauge((90, 7100))}"
    yield Case(
        alert="PenstockQuotaExhaustion",
        labels=_POOL | {"dimension": "requests"},
        bad=known | {left: draining},
        quiet=known | {left: f"10000+0x19 10000-10x29 {gauge((90, 9710))}"},
        fires_at=36,
        recovered_at=70,
    )
    yield Case(
        alert="PenstockQuotaSpent",
        labels=_POOL,
        bad={series(m.ATTEMPTS, class_="quota"): counter((20, 0), (5, 2), (115, 0))},
        quiet={series(m.ATTEMPTS, class_="rate_limit"): counter((180, 2)),
               series(m.ATTEMPTS, class_="quota"): counter((180, 0))},
        fires_at=23,
        recovered_at=50,
    )  # fmt: skip
    flat = {series(m.OPERATIONS, class_="ok"): counter((180, 60)), series(m.QUEUE): gauge((180, 5))}
    # One process of one instance; then another instance, whose endpoint serves three.
    grown = {
        series(m.BUILD): gauge((180, 1)),
        series(m.BUILD, instance="b"): f"{gone(60)} {gauge((40, 3))} {gone(80)}",
    }
    answers_grow = {series(m.OPERATIONS, class_="ok"): counter((60, 60), (40, 240), (80, 60))}
    yield Case(
        alert="PenstockCallersUpQuotaFlat",
        labels=_JOB,
        bad=flat | grown,
        quiet=flat | grown | answers_grow,
        fires_at=80,
        recovered_at=120,
    )


def _correctness() -> Iterator[Case]:
    wide = _histogram(m.FANOUT_LIVE, counter((180, 0)), counter((180, 6)))
    narrow = _histogram(m.FANOUT_LIVE, counter((180, 6)), counter((180, 6)))
    bursts = {series(m.CACHE_BURSTS, kind="miss"): counter((20, 0), (5, 1), (115, 0))}
    yield Case(
        alert="PenstockCacheMissBurst",
        labels=_POOL,
        bad=wide | bursts,
        quiet=narrow | bursts,
        fires_at=23,
        recovered_at=50,
    )
    primary = {series(m.ANSWERS, trust="primary"): counter((180, 60))}
    fallback = series(m.ANSWERS, trust="fallback")
    yield Case(
        alert="PenstockDegradedAnswers",
        labels=_POOL,
        bad=primary | {fallback: counter((20, 0), (30, 12), (90, 0))},
        quiet=primary | {fallback: counter((20, 0), (30, 5), (90, 0))},
        fires_at=40,
        recovered_at=70,
    )
    yield Case(
        alert="PenstockIrreversibleUnknown",
        labels=_JOB,
        bad={series(m.IRREVERSIBLE, outcome="unknown"): counter((20, 0), (1, 1), (119, 0))},
        quiet={series(m.IRREVERSIBLE, outcome="ran"): counter((180, 1)),
               series(m.IRREVERSIBLE, outcome="unknown"): counter((180, 0))},
        fires_at=23,
        recovered_at=60,
    )  # fmt: skip
    yield _share("PenstockModelErrors", m.OPERATIONS, "model", 12, 5, fires_at=40)
    yield _share("PenstockToolErrors", m.TOOLS, "tool", 12, 5, fires_at=40, labels=_JOB | {"tool": "search"})


def _telemetry() -> Iterator[Case]:
    up = series(m.STORE)
    yield Case(
        alert="PenstockStoreDown",
        labels=_JOB,
        bad={up: gauge((20, 1), (30, 0), (90, 1)), series(m.STORE, instance="b"): gauge((180, 1))},
        quiet={up: gauge((180, 1))},
        fires_at=36,
        recovered_at=70,
    )
    one, another = series(m.BUILD), series(m.BUILD, instance="b")
    silent = f"{gauge((20, 1))} {gone(30)} {gauge((90, 1))}"
    yield Case(
        alert="PenstockTelemetryMissing",
        labels=_JOB,
        bad={one: silent, another: silent},
        quiet={one: silent, another: gauge((180, 1))},
        fires_at=36,
        recovered_at=60,
    )
    yield Case(
        alert="PenstockHookErrors",
        labels=_JOB | {"hook": "httpx"},
        bad={series(m.HOOK_ERRORS): counter((20, 0), (5, 1), (115, 0))},
        quiet={series(m.HOOK_ERRORS): gauge((180, 7))},
        fires_at=23,
        recovered_at=60,
    )
    yield Case(
        alert="PenstockSpansDropped",
        labels=_JOB | {"exporter": "otlp"},
        bad={series(m.SPANS_DROPPED): counter((20, 0), (30, 10), (90, 0))},
        quiet={series(m.SPANS_DROPPED): counter((20, 0), (2, 10), (118, 0))},
        fires_at=36,
        recovered_at=70,
    )


CASES: Final[tuple[Case, ...]] = (*_capacity(), *_limits(), *_quota(), *_correctness(), *_telemetry())


def documents(rules: RuleSet, rule_file: str) -> dict[str, dict[str, Any]]:
    """Return promtool's test files over `rule_file`, by name."""
    severity = {alert.name: str(alert.severity) for alert in rules.alerts}
    usual = [test for case in CASES if not case.slow for test in _tests(case, severity[case.alert])]
    slow = [test for case in CASES if case.slow for test in _tests(case, severity[case.alert])]
    empty = {
        "name": "no data",
        "interval": "1m",
        "input_series": [{"series": 'up{job="app"}', "values": "1+0x120"}],
        "promql_expr_test": [_expect(name, "100m", None) for name in severity],
    }  # fmt: skip
    # Without an order promtool takes any, and an alert may look for a recording not yet made.
    common = {"rule_files": [rule_file], "group_eval_order": list(GROUPS)}
    return {
        TESTS: common | {"evaluation_interval": "2m", "tests": [*usual, empty]},
        SLOW_TESTS: common | {"evaluation_interval": "10m", "tests": slow},
    }


def _tests(case: Case, severity: str) -> Iterator[dict[str, Any]]:
    labels = {"alertname": case.alert, "alertstate": "firing"} | dict(case.labels) | {"severity": severity}
    fires = _expect(case.alert, f"{case.fires_at}m", labels)
    recovers = _expect(case.alert, f"{case.recovered_at}m", None)
    yield _test(f"{case.alert} fires and recovers", case, case.bad, [fires, recovers])
    silent = _expect(case.alert, f"{case.fires_at}m", None)
    yield _test(f"{case.alert} stays quiet", case, case.quiet, [silent])


def _test(name: str, case: Case, given: Input, expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "5m" if case.slow else "1m",
        "input_series": [{"series": key, "values": values} for key, values in given.items()],
        "promql_expr_test": expected,
    }


def _expect(alert: str, at: str, labels: Mapping[str, str] | None) -> dict[str, Any]:
    inside = ",".join(f'{name}="{value}"' for name, value in (labels or {}).items())
    found = [{"labels": f"ALERTS{{{inside}}}", "value": 1}] if labels else []
    expr = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
    return {"expr": expr, "eval_time": at, "exp_samples": found}
