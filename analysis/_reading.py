"""What reading a file came to, without anything that reads: the store keeps it, the quality box tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from penstock.analysis.formats._sink import Sink

KEPT_PLACES: Final = 20


@dataclass(frozen=True, slots=True)
class Bad:
    """A record, or a span in it, that could not be read. `offset` is in decompressed bytes."""

    offset: int
    reason: str


@dataclass(slots=True)
class Decoded:
    """What a file, or a part of it, came to so far.

    `consumed` is where reading may resume: after the last whole record. `records` counts recognised
    records, `spans` the spans handed out.
    """

    records: int = 0
    spans: int = 0
    bad_count: int = 0
    bad: list[Bad] = field(default_factory=list)
    truncated_at: int | None = None
    broken: str | None = None
    foreign: str | None = None
    consumed: int = 0
    file_bytes: int = 0

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Decoded":
        """Read what a manifest kept."""
        return cls(**{**kept, "bad": [Bad(**place) for place in kept.get("bad", ())]})

    def add(self, sink: "Sink") -> None:
        """Count one chunk."""
        self.records += sink.records
        self.spans += sink.count
        self.bad_count += sink.bad_count
        self.bad = [*self.bad, *sink.bad][:KEPT_PLACES]
        self.foreign = sink.foreign or self.foreign
        if sink.truncated_at is not None:
            self.truncated_at = sink.truncated_at

    def merge(self, other: "Decoded") -> None:
        """Add what another part of the same file came to."""
        self.records += other.records
        self.spans += other.spans
        self.bad_count += other.bad_count
        self.bad = [*self.bad, *other.bad][:KEPT_PLACES]
        self.foreign = other.foreign or self.foreign
        self.broken = other.broken or self.broken
        if other.truncated_at is not None:
            self.truncated_at = other.truncated_at
        self.consumed = max(self.consumed, other.consumed)
