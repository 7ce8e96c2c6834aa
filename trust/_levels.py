"""Where an answer came from, and which origin outranks which.

From strongest to weakest:

=============  =====================================================================================
primary        the model the app asked for answered this very request
verified       something weaker was re-checked since: on the primary, by a person, or by code
cache_fresh    the primary's own answer to the same question, within its validity
fallback       another model answered; a higher tier is further down the list of fallbacks
cache_stale    the primary's answer, past its validity, served because the app asked for that
unknown        nobody can tell: the lineage was lost, or the origin has a name we do not know
=============  =====================================================================================

A stale answer ranks below a fallback's: a fallback may err, but it read today's question and data.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from penstock.errors import UsageError


class Level(StrEnum):
    """An answer's origin; the words on spans and in metrics. Declared from strongest to weakest."""

    PRIMARY = "primary"
    VERIFIED = "verified"
    CACHE_FRESH = "cache_fresh"
    FALLBACK = "fallback"
    CACHE_STALE = "cache_stale"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, word: str | None) -> "Level":
        """Read the word of a span or a route; a word we do not know is `unknown`, none is `primary`."""
        if word is None:
            return cls.PRIMARY
        return _BY_WORD.get(word, cls.UNKNOWN)

    @classmethod
    def demanded(cls, word: str) -> "Level":
        """Read what a guard requires.

        Raises:
            UsageError: `word` names no level, or `unknown`, which would demand nothing.
        """
        level = _BY_WORD.get(word, cls.UNKNOWN)
        if level is not cls.UNKNOWN:
            return level
        known = ", ".join(word for word in _BY_WORD if word != cls.UNKNOWN)
        raise UsageError(f"requires={word!r} is not a trust level; use one of {known}")

    @property
    def weakness(self) -> int:
        """0 for the strongest."""
        return _WEAKNESS[self]

    def meets(self, required: "Level") -> bool:
        """Whether this is at least as strong as `required`."""
        return self.weakness <= required.weakness


_WEAKNESS = {level: place for place, level in enumerate(Level)}
_BY_WORD = {level.value: level for level in Level}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who gave one answer, and why it was not the primary.

    `tier` counts fallbacks from 1. `instead_of` is the pool that the app asked for.
    """

    level: Level
    pool: str = ""
    model: str = ""
    tier: int = 0
    reason: str = ""
    instead_of: str | None = None
    verified_by: str | None = None

    @property
    def weakness(self) -> tuple[int, int]:
        """Sort key: the weakest origin has the largest."""
        return self.level.weakness, self.tier

    def __str__(self) -> str:
        if self.reason and not (self.pool or self.model):
            return f"{self.level}: {self.reason}"
        who = self.pool or self.model or "an unnamed model"
        told = f"{self.level}: {who} answered"
        if self.tier:
            told = f"{self.level} (tier {self.tier}): {who} answered"
        if self.instead_of and self.instead_of != self.pool:
            told += f" instead of {self.instead_of}"
        if self.verified_by:
            told += f", verified by {self.verified_by}"
        return f"{told} ({self.reason})" if self.reason else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is known of a task's inputs: its level is the weakest of its origins.

    `origins` are the distinct ones, weakest first. Without any the level is `primary`: nothing that
    a model said went in.
    """

    level: Level
    origins: tuple[Origin, ...] = ()
    note: str = ""

    @classmethod
    def from_origins(cls, origins: Iterable[Origin]) -> "Trust":
        """Sum up: the weakest input decides."""
        ranked = tuple(sorted(origins, key=lambda origin: origin.weakness, reverse=True))
        return cls(level=ranked[0].level if ranked else Level.PRIMARY, origins=ranked)

    @property
    def weakest(self) -> Origin | None:
        """Who gave the answer that decides the level."""
        return self.origins[0] if self.origins else None

    def meets(self, required: str) -> bool:
        """Whether every input is at least as strong as `required`."""
        return self.level.meets(Level.demanded(required))

    def __str__(self) -> str:
        return self.note or (str(self.weakest) if self.weakest else f"{self.level}: no model answered yet")
