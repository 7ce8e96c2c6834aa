"""Sense: every attempt of every SDK, live calls, tasks, tools; as spans and as metrics.

Names load when they are first used: dashboards, alerts and analysis need only the catalogue and the
span contract, and must not pay for the SDKs.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from penstock.telemetry.metering import Metering
    from penstock.telemetry.runtime import Telemetry, TelemetryOptions
    from penstock.telemetry.tasks import TaskScope, current_task, task
    from penstock.telemetry.tools import tool

_HOMES: Final[dict[str, str]] = {
    "Metering": "penstock.telemetry.metering",
    "TaskScope": "penstock.telemetry.tasks",
    "Telemetry": "penstock.telemetry.runtime",
    "TelemetryOptions": "penstock.telemetry.runtime",
    "current_task": "penstock.telemetry.tasks",
    "task": "penstock.telemetry.tasks",
    "tool": "penstock.telemetry.tools",
}

__all__ = ["Metering", "TaskScope", "Telemetry", "TelemetryOptions", "current_task", "task", "tool"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock.telemetry' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
