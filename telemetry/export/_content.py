"""Which attributes a span file may hold: an allow-list, since content hides under any name.

A file also sees the app's own spans and those of other instrumentors, several of which record prompts
by default. Who asked for prompts in a backend has not asked for them on disk.
"""

import re
from functools import lru_cache
from typing import Final

_KNOWN: Final = (
    "penstock.", "gen_ai.", "llm.", "openinference.", "traceloop.", "mcp.", "litellm.", "ai.", "mlflow.",
    "langfuse.", "http.request.", "http.response.", "server.", "error.", "rpc.", "service.", "process.",
    "telemetry.", "agent.", "graph.node.", "embedding.model", "cloud.region", "aws.bedrock.", "messaging.",
)  # fmt: skip
_EXACT: Final = frozenset({
    "exception.type", "exception.escaped", "http.status_code", "http.method", "session.id", "tool.name",
    "agent_name", "retry_attempts", "host.name", "logfire.span_type",
})  # fmt: skip
_COUNTS: Final = re.compile(r"usage|token|price|cost", re.IGNORECASE)
_CONTENT: Final = re.compile(
    r"prompt|completion|message|content|instruction|argument|param|result|definition|description|input|output"
    r"|value|query|document|header|body|stacktrace|metadata|association|choices|reasoning|args|schema|function"
    r"|template|ur[il]\b|data\b|\.text|\.tools?\.\d",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def may_keep(key: str) -> bool:
    """Tell whether an attribute of this name is a fact about a call and not what was said in it."""
    if key.startswith("penstock.") or key in _EXACT:
        return True
    if not key.startswith(_KNOWN):
        return False
    return bool(_COUNTS.search(key)) or not _CONTENT.search(key)
