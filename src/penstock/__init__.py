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
    from penstock._runtime import Runtime, instrument, pool, runtime
    from penstock.classifiers import (
        Evidence,
        Verdict,
        classify,
        explain,
        register_rules,
        verdict_of_exception,
    )
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
    from penstock.trust import (
        Codec,
        Ledger,
        Level,
        MemoryLedger,
        Question,
        RedisLedger,
        SqliteLedger,
        Trust,
        cached,
        carry,
        distrust,
        guard,
        idempotency_key,
        irreversible,
        lineage,
        primary_only,
        repeatable,
        resolve,
        trust,
        verified,
    )

_HOMES: Final[dict[str, str]] = {
    "Backpressure": "penstock.errors",
    "Codec": "penstock.trust",
    "Evidence": "penstock.classifiers",
    "Ledger": "penstock.trust",
    "Level": "penstock.trust",
    "LimiterError": "penstock.errors",
    "MemoryLedger": "penstock.trust",
    "OutcomeUnknown": "penstock.errors",
    "PenstockError": "penstock.errors",
    "Question": "penstock.trust",
    "RedisLedger": "penstock.trust",
    "Runtime": "penstock._runtime",
    "SqliteLedger": "penstock.trust",
    "Trust": "penstock.trust",
    "TrustError": "penstock.errors",
    "TrustTooLow": "penstock.errors",
    "UsageError": "penstock.errors",
    "Verdict": "penstock.classifiers",
    "WouldExceedDeadline": "penstock.errors",
    "cached": "penstock.trust",
    "carry": "penstock.trust",
    "classify": "penstock.classifiers",
    "current_task": "penstock.telemetry.tasks",
    "distrust": "penstock.trust",
    "explain": "penstock.classifiers",
    "guard": "penstock.trust",
    "idempotency_key": "penstock.trust",
    "instrument": "penstock._runtime",
    "irreversible": "penstock.trust",
    "lineage": "penstock.trust",
    "pool": "penstock._runtime",
    "primary_only": "penstock.trust",
    "register_rules": "penstock.classifiers",
    "repeatable": "penstock.trust",
    "resolve": "penstock.trust",
    "runtime": "penstock._runtime",
    "task": "penstock.telemetry.tasks",
    "tool": "penstock.telemetry.tools",
    "trust": "penstock.trust",
    "verdict_of_exception": "penstock.classifiers",
    "verified": "penstock.trust",
}

__all__ = [
    "Backpressure",
    "Codec",
    "Evidence",
    "Ledger",
    "Level",
    "LimiterError",
    "MemoryLedger",
    "OutcomeUnknown",
    "PenstockError",
    "Question",
    "RedisLedger",
    "Runtime",
    "SqliteLedger",
    "Trust",
    "TrustError",
    "TrustTooLow",
    "UsageError",
    "Verdict",
    "WouldExceedDeadline",
    "cached",
    "carry",
    "classify",
    "current_task",
    "distrust",
    "explain",
    "guard",
    "idempotency_key",
    "instrument",
    "irreversible",
    "lineage",
    "pool",
    "primary_only",
    "register_rules",
    "repeatable",
    "resolve",
    "runtime",
    "task",
    "tool",
    "trust",
    "verdict_of_exception",
    "verified",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
