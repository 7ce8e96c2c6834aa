"""Spans -> columns. Spans with the same attribute names are laid out together, column by column.

An instrumentation writes few shapes of spans: where each attribute goes is worked out once a shape, and
values move in whole columns. Spans of rare shapes, or with values that need a closer look than their
type tells, are read one by one, which is also the reference: both ways give the same columns.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from penstock.analysis._columns import INDEX
from penstock.analysis._dialect import dialects
from penstock.analysis._ids import SPAN_DIGITS, TRACE_DIGITS, hex_ids
from penstock.analysis._raw import Attributes, Coded, Column, Event, RawSpan, Rows, Told, rows_of
from penstock.analysis._values import READERS, as_json_lines, read_all

BASE: Final = tuple(
    INDEX[name]
    for name in (
        "trace_id", "span_id", "parent_id", "name", "kind", "start_ns", "end_ns", "status", "status_message",
        "service", "instance", "scope", "source", "record",
    )
)  # fmt: skip
"""The columns that do not come from attributes, in the order in which a raw span holds them."""
FEWEST: Final = 8
"""Fewer spans of one shape than this are not worth a layout of their own."""
_DIALECTS: Final = dialects()
_MILLISECONDS: Final = {"ai.response.msToFirstChunk": 1e-3}
_FIRST_TOKEN, _ATTRS = INDEX["first_token_seconds"], INDEX["attrs"]
_JSON_RANK: Final = 1.5
"""What is inside a JSON attribute comes behind the first two spellings of its own."""
_Found = tuple[float, int, object, str, object]
"""Rank, column, value as the column has it, attribute, value as it came."""


@dataclass(frozen=True, slots=True)
class Block:
    """Spans laid out by column. A column that none of them fills may be absent.

    `said` gives the values of an attribute by its name, None when no span has it; `span` one whole span.
    """

    told: Told
    events: Mapping[int, Sequence[Event]]
    columns: dict[int, Column]
    said: Callable[[str], Column | None]
    span: Callable[[int], RawSpan]

    def __len__(self) -> int:
        """Say how many spans there are."""
        return len(self.told.origins)

    def column(self, index: int) -> Column:
        """Give a column, blank when it is absent."""
        found = self.columns.get(index)
        return [None] * len(self) if found is None else found


@dataclass(frozen=True, slots=True)
class _Shape:
    """Which attribute (by position) fills which column, and which ones have no column.

    `rest` is made of their values to be written as JSON.
    """

    columns: tuple[tuple[int, int], ...]
    others: tuple[int, ...]
    rest: type[msgspec.Struct]


def lay_out(groups: Iterable[Rows], others: Sequence[RawSpan]) -> list[Block]:
    """Lay out spans, those of one shape together."""
    shapes: dict[tuple[str, ...], list[RawSpan]] = defaultdict(list)
    for span in others:
        shapes[span.keys].append(span)
    blocks: list[Block] = []
    single: list[RawSpan] = []
    for rows in (*groups, *map(rows_of, shapes.values())):
        shape = _shape(rows.keys) if len(rows) >= FEWEST else None
        block, odd = (None, range(len(rows))) if shape is None else _together(rows, shape)
        single += map(rows.span, odd)
        if block is not None:
            blocks.append(block)
    return [*blocks, one_by_one(single)] if single else blocks


def one_by_one(spans: Sequence[RawSpan]) -> Block:
    """Lay out spans of any shape."""
    attributes = [span.attributes for span in spans]
    found = [_promote(held) for held in attributes]
    filled = {index for row, _ in found for index in row}
    columns: dict[int, Column] = {index: [row.get(index) for row, _ in found] for index in filled}
    texts = as_json_lines([rest for _, rest in found])
    columns[_ATTRS] = [text if rest else None for text, (_, rest) in zip(texts, found, strict=True)]
    rows = rows_of([msgspec.structs.replace(span, keys=(), values=()) for span in spans])

    def said(name: str) -> Column:
        return [held.get(name) for held in attributes]

    return Block(rows.told, rows.events, columns | _base(rows.told), said, spans.__getitem__)


def _base(told: Told) -> dict[int, Column]:
    trace_ids = hex_ids(told.traces, TRACE_DIGITS)
    return dict(zip(BASE, (
        trace_ids, hex_ids(told.ids, SPAN_DIGITS), hex_ids(told.parents, SPAN_DIGITS),
        told.names, told.kinds, told.starts, told.ends, told.statuses, told.messages,
        *zip(*told.origins, strict=True),
    ), strict=True))  # fmt: skip


@lru_cache(maxsize=4096)
def _shape(keys: tuple[str, ...]) -> _Shape | None:
    """Work out a shape; None for those that hold JSON, need arithmetic, repeat a name or have an odd one."""
    if len(set(keys)) < len(keys) or any(key in _DIALECTS.json or key in _MILLISECONDS for key in keys):
        return None
    if any(mark in key or not key.isprintable() for key in keys for mark in ('"', "\\")):
        return None  # no name for a field
    best: dict[int, tuple[int, int]] = {}
    for position, key in enumerate(keys):
        if rule := _DIALECTS.columns.get(key):
            index, rank = rule
            best[index] = min(best.get(index, (rank, position)), (rank, position))
    taken = {position for _, position in best.values()}
    others = tuple(position for position in range(len(keys)) if position not in taken)
    rest = msgspec.defstruct(
        "Rest", [f"value_{i}" for i in others], rename={f"value_{i}": keys[i] for i in others}, gc=False
    )
    return _Shape(tuple((index, position) for index, (_, position) in best.items()), others, rest)


def _together(rows: Rows, shape: _Shape) -> tuple[Block | None, Iterable[int]]:
    """Lay out spans of one shape; return those too whose values need a closer look."""
    columns: dict[int, Column] = {
        index: read_all(index, rows.values[place]) for index, place in shape.columns
    }
    read = [columns[index] for index, place in shape.columns if columns[index] is not rows.values[place]]
    rest = [rows.values[place] for place in shape.others]
    if doubtful := [column for column in (*read, *rest) if _has_none(column)]:
        odd = {row for column in doubtful for row, value in enumerate(column) if value is None}
        plain = [row for row in range(len(rows)) if row not in odd]
        return (_together(rows.pick(plain), shape)[0] if plain else None), odd
    if rest:
        columns[_ATTRS] = as_json_lines(list(map(shape.rest, *rest)))
    said = dict(zip(rows.keys, rows.values, strict=True)).get
    return Block(rows.told, rows.events, columns | _base(rows.told), said, rows.span), ()


def _has_none(column: Column) -> bool:
    column = column.values if isinstance(column, Coded) else column
    return type(None) in set(map(type, column))  # quicker than `in`, which compares


def _promote(attributes: Attributes) -> tuple[dict[int, object], dict[str, object]]:
    """Move known attributes of one span into columns, best spelling first; return the others too."""
    row: dict[int, object] = {}
    rest: dict[str, object] = {}
    found: list[_Found] = []
    for key, value in attributes.items():
        if (rule := _DIALECTS.columns.get(key)) is not None:
            index, rank = rule
            if (read := READERS[index](value)) is not None:
                found.append((rank, index, read, key, value))
            elif value is not None and value != "":
                rest[key] = value
        elif key in _DIALECTS.json:
            found += _from_json(key, value)
            rest[key] = value
        elif key in _MILLISECONDS and isinstance(value, int | float):
            found.append((0, _FIRST_TOKEN, value * _MILLISECONDS[key], key, value))
        elif value is not None:
            rest[key] = value
    found.sort(key=lambda one: one[0])
    for _, index, read, key, value in found:
        if index not in row:
            row[index] = read
        elif key not in _DIALECTS.json:
            rest[key] = value
    return row, rest


def _from_json(key: str, value: object) -> list[_Found]:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return []
    if not isinstance(value, Mapping):
        return []
    found: list[_Found] = []
    for name, index in _DIALECTS.json[key].items():
        if (read := READERS[index](value.get(name))) is not None:
            found.append((_JSON_RANK, index, read, key, value))
    return found
