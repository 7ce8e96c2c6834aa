"""Which panels would be empty on my data? Every expression, sent to a real Prometheus."""

import math
import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from penstock.dashboards._expressions import Expression, Filling
from penstock.dashboards._http import JsonServer
from penstock.errors import UsageError
from penstock.telemetry.metrics import CATALOGUE, MetricType

_POINTS: Final = 60
_SCRAPED: Final = ("up", "scrape_duration_seconds", "scrape_samples_scraped")
_SERIES: Final = frozenset(
    f"{metric.name}{part}"
    for metric in CATALOGUE
    for part in (("_bucket", "_sum", "_count") if metric.type is MetricType.HISTOGRAM else ("",))
) | frozenset(_SCRAPED)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one expression returned. `missing` names metrics that the Prometheus does not have."""

    expression: Expression
    series: int
    reason: str = ""
    missing: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether a person would look at nothing."""
        return bool(self.reason)


class Prometheus:
    """The part of Prometheus's HTTP API that a check needs."""

    def __init__(self, url: str) -> None:
        self._server = JsonServer("Prometheus", url)

    def query_range(self, expr: str, start: float, end: float, points: int = _POINTS) -> list[dict[str, Any]]:
        """Evaluate at so many points of a span of Unix seconds."""
        step = max((end - start) / points, 0.001)
        query = {"query": expr, "start": start, "end": end, "step": f"{step:.3f}"}
        found: list[dict[str, Any]] = self._get("query_range", query)["result"]
        return found

    def series_names(self, selector: str, start: float, end: float) -> frozenset[str]:
        """List metric names that have samples in the span."""
        query = {"match[]": selector, "start": start, "end": end}
        return frozenset(self._get("label/__name__/values", query))

    def series(self, selector: str, start: float, end: float) -> list[dict[str, str]]:
        """List the label sets of a selector."""
        found: list[dict[str, str]] = self._get("series", {"match[]": selector, "start": start, "end": end})
        return found

    def now(self) -> float:
        """Return the server's own time in Unix seconds."""
        return float(self._get("query", {"query": "time()"})["result"][0])

    def _get(self, path: str, query: dict[str, Any]) -> Any:
        status, answer = self._server.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
        if status != 200 or not isinstance(answer, dict) or answer.get("status") != "success":
            said = answer.get("error", answer) if isinstance(answer, dict) else answer
            raise UsageError(f"{self._server.url} does not answer as a Prometheus (status {status}): {said}")
        return answer["data"]


def check(
    prometheus: Prometheus, expressions: Iterable[Expression], filling: Filling, seconds: float
) -> list[Finding]:
    """Evaluate every expression over the newest `seconds`."""
    end = prometheus.now()
    span = (end - seconds, end)
    names = prometheus.series_names(filling.fill('{job=~"$job"}'), *span)
    return [_check_one(prometheus, expression, filling, span, names) for expression in expressions]


def _check_one(
    prometheus: Prometheus,
    expression: Expression,
    filling: Filling,
    span: tuple[float, float],
    names: frozenset[str],
) -> Finding:
    expr = filling.fill(expression.expr)
    missing = tuple(sorted(set(re.findall(r"[a-zA-Z_]\w*", expr)) & _SERIES - names))
    if expression.where.startswith("variable "):
        found = prometheus.series(expr, *span)
        asked = re.compile(filling.job)
        ours = (labels for labels in found if asked.fullmatch(labels.get("job", "")))
        series = [labels for labels in ours if labels.get(expression.labels[0])]
        return Finding(expression, len(series), "" if series else "no values", missing)
    result = prometheus.query_range(expr, *span)
    series = [row["metric"] for row in result if _has_number(row["values"])]
    return Finding(expression, len(series), _reason(expression, series), missing)


def _reason(expression: Expression, series: list[dict[str, str]]) -> str:
    if not series:
        return "no data"
    lost = [label for label in expression.labels if any(label not in labels for labels in series)]
    return f"no label {', '.join(lost)}" if lost else ""


def _has_number(values: list[tuple[float, str]]) -> bool:
    return any(not math.isnan(float(value)) for _, value in values)
