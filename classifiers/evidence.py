"""Evidence in, verdict out: the two shapes every room exchanges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from penstock.classifiers._envelope import Envelope
from penstock.classifiers.taxonomy import (
    CLASSES,
    TAXONOMY_VERSION,
    ErrorClass,
    Fault,
    Group,
    Layer,
    SideEffects,
)


class SpanKind(StrEnum):
    """Which kind of work failed. Ownership goes before content: a tool's 429 is a tool error."""

    LLM = "llm"
    TOOL = "tool"
    AGENT = "agent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything known about one failure, gathered by an extractor. All optional.

    `exception_types` are the names in method resolution order, outermost exception first, without
    modules. `code`, `type` and `message` are the innermost error envelope's fields where the
    extractor found one. `body` is a decoded JSON value or text. Header names are lower case.
    `finish_reason` is what an answer with status 200 ended with; `stream_started` is true once a
    byte of the answer was read. `now_unix` is when the failure was seen: dates and epochs in
    Retry-After are measured from it. `reading` is what an extractor read in `body` already: it counts
    for that very object only.
    """

    provider: str | None = None
    span_kind: SpanKind = SpanKind.UNKNOWN
    status: int | None = None
    code: str | None = None
    type: str | None = None
    message: str | None = None
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    exception_types: tuple[str, ...] = ()
    finish_reason: str | None = None
    framework: str | None = None
    stream_started: bool = False
    now_unix: float | None = None
    reading: Envelope | None = field(default=None, repr=False, compare=False)


class Verdict(NamedTuple):
    """What a failure was.

    `retry_after` is in seconds. `limit_dimension` is one of requests_per_minute, tokens_per_minute,
    …, concurrency, billing, shared_pool. `confidence` runs from 0 to 1. `evidence` names what
    decided, as `field=value` or a rule id, never text of a prompt.
    """

    error_class: ErrorClass
    reason: str
    retryable: bool
    fault: Fault
    side_effects: SideEffects
    retry_after: float | None = None
    limit_dimension: str | None = None
    scope: str | None = None
    evidence: tuple[str, ...] = ()
    confidence: float = 1.0
    taxonomy_version: str = TAXONOMY_VERSION

    @property
    def group(self) -> Group:
        """The word people filter by."""
        return CLASSES[self.error_class].group

    @property
    def layer(self) -> Layer:
        """What to fix."""
        return CLASSES[self.error_class].layer
