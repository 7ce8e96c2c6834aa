"""What a dashboard is, before Grafana: boards of rows of panels of queries."""

from dataclasses import dataclass
from enum import StrEnum

from penstock.telemetry.objectives import Objective


class Kind(StrEnum):
    """How a panel draws."""

    LINES = "timeseries"
    STACK = "stack"
    STAT = "stat"
    HEATMAP = "heatmap"
    STATES = "state-timeline"
    TABLE = "table"
    ALERTS = "alertlist"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression. `legend` is a Grafana legend such as `{{pool}}`; `dashed` draws a limit.

    `exemplars` asks for the traces behind a histogram's observations.
    """

    expr: str
    legend: str
    dashed: bool = False
    exemplars: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One question.

    `meaning` says what is seen, `action` what to do about it; together they are the description.
    `objective` colours it and is what the alert named `alert` fires on. `needs` names what must be
    in use for the panel to have data, where that is not every app. `width` is in Grafana's 24ths,
    `height` in its units. `states` maps values to words.
    """

    title: str
    kind: Kind
    meaning: str
    action: str
    unit: str = "none"
    queries: tuple[Query, ...] = ()
    objective: Objective | None = None
    alert: str = ""
    needs: str = ""
    width: int = 8
    height: int = 8
    maximum: float | None = None
    states: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that belong together."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard. `uid` is also its file's name."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
