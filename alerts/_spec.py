"""What an alert is, before any format: rules over the catalogue, with every duration on one clock."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ON_POOL: Final = "on {{ $labels.pool }} ({{ $labels.job }})"
PERCENT: Final = "{{ $value | humanizePercentage }}"
"""Words of summaries, as Prometheus fills them in."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"^(\d+)([smhd])$")


class Severity(StrEnum):
    """`critical` wakes somebody, `warning` is looked at today."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Clock:
    """Turns the spec's durations into those of a rule file.

    `scale` multiplies each: 1/60 turns hours into minutes, so that a test sees in a minute what
    takes an hour. Record names keep their nominal windows.
    """

    scale: float = 1.0

    def seconds(self, nominal: str) -> float:
        """Return the scaled duration in seconds.

        Raises:
            ValueError: if `nominal` is not a number and one of s, m, h, d.
        """
        match = _DURATION.match(nominal)
        if match is None:
            raise ValueError(f"not a duration: {nominal!r}; write one such as 5m")
        return int(match[1]) * _UNITS[match[2]] * self.scale

    def __call__(self, nominal: str) -> str:
        """Return the scaled duration as Prometheus writes it; at scale 1 as it is."""
        seconds = self.seconds(nominal)
        if self.scale == 1 or not seconds:
            return nominal
        milliseconds = max(1, round(seconds * 1000))
        return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


@dataclass(frozen=True, slots=True)
class Recording:
    """A ratio or level computed ahead, named level:metric:operation."""

    name: str
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One condition that somebody must hear of.

    `summary` and `description` are Prometheus templates. `hold` is how long the condition must last,
    `keep` how long the alert outlives it. `board` is the dashboard to open.
    """

    name: str
    expr: str
    severity: Severity
    hold: str
    keep: str
    summary: str
    description: str
    board: str


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything that is shipped: recordings by how often they run, and the alerts.

    `runbooks` is the folder or URL of the runbook pages, `grafana` the URL that dashboards hang below.
    """

    recordings: tuple[Recording, ...]
    slow_recordings: tuple[Recording, ...]
    alerts: tuple[Alert, ...]
    clock: Clock
    runbooks: str
    grafana: str
