"""The committed dashboards: generated, importable, laid out, described, coloured by the objectives."""

import importlib.metadata
import itertools
import json
import re
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.models import units

from penstock import alerts, dashboards
from penstock.dashboards._generate import COLUMNS, generate
from penstock.dashboards._panels import threshold_steps
from penstock.dashboards.boards import BOARDS
from penstock.telemetry import objectives
from penstock.telemetry.metrics import CATALOGUE, MetricType

ROOM = Path(dashboards.__file__).resolve().parent
MODELS = [board.model for board in dashboards.shipped()]
PANELS = [(model["uid"], panel) for model in MODELS for panel in model["panels"] if panel["type"] != "row"]
ASKING = [(uid, panel) for uid, panel in PANELS if panel["type"] != "alertlist"]
ASKED = [e for model in MODELS for e in dashboards.expressions(model)]
# The units module of grafana-foundation-sdk 0.0.21 holds the ids of @grafana/data 13.2.3.
UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("__")}
# Evaluated by Prometheus 2.42 and 3.x alike.
FUNCTIONS = {
    "sum", "max", "min", "count", "topk", "by", "on", "ignoring", "group_left", "rate", "increase", "deriv",
    "histogram_quantile", "clamp_max", "clamp_min", "time",
}  # fmt: skip


def by_panel(panels):
    ids = [f"{uid}:{panel['title']}" for uid, panel in panels]
    return pytest.mark.parametrize(("uid", "panel"), panels, ids=ids)


def test_the_sdk_is_the_line_that_the_dashboards_were_made_with():
    assert importlib.metadata.version("grafana-foundation-sdk").removeprefix("v") == "0.0.21"


@pytest.mark.parametrize("board", BOARDS, ids=[board.uid for board in BOARDS])
def test_regenerating_gives_the_committed_bytes(board):
    assert (ROOM / f"{board.uid}.json").read_text() == generate(board)


def test_there_are_eight_and_nothing_else():
    assert sorted(path.stem for path in ROOM.glob("*.json")) == sorted(board.uid for board in BOARDS)
    assert len(BOARDS) == 8


@pytest.mark.parametrize("model", MODELS, ids=[m["uid"] for m in MODELS])
def test_a_dashboard_imports_by_file_and_by_page(model):
    assert len(model["uid"]) <= 40
    assert "__inputs" not in model
    assert model["editable"] is False
    assert model["schemaVersion"] == 42
    assert "id" not in model
    datasource, *rest = model["templating"]["list"]
    assert (datasource["name"], datasource["type"], datasource["label"]) == (
        "datasource", "datasource", "Data source",
    )  # fmt: skip
    for variable in rest:
        assert variable["refresh"] == 2
        assert variable["allValue"] == ".+"
        assert not [key for key in variable if key.startswith("auto") or key == "placement"]
    assert not [entry for entry in (*model["links"], *model["annotations"]["list"]) if "placement" in entry]


@pytest.mark.parametrize("model", MODELS, ids=[m["uid"] for m in MODELS])
def test_panels_have_ids_of_their_own_and_do_not_overlap(model):
    ids = [panel["id"] for panel in model["panels"]]
    assert len(set(ids)) == len(ids)
    assert min(ids) > 0
    places = [panel["gridPos"] for panel in model["panels"]]
    for place in places:
        assert place["x"] + place["w"] <= COLUMNS
        assert place["h"] > 0
    for a, b in itertools.combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (a, b)


@by_panel(PANELS)
def test_a_panel_says_what_it_shows_and_what_to_do(uid, panel):
    meaning, action, *_ = panel["description"].split("\n\n")
    assert panel["title"]
    assert meaning.endswith((".", "?"))
    assert action.endswith((".", "?"))
    assert len(meaning.split()) > 3
    assert len(action.split()) > 3


@by_panel(ASKING)
def test_a_panel_has_a_unit_of_grafana_and_asks_one_data_source(uid, panel):
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in UNITS
    for override in panel["fieldConfig"]["overrides"]:
        for prop in override["properties"]:
            assert prop["id"] != "unit" or prop["value"] in UNITS
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    refs = [target["refId"] for target in panel["targets"]]
    assert len(set(refs)) == len(refs) > 0
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
        assert bool(target.get("range")) != bool(target.get("instant"))


def test_panels_are_coloured_by_the_numbers_that_alerts_fire_on():
    rules = {alert.name: alert for alert in alerts.rule_set().alerts}
    known = {repr(value) for value in vars(objectives).values() if isinstance(value, objectives.Objective)}
    watched = 0
    for board in BOARDS:
        drawn = {p["title"]: p for uid, p in ASKING if uid == board.uid}
        for panel in (p for row in board.rows for p in row.panels if p.queries):
            steps = drawn[panel.title]["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert [(s["value"], s["color"]) for s in steps] == threshold_steps(panel.objective)
            assert panel.objective is None or repr(panel.objective) in known
            if panel.alert:
                assert panel.alert in rules, panel.title
            if panel.alert and panel.objective and "Burn" not in panel.alert and "Quota" not in panel.alert:
                expr = rules[panel.alert].expr
                limits = {float(n) for n in re.findall(r"[<>] ([\d.]+)(?![\d.]* \*)", expr)}
                assert panel.objective.warning in limits, (panel.title, expr)
                watched += 1
    assert watched >= 12


def test_burn_rates_are_coloured_at_the_pace_that_alerts():
    assert objectives.BURN_RATE.critical == objectives.FAST_BURN[-1].factor
    fast = next(a for a in alerts.rule_set().alerts if a.name == "PenstockErrorBudgetBurnFast")
    for burn in objectives.FAST_BURN:
        assert f"> {round(burn.factor * (1 - objectives.SLO_RATIO), 6)} " in fast.expr


def test_every_alert_is_watched_by_a_panel_of_the_board_it_sends_people_to():
    mentioned = {panel.alert for board in BOARDS for row in board.rows for panel in row.panels}
    uids = {board.uid for board in BOARDS}
    for alert in alerts.rule_set().alerts:
        assert alert.board in uids
    unwatched = {alert.name for alert in alerts.rule_set().alerts} - mentioned
    # The storm is a second step of a panel's objective; slow burn and spent quota share another's panel.
    assert unwatched <= {"PenstockRateLimitStorm", "PenstockErrorBudgetBurnSlow", "PenstockQuotaSpent"}


@pytest.mark.parametrize("asked", ASKED, ids=[f"{e.dashboard}:{e.where}" for e in ASKED])
def test_an_expression_names_metrics_that_exist_and_functions_that_both_prometheus_lines_have(asked):
    series = {
        f"{metric.name}{part}"
        for metric in CATALOGUE
        for part in (("_bucket", "_sum", "_count") if metric.type is MetricType.HISTOGRAM else ("",))
    } | {"up", "scrape_duration_seconds", "scrape_samples_scraped"}
    bare = re.sub(r'"[^"]*"', '""', asked.expr)
    bare = re.sub(r"\[[^]]*\]", "", re.sub(r"\{[^}]*\}", "", bare))
    bare = re.sub(r"\b(?:by|on|ignoring|group_left) \([^)]*\)", "", bare)
    words = set(re.findall(r"[a-zA-Z_]\w*", bare))
    assert words - FUNCTIONS <= series
    assert words & series
    assert not re.search(r'\ble="', asked.expr)


@pytest.mark.parametrize("asked", ASKED, ids=[f"{e.dashboard}:{e.where}" for e in ASKED])
def test_rates_follow_the_scrape_interval_or_say_their_window(asked):
    if asked.where.startswith(("variable", "annotation")):
        return
    windows = set(re.findall(r"\[([^]]+)\]", asked.expr))
    fixed = windows - {"$__rate_interval"}
    allowed = {"5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"}
    assert fixed <= allowed, "a fixed window is for tables, forecasts and budgets"


def test_the_on_call_page_lists_the_alerts_of_the_jobs_that_are_chosen():
    ((uid, panel),) = [found for found in PANELS if found not in ASKING]
    assert uid == "penstock-overview"
    assert all(panel["options"]["alertName"] in alert.name for alert in alerts.rule_set().alerts)
    assert panel["options"]["alertInstanceLabelFilter"] == '{job=~"${job:regex}"}'
    assert panel["options"]["stateFilter"]["firing"] is True
    assert panel["options"]["stateFilter"]["normal"] is False


def test_slow_answers_lead_to_their_traces_and_pools_to_their_page():
    exemplars = [t["expr"] for _, panel in ASKING for t in panel["targets"] if t.get("exemplar")]
    assert exemplars
    assert all("_bucket" in expr for expr in exemplars)
    (pools,) = (panel for uid, panel in PANELS if (uid, panel["title"]) == ("penstock-overview", "Pools"))
    links = [
        p["value"] for o in pools["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "links"
    ]
    (target,) = (link["url"].split("?")[0].removeprefix("/d/") for found in links for link in found)
    assert target in {model["uid"] for model in MODELS}


def test_provisioning_files_load_what_export_writes():
    files = dashboards.provisioning()
    (provider,) = yaml.safe_load(files["provisioning/dashboards/penstock.yaml"])["providers"]
    assert provider["type"] == "file"
    assert provider["disableDeletion"] is True
    (source,) = yaml.safe_load(files["provisioning/datasources/penstock.yaml"])["datasources"]
    rules = yaml.safe_load(alerts.shipped_files()["penstock-grafana-alerts.yaml"])
    uids = {query["datasourceUid"] for g in rules["groups"] for r in g["rules"] for query in r["data"]}
    assert uids == {source["uid"], "__expr__"}
    assert {g["folder"] for g in rules["groups"]} == {provider["folder"]}


def test_the_compose_file_mounts_what_export_writes():
    compose = yaml.safe_load(dashboards.provisioning()["compose.yaml"])
    (grafana,) = compose["services"].values()
    assert grafana["image"].startswith("grafana/grafana:")
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    files = yaml.safe_load(dashboards.provisioning()["provisioning/dashboards/penstock.yaml"])
    assert mounts["."] == files["providers"][0]["options"]["path"]
    assert mounts["./provisioning"] == "/etc/grafana/provisioning"
    assert "PROMETHEUS_URL" in grafana["environment"]
    source = dashboards.provisioning()["provisioning/datasources/penstock.yaml"]
    assert "${PROMETHEUS_URL}" in source or "$PROMETHEUS_URL" in source


def test_the_docs_page_lists_every_dashboard_as_it_is():
    page = (Path(__file__).parents[2] / "docs" / "dashboards.md").read_text()
    for model in MODELS:
        panels = sum(uid == model["uid"] for uid, _ in PANELS)
        assert f"| `{model['uid']}` | {model['description']} | {panels} |" in page


def test_the_files_are_json_that_git_can_diff():
    for path in ROOM.glob("*.json"):
        text = path.read_text()
        assert text.endswith("}\n")
        assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
