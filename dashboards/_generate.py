"""Boards to Grafana's dashboard JSON: ids, places, variables, links, the same bytes each time.

What SDK 0.0.21 leaves to its caller is done after encoding: panels get ids (0 breaks “view panel”,
grafana/grafana#15229), the 24 columns are filled here (its own flow overflows), and keys that hide
links and annotations in a menu (`placement`, grafana-foundation-sdk#1202) or belong to interval
variables only (`auto*`) are taken out.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

from penstock.dashboards._panels import DATASOURCE, build_panel
from penstock.dashboards._queries import PANEL
from penstock.dashboards._spec import Board, Panel
from penstock.telemetry import metrics as m

COLUMNS: Final = 24
TAG: Final = "penstock"
_ROW_HEIGHT: Final = 1
_GRAFANA: Final = common_models.DataSourceRef(type_val="grafana", uid="-- Grafana --")
_INTERVAL_ONLY: Final = ("auto", "auto_count", "auto_min")


def generate(board: Board) -> str:
    """Return the board as Grafana's JSON, ending in a newline."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .timezone("browser")
        .readonly()
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_link())
        .annotations([_alerts_annotation(), _cuts_annotation()])
    )
    for variable in _variables():
        builder.with_variable(variable)
    encoded = json.loads(JSONEncoder(sort_keys=True).encode(builder.build()))
    encoded["panels"] = _panels(board)
    _strip(encoded)
    return json.dumps(encoded, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _panels(board: Board) -> list[dict[str, Any]]:
    placed: list[dict[str, Any]] = []
    y = 0
    for row in board.rows:
        header = {"x": 0, "y": y, "w": COLUMNS, "h": _ROW_HEIGHT}
        placed.append(
            {"type": "row", "title": row.title, "collapsed": False, "gridPos": header, "panels": []}
        )
        y += _ROW_HEIGHT
        for panel, place in flow(row.panels, y):
            encoded = json.loads(JSONEncoder(sort_keys=True).encode(build_panel(panel).build()))
            placed.append(encoded | {"gridPos": place})
            y = max(y, place["y"] + place["h"])
    return [panel | {"id": number} for number, panel in enumerate(placed, start=1)]


def flow(panels: tuple[Panel, ...], top: int) -> Iterator[tuple[Panel, dict[str, int]]]:
    """Place panels from left to right, a new line where 24 columns are full."""
    x, y, tallest = 0, top, 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        yield panel, {"x": x, "y": y, "w": panel.width, "h": panel.height}
        x += panel.width
        tallest = max(tallest, panel.height)


def _variables() -> Iterator[Any]:
    yield dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    yield _label_variable("job", "Job", m.ATTEMPTS.name)
    yield _label_variable("pool", "Pool", f'{m.ATTEMPTS.name}{{job=~"$job"}}')


def _label_variable(label: str, title: str, series: str) -> Any:
    query = f"label_values({series}, {label})"
    return (
        dashboard.QueryVariable(label)
        .label(title)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _link() -> Any:
    link = dashboard.DashboardLink("Penstock").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(True).icon("external link")


def _alerts_annotation() -> Any:
    builder = dashboard.AnnotationQuery().name("Annotations & Alerts").type("dashboard").built_in(1)
    return builder.datasource(_GRAFANA).enable(True).hide(True).icon_color("rgba(0, 211, 255, 1)")


def _cuts_annotation() -> Any:
    cuts = PANEL.increase(m.CHANGES, 'direction="down"', by="pool, what", window="2m")
    builder = dashboard.AnnotationQuery().name("Limiter cuts").datasource(DATASOURCE).expr(f"{cuts} > 0")
    builder.title_format("{{what}} cut").text_format("{{pool}}").tag_keys("pool,what")
    return builder.enable(False).hide(False).icon_color("orange")


def _strip(encoded: dict[str, Any]) -> None:
    for entry in [*encoded["links"], *encoded["annotations"]["list"]]:
        entry.pop("placement", None)
    for variable in encoded["templating"]["list"]:
        for key in _INTERVAL_ONLY:
            variable.pop(key, None)
