"""What a rule is: conditions on evidence, and what holds when they are met.

All conditions that are given must hold; within one condition any of its values will do. A *signal*
is a machine word wherever it stands: an error code or type, a gRPC status, an exception class, an
errno. `text` is a regular expression over the message's *plain form*: lower case, punctuation gone,
words one space apart; `~` stands for up to five words. The table finds a text by the words that it
cannot do without, which keeps hundreds of them cheap; `words` say so where the pattern does not, and
are a condition of their own: one of them must be said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import pairwise
from typing import Final

from penstock.classifiers._pattern import Pattern
from penstock.classifiers.evidence import SpanKind
from penstock.classifiers.taxonomy import ErrorClass, Fault, SideEffects


class Tier(IntEnum):
    """Kinds of evidence, best first; the first rule that holds decides."""

    OWNER = 0
    SIGNAL = 1
    FINISH = 2
    TEXT = 3
    WEAK_SIGNAL = 4
    STATUS = 5


UNSPECIFIED: Final = "unspecified"
"""The reason of a rule that knows the class only."""

CONFIDENCE: Final = {
    Tier.OWNER: 0.9, Tier.SIGNAL: 0.97, Tier.FINISH: 0.97, Tier.TEXT: 0.85, Tier.WEAK_SIGNAL: 0.8,
    Tier.STATUS: 0.7,
}  # fmt: skip


# Names whose two spellings are two things: a schema's ValidationError, AWS's ValidationException.
_ONE_SPELLING: Final = frozenset({"validation", "timeout", "gatewaytimeout", "internalserver", "jsonparse"})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of the table. `example` is a row it must decide, `counterexample` one it must not."""

    id: str
    tier: Tier
    error_class: ErrorClass
    reason: str
    source: str
    example: Mapping[str, object]
    counterexample: Mapping[str, object]
    providers: frozenset[str] = frozenset()
    spans: frozenset[SpanKind] = frozenset()
    statuses: frozenset[int] = frozenset()
    signals: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()
    finishes: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    text: str = ""
    unless: str = ""
    substrings: tuple[str, ...] = ()
    retryable: bool | None = None
    fault: Fault | None = None
    side_effects: SideEffects | None = None
    limit_dimension: str | None = None
    scope: str | None = None

    @cached_property
    def keys(self) -> frozenset[str]:
        """`signals` as evidence spells them."""
        return frozenset(spelling for signal in self.signals for spelling in spellings(signal))

    @cached_property
    def pattern(self) -> Pattern | None:
        """`text`, compiled when it is first needed."""
        return Pattern(self.text) if self.text else None

    @cached_property
    def exclusion(self) -> Pattern | None:
        """`unless`, compiled when it is first needed."""
        return Pattern(self.unless) if self.unless else None


def signal_key(word: str) -> str:
    """Fold the spellings of one signal: `ThrottlingException`, `throttlingException`."""
    return word.lower().replace("-", "_")


def spellings(signal: str) -> tuple[str, ...]:
    """Give the keys of one signal: `RateLimitError` in one language is `RateLimitException` in another."""
    key = signal_key(signal)
    for end, other in (("Error", "exception"), ("Exception", "error")):
        stem = signal.removesuffix(end).lower()
        if signal.endswith(end) and stem and stem not in _ONE_SPELLING:
            return key, stem + other
    return (key,)


def stands_out(signal: str) -> bool:
    """Tell whether a signal can be recognised in running text.

    `rate_limit_exceeded`, `APITimeoutError` and `ECONNRESET` can; `Timeout`, `tokens` and
    `UNAVAILABLE` are words that people write.
    """
    humps = sum(1 for a, b in pairwise(signal) if b.isupper() and not a.isupper())
    errno = signal.isupper() and signal.startswith(("E", "UND")) and len(signal) > 5
    named = signal.endswith(("Error", "Exception")) and len(signal) >= 8
    return "_" in signal or named or humps >= 2 or (humps == 1 and len(signal) >= 9) or errno


def rule(
    name: str,
    verdict: str,
    *,
    tier: Tier,
    source: str,
    example: str | Mapping[str, object],
    not_example: str | Mapping[str, object],
    providers: str = "",
    spans: str = "",
    statuses: str = "",
    signals: str = "",
    headers: str = "",
    finishes: str = "",
    words: str = "",
    text: str = "",
    unless: str = "",
    substrings: tuple[str, ...] = (),
    retryable: bool | None = None,
    fault: str = "",
    side_effects: str = "",
    limit_dimension: str = "",
    scope: str = "",
) -> Rule:
    """Make a rule from how tables spell it: `class.reason`, sets as words apart, texts as messages.

    Raises:
        ValueError: for a class, span kind, fault or side effect that does not exist.
    """
    error_class, _, reason = verdict.partition(".")
    return Rule(
        id=name,
        tier=tier,
        error_class=ErrorClass(error_class),
        reason=reason or UNSPECIFIED,
        source=source,
        example=_row(example),
        counterexample=_row(not_example),
        providers=frozenset(providers.split()),
        spans=frozenset(SpanKind(span) for span in spans.split()),
        statuses=frozenset(int(status) for status in statuses.split()),
        signals=frozenset(signals.split()),
        headers=frozenset(headers.split()),
        finishes=frozenset(signal_key(finish) for finish in finishes.split()),
        words=frozenset(words.split()),
        text=text,
        unless=unless,
        substrings=tuple(part.lower() for part in substrings),
        retryable=retryable,
        fault=Fault(fault) if fault else None,
        side_effects=SideEffects(side_effects) if side_effects else None,
        limit_dimension=limit_dimension or None,
        scope=scope or None,
    )


def _row(example: str | Mapping[str, object]) -> Mapping[str, object]:
    return {"message": example} if isinstance(example, str) else example
