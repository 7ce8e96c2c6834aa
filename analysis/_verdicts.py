"""Name failures of spans that do not carry our own error attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from penstock.classifiers import SPAN_KEYS, SpanKind, Verdict, classify, evidence_of_span

_KINDS: Final = {
    "tool": SpanKind.TOOL,
    "task": SpanKind.AGENT,
    "operation": SpanKind.LLM,
    "attempt": SpanKind.LLM,
    "http": SpanKind.LLM,
}

_MOST: Final = 10_000
_SEEN: Final[dict[object, Verdict]] = {}
"""Failures repeat: the same words were judged before."""


def judge(
    role: str,
    attributes: Mapping[str, object],
    message: str | None,
    events: Sequence[tuple[str, int | None, Mapping[str, object]]],
    name: str | None,
) -> Verdict:
    """Classify one failed span; our reading of its role goes before the classifier's."""
    exceptions = [
        (repr(held.get("exception.type")), repr(held.get("exception.message")))
        for event, _, held in events
        if event == "exception"
    ]
    told = [None if (held := attributes.get(key)) is None else repr(held) for key in SPAN_KEYS]
    known = (role, name, message, *exceptions, *told)
    verdict = _SEEN.get(known)
    if verdict is None:
        verdict = _judge(role, attributes, message, events, name)
        if len(_SEEN) < _MOST:
            _SEEN[known] = verdict
    return verdict


def _judge(
    role: str,
    attributes: Mapping[str, object],
    message: str | None,
    events: Sequence[tuple[str, int | None, Mapping[str, object]]],
    name: str | None,
) -> Verdict:
    evidence = evidence_of_span(
        attributes,
        message,
        [{"name": event, "attributes": held} for event, _, held in events],
        name=name or "",
    )
    return classify(replace(evidence, span_kind=_KINDS[role]))
