"""Look back: what failed, which layer, how many calls were live, what the quota was.

Nothing here is imported by an app that is being observed; each name loads when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from penstock.analysis._clickhouse import schema
    from penstock.analysis.answer import Answer, Table
    from penstock.analysis.spans import Selection, Spans, open_spans
    from penstock.analysis.verbs.bursts import bursts
    from penstock.analysis.verbs.compare import compare
    from penstock.analysis.verbs.concurrency import concurrency
    from penstock.analysis.verbs.errors import errors
    from penstock.analysis.verbs.export import export
    from penstock.analysis.verbs.fanout import fanout
    from penstock.analysis.verbs.plan import Load, plan
    from penstock.analysis.verbs.quality import quality
    from penstock.analysis.verbs.quota import quota
    from penstock.analysis.verbs.replay import WhatIf, replay
    from penstock.analysis.verbs.report import report
    from penstock.analysis.verbs.sql import sql
    from penstock.analysis.verbs.storms import storms
    from penstock.analysis.verbs.summary import summary
    from penstock.analysis.verbs.trust import trust

_HOMES: Final[dict[str, str]] = {
    "Answer": "answer",
    "Load": "verbs.plan",
    "Selection": "spans",
    "Spans": "spans",
    "Table": "answer",
    "WhatIf": "verbs.replay",
    "bursts": "verbs.bursts",
    "compare": "verbs.compare",
    "concurrency": "verbs.concurrency",
    "errors": "verbs.errors",
    "export": "verbs.export",
    "fanout": "verbs.fanout",
    "plan": "verbs.plan",
    "quality": "verbs.quality",
    "quota": "verbs.quota",
    "replay": "verbs.replay",
    "report": "verbs.report",
    "schema": "_clickhouse",
    "sql": "verbs.sql",
    "storms": "verbs.storms",
    "summary": "verbs.summary",
    "trust": "verbs.trust",
    "open_spans": "spans",
}

__all__ = [
    "Answer",
    "Load",
    "Selection",
    "Spans",
    "Table",
    "WhatIf",
    "bursts",
    "compare",
    "concurrency",
    "errors",
    "export",
    "fanout",
    "open_spans",
    "plan",
    "quality",
    "quota",
    "replay",
    "report",
    "schema",
    "sql",
    "storms",
    "summary",
    "trust",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock.analysis' has no attribute {name!r}")
    return getattr(importlib.import_module(f"penstock.analysis.{home}"), name)
