"""Spans as their format tells them, before anyone knows what their attributes mean."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

Attributes = Mapping[str, object]
Event = tuple[str, int | None, Attributes]
Column = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Coded(Sequence[Any]):
    """A column of few values: each once, and for every row the place of its value."""

    codes: bytes
    values: Column

    @classmethod
    def of(cls, column: Column) -> "Coded | None":
        """Code a column of hashable values; None when more than 256 of them differ."""
        places: dict[Any, int] = defaultdict(count().__next__)
        try:
            return cls(bytes(map(places.__getitem__, column)), list(places))
        except ValueError:
            return None

    def __len__(self) -> int:
        """Say how many rows there are."""
        return len(self.codes)

    def __iter__(self) -> Iterator[Any]:
        """Go through the values of all rows."""
        return map(self.values.__getitem__, self.codes)

    def __getitem__(self, row: Any) -> Any:
        """Give the value of one row."""
        return self.values[self.codes[row]]


class Origin(NamedTuple):
    """What all spans of one batch share."""

    service: str | None
    instance: str | None
    scope: str | None
    source: int
    record: int


class RawSpan(msgspec.Struct, gc=False):
    """A span.

    Ids are in whatever encoding they travelled; times are nanoseconds; `status` is OTLP's code; an event
    is name, time and attributes. `values` go with `keys`.
    """

    origin: Origin
    ids: tuple[object, object, object]
    name: str | None
    kind: int
    start_ns: int | None
    end_ns: int | None
    status: int
    message: str | None
    keys: tuple[str, ...]
    values: Column
    events: Sequence[Event] = ()
    trace_state: str | None = None

    @property
    def attributes(self) -> Attributes:
        """Give attributes by name; the first of a repeated key wins."""
        return dict(zip(reversed(self.keys), reversed(self.values), strict=True))


class Told(NamedTuple):
    """What spans tell besides attributes, by column."""

    origins: list[Origin]
    traces: list[object]
    ids: list[object]
    parents: list[object]
    names: list[str | None]
    kinds: list[int]
    starts: list[int | None]
    ends: list[int | None]
    statuses: list[int]
    messages: list[str | None]
    trace_states: list[str | None]


@dataclass(slots=True)
class Rows:
    """Spans with the same attribute names, by column. `events` has only the rows with events."""

    keys: tuple[str, ...]
    values: list[Column]
    told: Told
    events: dict[int, Sequence[Event]]

    def __len__(self) -> int:
        """Say how many spans there are."""
        return len(self.told.origins)

    def extend(self, other: "Rows") -> None:
        """Add spans with the same attribute names."""
        count = len(self)
        mine: list[Column] = [*self.values, *self.told]
        more: list[Column] = [*other.values, *other.told]
        joined = [[*first, *second] for first, second in zip(mine, more, strict=True)]
        self.values, self.told = list(joined[: len(self.keys)]), Told._make(joined[len(self.keys) :])
        self.events.update({count + row: events for row, events in other.events.items()})

    def pick(self, rows: Sequence[int]) -> "Rows":
        """Give some of the spans."""
        return Rows(
            self.keys,
            [[column[row] for row in rows] for column in self.values],
            Told._make([column[row] for row in rows] for column in self.told),
            {at: self.events[row] for at, row in enumerate(rows) if row in self.events},
        )

    def span(self, row: int) -> RawSpan:
        """Give one span."""
        told = self.told
        return RawSpan(
            told.origins[row], (told.traces[row], told.ids[row], told.parents[row]), told.names[row],
            told.kinds[row], told.starts[row], told.ends[row], told.statuses[row], told.messages[row],
            self.keys, [column[row] for column in self.values], self.events.get(row, ()),
            told.trace_states[row],
        )  # fmt: skip


def rows_of(spans: Sequence[RawSpan]) -> Rows:
    """Turn spans with the same attribute names into columns."""
    columns = [list(map(part, spans)) for part in _PARTS]
    columns[1:2] = map(list, zip(*columns[1], strict=True))  # ids
    return Rows(
        spans[0].keys,
        [list(column) for column in zip(*[span.values for span in spans], strict=True)],
        Told._make(columns),
        {row: span.events for row, span in enumerate(spans) if span.events},
    )


_PARTS: Final = tuple(
    attrgetter(part)
    for part in ("origin", "ids", "name", "kind", "start_ns", "end_ns", "status", "message", "trace_state")
)


def raw_span(
    origin: Origin,
    ids: tuple[object, object, object],
    name: str | None,
    kind: int,
    times: tuple[int | None, int | None],
    status: tuple[int, str | None],
    attributes: Attributes,
    events: Sequence[Event] = (),
    trace_state: str | None = None,
) -> RawSpan:
    """Make a span of plain attributes."""
    keys, values = tuple(attributes), tuple(attributes.values())
    return RawSpan(origin, ids, name, kind, *times, *status, keys, values, events, trace_state)
