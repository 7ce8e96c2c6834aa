"""Every expression that a dashboard sends to Prometheus, with Grafana's variables filled in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_LEGEND_LABEL: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_GROUPED_BY: Final = re.compile(r"\bby \(([^)]*)\)")
_LABEL_VALUES: Final = re.compile(r"^label_values\((?:(.*),\s*)?(\w+)\)$")
_NEEDS: Final = re.compile(r"^Needs (.*)\.$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Expression:
    """One query of a panel, variable or annotation.

    `labels` are those that the result is grouped by, the legend or the variable shows: without them it
    is wrong.
    `needs` says what must be in use for it to have data.
    """

    dashboard: str
    where: str
    expr: str
    labels: tuple[str, ...] = ()
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Filling:
    """What stands for Grafana's variables. Durations as Prometheus writes them."""

    rate_interval: str = "1m"
    interval: str = "15s"
    job: str = ".+"
    pool: str = ".+"

    def fill(self, expr: str) -> str:
        """Return the expression as Grafana would send it."""
        for name, value in (
            ("__rate_interval", self.rate_interval),
            ("__interval", self.interval),
            ("job", self.job),
            ("pool", self.pool),
        ):
            expr = re.sub(rf"\$({name}\b|\{{{name}\}})", value.replace("\\", r"\\"), expr)
        return expr


def expressions(model: dict[str, Any]) -> Iterator[Expression]:
    """Yield every expression of a dashboard: panels, then variables, then annotations."""
    uid = model["uid"]
    for panel in model["panels"]:
        needs = _NEEDS.search(panel.get("description", ""))
        for target in panel.get("targets", ()):
            expr = target["expr"]
            labels = _shown(expr, target.get("legendFormat", ""))
            yield Expression(uid, panel["title"], expr, labels, needs[1] if needs else "")
    for variable in model["templating"]["list"]:
        if variable["type"] != "query":
            continue
        query = variable["query"]["query"]
        match = _LABEL_VALUES.match(query)
        if match is None:
            raise ValueError(f"not a label_values query: {query}")
        yield Expression(uid, f"variable {variable['name']}", match[1], (match[2],))
    for annotation in model["annotations"]["list"]:
        if "expr" in annotation:
            labels = _shown(annotation["expr"], annotation["titleFormat"] + annotation["textFormat"])
            # Whether it happened just now is no question of a check; whether it can be seen is.
            expr = annotation["expr"].removesuffix(" > 0")
            yield Expression(uid, f"annotation {annotation['name']}", expr, labels)


def _shown(expr: str, legend: str) -> tuple[str, ...]:
    outermost = _GROUPED_BY.search(expr)
    labels = dict.fromkeys(_LEGEND_LABEL.findall(legend))
    labels |= dict.fromkeys(label.strip() for label in outermost[1].split(",")) if outermost else {}
    if "histogram_quantile" in expr:
        labels.pop("le", None)
    return tuple(label for label in labels if label)
