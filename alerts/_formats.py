"""The spec as a Prometheus rule file, a PrometheusRule resource, and Grafana provisioning."""

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import yaml

from penstock.alerts._spec import Alert, Recording, RuleSet

NAME: Final = "penstock"
GROUPS: Final = ("penstock-recordings", "penstock-recordings-slow", "penstock-alerts")
_INTERVAL: Final = "30s"
_SLOW_INTERVAL: Final = "2m"
_GRAFANA_DATASOURCE: Final = "prometheus"
_RECORDED: Final = re.compile(r"\bpool:\w+:\w+\b")

Document = dict[str, Any]


def prometheus(rules: RuleSet) -> Document:
    """Return the groups of a Prometheus rule file."""
    clock = rules.clock
    return {
        "groups": [
            _group(GROUPS[0], clock(_INTERVAL), map(_record, rules.recordings)),
            _group(GROUPS[1], clock(_SLOW_INTERVAL), map(_record, rules.slow_recordings)),
            _group(GROUPS[2], clock(_INTERVAL), (_alert(a, rules) for a in rules.alerts)),
        ]
    }


def kubernetes(rules: RuleSet) -> Document:
    """Return a PrometheusRule resource for the Prometheus operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": NAME}},
        "spec": prometheus(rules),
    }


def grafana(rules: RuleSet) -> Document:
    """Return Grafana's alert provisioning file.

    Each rule is Grafana's own conversion of a Prometheus rule: query, math that is 1 for any value
    that came back, threshold; nothing came back is OK. Recorded series are written out, since
    Grafana-managed rules stand alone.
    """
    group = {
        "orgId": 1,
        "name": GROUPS[2],
        "folder": "Penstock",
        "interval": "1m",
        "rules": [_grafana_rule(alert, rules) for alert in rules.alerts],
    }
    return {"apiVersion": 1, "groups": [group]}


FORMATS: Final[dict[str, tuple[str, Callable[[RuleSet], Document]]]] = {
    "prometheus": ("penstock.rules.yaml", prometheus),
    "kubernetes": ("penstock-prometheusrule.yaml", kubernetes),
    "grafana": ("penstock-grafana-alerts.yaml", grafana),
}


def encode(document: Document) -> str:
    """Return block-style YAML with keys in the order given."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)


def _group(name: str, interval: str, rules: Iterable[Document]) -> Document:
    return {"name": name, "interval": interval, "rules": list(rules)}


def _record(recording: Recording) -> Document:
    return {"record": recording.name, "expr": recording.expr}


def _alert(alert: Alert, rules: RuleSet) -> Document:
    rule: Document = {
        "alert": alert.name,
        "expr": alert.expr,
        "for": rules.clock(alert.hold),
    }
    if alert.keep != "0s":
        rule["keep_firing_for"] = rules.clock(alert.keep)
    return rule | {"labels": {"severity": str(alert.severity)}, "annotations": _annotations(alert, rules)}


def _annotations(alert: Alert, rules: RuleSet) -> dict[str, str]:
    job = "?var-job={{ $labels.job }}"
    return {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": f"{rules.runbooks}/{alert.name}.md",
        "dashboard_url": f"{rules.grafana}/d/{alert.board}{job}",
    }


def _grafana_rule(alert: Alert, rules: RuleSet) -> Document:
    rule: Document = {
        "uid": hashlib.sha256(alert.name.encode()).hexdigest()[:16],
        "title": alert.name,
        "condition": "threshold",
        "data": [_query(_written_out(alert.expr, rules)), *_EXPRESSIONS],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rules.clock(alert.hold),
        "missing_series_evals_to_resolve": 1,
    }
    if alert.keep != "0s":
        rule["keepFiringFor"] = rules.clock(alert.keep)
    # In Grafana $value is a text of all values; the query's own is under its refId.
    annotations = {
        key: text.replace("$value", "$values.query.Value") for key, text in _annotations(alert, rules).items()
    }
    return rule | {"labels": {"severity": str(alert.severity)}, "annotations": annotations, "isPaused": False}


def _written_out(expr: str, rules: RuleSet) -> str:
    recorded = {r.name: r.expr for r in (*rules.recordings, *rules.slow_recordings)}
    return _RECORDED.sub(lambda match: f"({recorded[match[0]]})", expr)


def _query(expr: str) -> Document:
    return {
        "refId": "query",
        "queryType": "prometheus",
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": _GRAFANA_DATASOURCE,
        "model": {"refId": "query", "expr": expr, "instant": True, "range": False},
    }


def _expression(name: str, model: Document) -> Document:
    return {
        "refId": name,
        "queryType": model["type"],
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": "__expr__",
        "model": {"refId": name} | model,
    }


_EXPRESSIONS: Final = (
    _expression(
        "any",
        {"type": "math", "expression": "is_number($query) || is_nan($query) || is_inf($query)"},
    ),
    _expression(
        "threshold",
        {
            "type": "threshold",
            "expression": "any",
            "conditions": [{"evaluator": {"type": "gt", "params": [0]}}],
        },
    ),
)
