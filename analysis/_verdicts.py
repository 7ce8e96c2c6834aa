"""Name failures of spans that do not carry our own error attributes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from penstock.classifiers import SpanKind, Verdict, classify, evidence_of_span

Events = Sequence[tuple[str, int | None, Mapping[str, object]]]
Span = tuple[Mapping[str, object], str | None, Events, str | None]
"""Attributes, status message, events, name."""

_KINDS: Final = {
    "tool": SpanKind.TOOL,
    "task": SpanKind.AGENT,
    "operation": SpanKind.LLM,
    "attempt": SpanKind.LLM,
    "http": SpanKind.LLM,
}

_MOST: Final = 10_000


class Judge:
    """Classifies failed spans; our reading of their role goes before the classifier's.

    Failures repeat: what tells the same was judged before, and is not judged again.
    """

    def __init__(self) -> None:
        self._seen: dict[str, Verdict] = {}

    def verdict(
        self, role: str, told: Sequence[object], events: Events, whole: Callable[[], Span]
    ) -> Verdict:
        """Give the verdict of a span. `told` is all that evidence is read from, but for events.

        `whole` gives attributes, status message, events and name; it is asked only when that is needed.
        """
        exceptions = [
            (held.get("exception.type"), held.get("exception.message"))
            for event, _, held in events
            if event == "exception"
        ]
        known = repr((role, exceptions, told))
        if (found := self._seen.get(known)) is None:
            found = judge(role, *whole())
            if len(self._seen) < _MOST:
                self._seen[known] = found
        return found


def judge(
    role: str, attributes: Mapping[str, object], message: str | None, events: Events, name: str | None
) -> Verdict:
    """Classify one failed span."""
    evidence = evidence_of_span(
        attributes,
        message,
        [{"name": event, "attributes": held} for event, _, held in events],
        name=name or "",
    )
    return classify(replace(evidence, span_kind=_KINDS[role]))
