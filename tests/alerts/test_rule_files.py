"""The shipped rule files: generated, the same in each format, valid for Prometheus."""

import re
from pathlib import Path

import pytest
import yaml

from penstock import alerts
from penstock.errors import UsageError
from penstock.telemetry import objectives
from penstock.telemetry.metrics import CATALOGUE, MetricType

ROOM = Path(alerts.__file__).resolve().parent
RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks"
RULES = alerts.rule_set()
NAMES = [alert.name for alert in RULES.alerts]


@pytest.fixture(scope="module")
def documents():
    return {name: yaml.safe_load(text) for name, text in alerts.rule_files(RULES).items()}


@pytest.mark.parametrize("name", sorted(alerts.shipped_files()))
def test_regenerating_gives_the_committed_bytes(name):
    assert (ROOM / name).read_text() == alerts.shipped_files()[name]


def test_nothing_else_is_committed_as_a_rule_file():
    assert {path.name for path in ROOM.glob("*.yaml")} == set(alerts.shipped_files())


def test_the_kubernetes_resource_holds_the_prometheus_groups(documents):
    resource = documents["penstock-prometheusrule.yaml"]
    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert resource["spec"] == documents["penstock.rules.yaml"]


def test_grafana_rules_stand_alone_and_keep_every_alert(documents):
    (group,) = documents["penstock-grafana-alerts.yaml"]["groups"]
    assert [rule["title"] for rule in group["rules"]] == NAMES
    assert len({rule["uid"] for rule in group["rules"]}) == len(NAMES)
    for rule in group["rules"]:
        refs = [query["refId"] for query in rule["data"]]
        assert rule["condition"] in refs
        assert "pool:" not in rule["data"][0]["model"]["expr"]
        assert "$value " not in rule["annotations"]["summary"]
        assert len(rule["uid"]) <= 40


def test_every_alert_says_how_bad_how_long_and_what_to_read():
    for alert in RULES.alerts:
        assert alert.name.startswith("Penstock")
        assert "$value" in alert.summary or "== " in alert.expr, alert.name
        assert "$labels.job" in alert.summary
        assert alert.hold
        assert alert.keep


def test_every_alert_has_a_runbook_page_and_every_page_an_alert():
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(NAMES)
    for alert in RULES.alerts:
        page = (RUNBOOKS / f"{alert.name}.md").read_text()
        assert page.startswith(f"# {alert.name}\n")
        for heading in ("## Meaning", "## Impact", "## Check", "## Mend"):
            assert heading in page, (alert.name, heading)
        assert alert.board in page, alert.name


def test_expressions_name_only_metrics_of_the_catalogue():
    known = {
        f"{metric.name}{part}"
        for metric in CATALOGUE
        for part in (("_bucket", "_sum", "_count") if metric.type is MetricType.HISTOGRAM else ("",))
    }
    recorded = {r.name for r in (*RULES.recordings, *RULES.slow_recordings)}
    for rule in (*RULES.alerts, *RULES.recordings, *RULES.slow_recordings):
        names = set(re.findall(r"\b(?:penstock|gen_ai)_\w+|\bpool:\w+:\w+", rule.expr))
        assert {n for n in names if not n.startswith("pool:")} <= known | {
            n.split(":")[1] for n in recorded
        }, rule.name
        assert {n for n in names if n.startswith("pool:")} <= recorded, rule.name


@pytest.mark.parametrize(
    ("alert", "number"),
    [
        ("PenstockRateLimited", objectives.RATE_LIMITED_RATIO.warning),
        ("PenstockRateLimitStorm", objectives.RATE_LIMITED_RATIO.critical),
        ("PenstockTimeouts", objectives.TIMEOUT_RATIO.warning),
        ("PenstockRetryAmplification", objectives.RETRY_AMPLIFICATION.warning),
        ("PenstockHeadroomLow", objectives.HEADROOM_RATIO.warning),
        ("PenstockQueueWaitLong", objectives.QUEUE_WAIT_SECONDS.warning),
        ("PenstockCapCollapsed", objectives.CAP_LEFT_RATIO.warning),
        ("PenstockDegradedAnswers", objectives.DEGRADED_RATIO.warning),
        ("PenstockModelErrors", objectives.MODEL_ERROR_RATIO.warning),
        ("PenstockToolErrors", objectives.TOOL_ERROR_RATIO.warning),
        ("PenstockCacheMissBurst", objectives.FANOUT_LIVE_CALLS.warning),
    ],
)
def test_alerts_fire_at_the_objectives(alert, number):
    expr = next(a.expr for a in RULES.alerts if a.name == alert)
    assert re.search(rf"[<>] {re.escape(f'{number:g}')}(?!\d)", expr)


def test_a_time_scale_shortens_every_window_and_hold(documents):
    scaled = yaml.safe_load(alerts.rule_files(alerts.rule_set(1 / 60))["penstock.rules.yaml"])
    for whole, small in zip(documents["penstock.rules.yaml"]["groups"], scaled["groups"], strict=True):
        assert seconds(small["interval"]) == pytest.approx(seconds(whole["interval"]) / 60)
        for before, after in zip(whole["rules"], small["rules"], strict=True):
            assert after.get("alert") == before.get("alert")
            for key in ("for", "keep_firing_for"):
                if key in before:
                    assert seconds(after[key]) == pytest.approx(seconds(before[key]) / 60)
            assert windows(after["expr"]) == pytest.approx([w / 60 for w in windows(before["expr"])])


def test_the_time_scale_holds_in_grafanas_format_too():
    whole, small = (
        yaml.safe_load(alerts.rule_files(alerts.rule_set(scale))["penstock-grafana-alerts.yaml"])
        for scale in (1, 1 / 60)
    )
    for before, after in zip(whole["groups"][0]["rules"], small["groups"][0]["rules"], strict=True):
        for key in ("for", "keepFiringFor"):
            if key in before:
                assert seconds(after[key]) == pytest.approx(seconds(before[key]) / 60)


@pytest.mark.parametrize("scale", [0, -1, 2, float("nan")])
def test_a_senseless_time_scale_is_refused(scale):
    with pytest.raises(UsageError, match="time scale"):
        alerts.rule_set(scale)


def windows(expr):
    return [seconds(w) for part in re.findall(r"\[([\w:]+)\]|offset (\w+)", expr) for w in split(part)]


def split(part):
    return [w for text in part for w in text.split(":") if w]


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit]


def test_the_docs_page_lists_every_alert_as_it_is():
    page = (RUNBOOKS.parent / "dashboards.md").read_text()
    for alert in RULES.alerts:
        link = f"[{alert.name}](runbooks/{alert.name}.md)"
        assert f"| {link} | {alert.severity} | {alert.hold} | {alert.description} |" in page
