"""Look back: what failed, which layer, how many calls were live, what the quota was.

Nothing here is imported by an app that is being observed; each name loads when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from penstock.analysis.answer import Answer, Table
    from penstock.analysis.spans import Selection, Spans, open_spans
    from penstock.analysis.verbs.concurrency import concurrency
    from penstock.analysis.verbs.errors import errors
    from penstock.analysis.verbs.summary import summary

_HOMES: Final[dict[str, str]] = {
    "Answer": "answer",
    "Selection": "spans",
    "Spans": "spans",
    "Table": "answer",
    "concurrency": "verbs.concurrency",
    "errors": "verbs.errors",
    "open_spans": "spans",
    "summary": "verbs.summary",
}

__all__ = ["Answer", "Selection", "Spans", "Table", "concurrency", "errors", "open_spans", "summary"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock.analysis' has no attribute {name!r}")
    return getattr(importlib.import_module(f"penstock.analysis.{home}"), name)
