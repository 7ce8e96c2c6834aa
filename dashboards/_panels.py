"""One panel of ours as one of Grafana's, by grafana-foundation-sdk.

Traps of SDK 0.0.21 that are handled here: a target has neither refId nor range by default, and
`build()` hands out the builder's own object, so that a builder is never used twice.
"""

from typing import Any, Final

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

from penstock.dashboards._spec import Kind, Panel, Query
from penstock.telemetry.objectives import Objective

DATASOURCE: Final = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_POOL_LINK: Final = {
    "title": "Concurrency and limiter of ${__value.raw}",
    "url": "/d/penstock-concurrency?var-pool=${__value.raw:percentencode}"
    "&${job:queryparam}&${__url_time_range}",
}
_BY_IMPORTANCE: Final = 3
_TARGET_NAMES: Final = "ABCDEFGHIJKLMNOP"


def build_panel(panel: Panel) -> Any:
    """Return an SDK builder for the panel, without id and place."""
    builder = _DRAWN[panel.kind](panel).title(panel.title).description(describe(panel))
    if panel.kind is Kind.ALERTS:
        return builder
    builder.datasource(DATASOURCE).unit(panel.unit)
    builder.thresholds(_thresholds(panel.objective))
    if panel.kind is not Kind.HEATMAP:
        builder.min(0)
    if panel.maximum is not None:
        builder.max(panel.maximum)
    for name, query in zip(_TARGET_NAMES, panel.queries, strict=False):
        builder.with_target(_target(panel.kind, name, query))
    return builder


def describe(panel: Panel) -> str:
    """Say what is seen, what to do, who else watches it, and why it may be empty."""
    lines = [panel.meaning, panel.action]
    if panel.alert:
        lines.append(f"Alert: {panel.alert}.")
    if panel.needs:
        lines.append(f"Needs {panel.needs}.")
    return "\n\n".join(lines)


def threshold_steps(objective: Objective | None) -> list[tuple[float | None, str]]:
    """Colour steps of an objective, from the lowest value up."""
    if objective is None:
        return [(None, "green")]
    warning, critical = objective.warning, objective.critical
    if not objective.low_is_bad:
        steps: list[tuple[float | None, str]] = [(None, "green"), (warning, "orange")]
        return steps if critical is None else [*steps, (critical, "red")]
    if critical is None:
        return [(None, "red"), (warning, "green")]
    return [(None, "red"), (critical, "orange"), (warning, "green")]


def _thresholds(objective: Objective | None) -> Any:
    steps = [models.Threshold(value=value, color=color) for value, color in threshold_steps(objective)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _target(kind: Kind, name: str, query: Query) -> Any:
    target = prometheus.Dataquery().ref_id(name).expr(query.expr).datasource(DATASOURCE)
    target.editor_mode(prometheus_models.QueryEditorMode.CODE)
    if kind is Kind.TABLE:
        return target.instant().format(prometheus_models.PromQueryFormat.TABLE)
    if kind is Kind.HEATMAP:
        target.format(prometheus_models.PromQueryFormat.HEATMAP)
    if query.exemplars:
        target.exemplar(True)
    return target.range().legend_format(query.legend)


def _lines(panel: Panel) -> Any:
    builder = timeseries.Panel().line_width(1).show_points(common_models.VisibilityMode.NEVER)
    builder.legend(_ranking()).tooltip(_tooltip().hide_zeros(True))
    if panel.kind is Kind.STACK:
        builder.fill_opacity(30)
        builder.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    elif panel.objective is not None:
        style = common.GraphThresholdsStyleConfig()
        builder.thresholds_style(style.mode(common_models.GraphThresholdsStyleMode.DASHED))
    for name, query in zip(_TARGET_NAMES, panel.queries, strict=False):
        if query.dashed:
            builder.override_by_query(
                name, [models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]})]
            )
    return builder


def _stat(panel: Panel) -> Any:
    reduce = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    color = common_models.BigValueColorMode
    builder = stat.Panel().reduce_options(reduce).graph_mode(common_models.BigValueGraphMode.AREA)
    return builder.color_mode(color.VALUE if panel.objective is None else color.BACKGROUND)


def _heatmap(_panel: Panel) -> Any:
    return heatmap.Panel().calculate(False).show_legend()


def _states(panel: Panel) -> Any:
    words = {
        value: models.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, text, color) in enumerate(panel.states)
    }
    builder = statetimeline.Panel().mappings([models.ValueMap(options=words)])
    return builder.legend(_legend()).tooltip(_tooltip()).merge_values(True)


def _table(panel: Panel) -> Any:
    several = len(panel.queries) > 1
    renamed = {
        f"Value #{name}" if several else "Value": query.legend
        for name, query in zip(_TARGET_NAMES, panel.queries, strict=False)
    }
    builder = table.Panel()
    if several:
        builder.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    builder.with_transformation(
        models.DataTransformerConfig(
            id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": renamed}
        )
    )
    for label in renamed.values():
        if "share" in label:
            builder.override_by_name(label, [models.DynamicConfigValue("unit", "percentunit")])
    return builder.override_by_name("pool", [models.DynamicConfigValue("links", [_POOL_LINK])])


def _alerts(_panel: Panel) -> Any:
    """Grafana's own list, of its rules and of a Prometheus's; the SDK has no builder for it."""
    shown = {"firing": True, "pending": True, "recovering": True, "error": True}
    options = {
        "viewMode": "list",
        "groupMode": "default",
        "groupBy": [],
        "maxItems": 20,
        "sortOrder": _BY_IMPORTANCE,
        "dashboardAlerts": False,
        "alertName": "Penstock",
        "alertInstanceLabelFilter": '{job=~"${job:regex}"}',
        "showInactiveAlerts": False,
        "stateFilter": shown | {"noData": False, "normal": False},
    }
    return dashboard.Panel().type(str(Kind.ALERTS)).options(options)


def _legend() -> Any:
    legend = common.VizLegendOptions().display_mode(common_models.LegendDisplayMode.LIST)
    return legend.placement(common_models.LegendPlacement.BOTTOM).show_legend(True).calcs([])


def _ranking() -> Any:
    """Every class of every pool is there from the start, most at 0: what matters comes first."""
    legend = _legend().display_mode(common_models.LegendDisplayMode.TABLE).calcs(["mean", "max"])
    return legend.sort_by("Max").sort_desc(True)


def _tooltip() -> Any:
    return (
        common.VizTooltipOptions()
        .mode(common_models.TooltipDisplayMode.MULTI)
        .sort(common_models.SortOrder.DESCENDING)
    )


_DRAWN: Final = {
    Kind.LINES: _lines,
    Kind.STACK: _lines,
    Kind.STAT: _stat,
    Kind.HEATMAP: _heatmap,
    Kind.STATES: _states,
    Kind.TABLE: _table,
    Kind.ALERTS: _alerts,
}
