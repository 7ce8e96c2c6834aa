"""One span as its format tells it, before anyone knows what its attributes mean."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

Attributes = Mapping[str, object]
Event = tuple[str, int | None, Attributes]
Column = Sequence[object]


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
