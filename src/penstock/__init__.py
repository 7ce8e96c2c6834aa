"""Penstock: capacity engineering for LLM applications.

See every attempt, queue before sending, know which answers to trust::

    import penstock

    penstock.instrument()                    # sense: spans, metrics, live levels
    penstock.instrument(limit="enforce")     # act: queue instead of fire-and-retry

Names load when they are first used, so that `import penstock` costs an app next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from penstock._runtime import Runtime, instrument, runtime
    from penstock.errors import (
        Backpressure,
        LimiterError,
        OutcomeUnknown,
        PenstockError,
        TrustError,
        TrustTooLow,
        UsageError,
        WouldExceedDeadline,
    )
    from penstock.telemetry.tasks import current_task, task
    from penstock.telemetry.tools import tool
    from penstock.trust import irreversible

_HOMES: Final[dict[str, str]] = {
    "Backpressure": "penstock.errors",
    "LimiterError": "penstock.errors",
    "OutcomeUnknown": "penstock.errors",
    "PenstockError": "penstock.errors",
    "Runtime": "penstock._runtime",
    "TrustError": "penstock.errors",
    "TrustTooLow": "penstock.errors",
    "UsageError": "penstock.errors",
    "WouldExceedDeadline": "penstock.errors",
    "current_task": "penstock.telemetry.tasks",
    "instrument": "penstock._runtime",
    "irreversible": "penstock.trust",
    "runtime": "penstock._runtime",
    "task": "penstock.telemetry.tasks",
    "tool": "penstock.telemetry.tools",
}

__all__ = [
    "Backpressure",
    "LimiterError",
    "OutcomeUnknown",
    "PenstockError",
    "Runtime",
    "TrustError",
    "TrustTooLow",
    "UsageError",
    "WouldExceedDeadline",
    "current_task",
    "instrument",
    "irreversible",
    "runtime",
    "task",
    "tool",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
