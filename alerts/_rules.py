"""The one spec: recordings and alerts on one clock."""

from typing import Final

from penstock.alerts._capacity import capacity_alerts
from penstock.alerts._correctness import correctness_alerts
from penstock.alerts._recordings import recordings, slow_recordings
from penstock.alerts._spec import Clock, RuleSet
from penstock.errors import UsageError

RUNBOOKS: Final = "docs/runbooks"


def rule_set(time_scale: float = 1.0, *, runbooks: str = RUNBOOKS, grafana: str = "") -> RuleSet:
    """Return all rules, with every duration multiplied by `time_scale`.

    Raises:
        UsageError: if `time_scale` is not above 0 and at most 1.
    """
    if not 0 < time_scale <= 1:
        raise UsageError(f"time scale is {time_scale:g}; give one above 0 and at most 1, such as 0.0167")
    clock = Clock(time_scale)
    return RuleSet(
        recordings=recordings(clock),
        slow_recordings=slow_recordings(clock),
        alerts=(*capacity_alerts(clock), *correctness_alerts(clock)),
        clock=clock,
        runbooks=runbooks.rstrip("/"),
        grafana=grafana.rstrip("/"),
    )
