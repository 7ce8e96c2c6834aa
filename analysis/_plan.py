"""Where each attribute goes, worked out once for all spans with the same attribute names and types.

An instrumentation writes few shapes of spans, and going through a dictionary attribute by attribute
is most of what reading costs.
"""

from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from penstock.analysis._columns import COLUMNS, INDEX
from penstock.analysis._dialect import dialects
from penstock.analysis._values import NATIVE, READERS

Roles = tuple[tuple[str, dict[str, str]], ...]

BASE: Final = tuple(
    INDEX[name]
    for name in (
        "trace_id", "span_id", "parent_id", "name", "kind", "start_ns", "end_ns", "status", "status_message",
        "service", "instance", "scope", "source", "record",
    )
)  # fmt: skip
"""The columns that do not come from attributes, in the order in which they are handed over."""

COLUMN_OF: Final = dialects().columns
JSON_OF: Final = dialects().json
ROLES: Final[Roles] = dialects().roles
MILLISECONDS: Final = {"ai.response.msToFirstChunk": 1e-3}
_FIRST: Final = 1 + len(BASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """Builds rows from `(None, *base, *attribute values)`."""

    pick: Any
    texts: tuple[int, ...]
    converts: tuple[tuple[int, Any], ...]
    rest_keys: tuple[str, ...]
    rest_at: tuple[int, ...]
    roles: Roles

    def fill(self, values: tuple[object, ...]) -> list[object] | None:
        """Lay out a row; None when a value needs a closer look than its type tells."""
        row = list(self.pick(values))
        for index in self.texts:
            if row[index][:1] in '["':
                return None
        for index, read in self.converts:
            if (found := read(row[index])) is None:
                return None
            row[index] = found
        return row

    def rest(self, values: tuple[object, ...]) -> dict[str, object]:
        """Give the attributes that have no column."""
        return {key: values[at] for key, at in zip(self.rest_keys, self.rest_at, strict=True)}


def compile_plan(keys: tuple[str, ...], types: tuple[type, ...]) -> Plan | None:
    """Work out a plan; None for shapes that hold JSON or need arithmetic."""
    if any(key in JSON_OF or key in MILLISECONDS for key in keys):
        return None
    best: dict[int, tuple[int, int]] = {}
    for position, (key, kind) in enumerate(zip(keys, types, strict=True)):
        if kind is not type(None) and (rule := COLUMN_OF.get(key)):
            index, rank = rule
            best[index] = min(best.get(index, (rank, position)), (rank, position))
    places = [0] * len(COLUMNS)
    for offset, index in enumerate(BASE):
        places[index] = 1 + offset
    texts, converts = [], []
    for index, (_, position) in best.items():
        places[index] = _FIRST + position
        if NATIVE[index] is not types[position]:
            converts.append((index, READERS[index]))
        elif types[position] is str:
            texts.append(index)
    taken = {position for _, position in best.values()}
    rest = [
        position for position, kind in enumerate(types) if position not in taken and kind is not type(None)
    ]
    return Plan(
        pick=itemgetter(*places),
        texts=tuple(texts),
        converts=tuple(converts),
        rest_keys=tuple(keys[position] for position in rest),
        rest_at=tuple(_FIRST + position for position in rest),
        roles=tuple(rule for rule in ROLES if rule[0] in keys),
    )
