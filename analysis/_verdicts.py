"""Name failures of spans that do not carry our own error attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from penstock.classifiers import SpanKind, Verdict, classify, evidence_of_span

_KINDS: Final = {
    "tool": SpanKind.TOOL,
    "task": SpanKind.AGENT,
    "operation": SpanKind.LLM,
    "attempt": SpanKind.LLM,
    "http": SpanKind.LLM,
}

_MOST: Final = 10_000
_SEEN: Final[dict[object, Verdict]] = {}
"""Failures repeat: the same words were judged before. (Headers and body come from these words.)"""


def judge(
    role: str,
    attributes: Mapping[str, object],
    message: str | None,
    events: Sequence[tuple[str, int | None, Mapping[str, object]]],
    name: str | None,
) -> Verdict:
    """Classify one failed span; our reading of its role goes before the classifier's."""
    evidence = evidence_of_span(
        attributes,
        message,
        [{"name": event, "attributes": held} for event, _, held in events],
        name=name or "",
    )
    known = (
        role, evidence.provider, evidence.status, evidence.code, evidence.type, evidence.message,
        evidence.exception_types, evidence.finish_reason, evidence.stream_started,
    )  # fmt: skip
    verdict = _SEEN.get(known)
    if verdict is None:
        verdict = classify(replace(evidence, span_kind=_KINDS[role]))
        if len(_SEEN) < _MOST:
            _SEEN[known] = verdict
    return verdict
