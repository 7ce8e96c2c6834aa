"""A panel with its numbers: what Grafana would draw, asked of the Prometheus behind it."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from penstock.dashboards._check import Prometheus
from penstock.dashboards._expressions import Filling

POINTS: Final = 240
_LEGEND: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_NOW: Final = ("table", "alertlist")
"""What shows the newest moment only."""
_FIRING: Final = 'ALERTS{alertname=~"Penstock.*",alertstate="firing",job=~"$job"}'


@dataclass(frozen=True, slots=True)
class Series:
    """One line. `points` are (Unix seconds, value); gaps are left out. `dashed` is a limit's."""

    name: str
    labels: dict[str, str]
    points: list[tuple[float, float]]
    dashed: bool = False

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]

    @property
    def most(self) -> float:
        """The largest value."""
        return max(value for _, value in self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One panel and what there is to see. `width` is in 24ths of the page; `span` is in Unix seconds.

    `steps` are (from which value, colour), lowest first; `words` maps values to (text, colour).
    """

    kind: str
    title: str
    description: str = ""
    unit: str = "none"
    width: int = 24
    span: tuple[float, float] = (0.0, 0.0)
    series: list[Series] = field(default_factory=list)
    stacked: bool = False
    steps: list[tuple[float, str]] = field(default_factory=list)
    words: dict[float, tuple[str, str]] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)


def look(
    prometheus: Prometheus, model: dict[str, Any], filling: Filling, seconds: float, end: float
) -> Iterator[View]:
    """Yield a dashboard's panels, rows between them, over the `seconds` before `end`.

    Raises:
        UsageError: the server does not answer as a Prometheus.
    """
    span = (end - seconds, end)
    for panel in model["panels"]:
        if panel["type"] == "row":
            yield View(kind="row", title=panel["title"])
            continue
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        yield View(
            kind=panel["type"],
            title=panel["title"],
            description=panel.get("description", ""),
            unit=defaults.get("unit", "none"),
            width=panel["gridPos"]["w"],
            span=span,
            series=_series(prometheus, panel, filling, span),
            stacked="stacking" in defaults.get("custom", {}),
            steps=_steps(panel["type"], defaults),
            words=_words(defaults),
            columns=_columns(panel),
        )


def _series(
    prometheus: Prometheus, panel: dict[str, Any], filling: Filling, span: tuple[float, float]
) -> list[Series]:
    dashed = {
        override["matcher"]["options"]
        for override in panel.get("fieldConfig", {}).get("overrides", ())
        if any(held["id"] == "custom.lineStyle" for held in override["properties"])
    }
    targets = panel.get("targets", ())
    if panel["type"] == "alertlist":
        targets = ({"expr": _FIRING, "legendFormat": "{{alertname}} {{pool}}", "refId": "A"},)
    found = []
    for target in targets:
        # Without a legend, as in tables, a series goes by its query's letter.
        legend = target.get("legendFormat") or target["refId"]
        for row in prometheus.query_range(filling.fill(target["expr"]), *span, POINTS):
            points = [(at, float(value)) for at, value in row["values"] if math.isfinite(float(value))]
            if points and (panel["type"] not in _NOW or points[-1][0] >= span[1] - 1):
                labels: dict[str, str] = row["metric"]
                name = _LEGEND.sub(lambda match, held=labels: held.get(match[1], ""), legend)  # type: ignore[misc]
                found.append(Series(name.strip(), labels, points, target["refId"] in dashed))
    return found


def _steps(kind: str, defaults: dict[str, Any]) -> list[tuple[float, str]]:
    """Thresholds colour a stat; lines show them only where the panel says so."""
    if kind == "timeseries" and "thresholdsStyle" not in defaults.get("custom", {}):
        return []
    return [
        (-math.inf if step["value"] is None else step["value"], step["color"])
        for step in defaults.get("thresholds", {}).get("steps", ())
    ]


def _words(defaults: dict[str, Any]) -> dict[float, tuple[str, str]]:
    return {
        float(value): (word["text"], word["color"])
        for mapping in defaults.get("mappings", ())
        for value, word in mapping["options"].items()
    }


def _columns(panel: dict[str, Any]) -> dict[str, str]:
    """Say how a table names the values of its queries, by letter."""
    for step in panel.get("transformations", ()):
        if step["id"] == "organize":
            named: dict[str, str] = step["options"]["renameByName"]
            return {
                ("A" if name == "Value" else name.removeprefix("Value #")): shown
                for name, shown in named.items()
            }
    return {}
