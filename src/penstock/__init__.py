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

_HOMES: Final[dict[str, str]] = {
    "Backpressure": "penstock.errors",
    "LimiterError": "penstock.errors",
    "OutcomeUnknown": "penstock.errors",
    "PenstockError": "penstock.errors",
    "TrustError": "penstock.errors",
    "TrustTooLow": "penstock.errors",
    "UsageError": "penstock.errors",
    "WouldExceedDeadline": "penstock.errors",
}

__all__ = [
    "Backpressure",
    "LimiterError",
    "OutcomeUnknown",
    "PenstockError",
    "TrustError",
    "TrustTooLow",
    "UsageError",
    "WouldExceedDeadline",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
