"""Spans -> columns. Spans with the same attribute names are laid out together, column by column.

An instrumentation writes few shapes of spans: where each attribute goes is worked out once a shape, and
values move in whole columns. Spans of rare shapes, or with values that need a closer look than their
type tells, are read one by one, which is also the reference: both ways give the same columns.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from penstock.analysis._columns import INDEX
from penstock.analysis._dialect import dialects
from penstock.analysis._ids import SPAN_DIGITS, TRACE_DIGITS, hex_ids
from penstock.analysis._raw import Attributes, Column, RawSpan
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

    `said` gives the values of an attribute by its name, None when no span has it.
    """

    spans: Sequence[RawSpan]
    columns: dict[int, Column]
    said: Callable[[str], Column | None]

    def column(self, index: int) -> Column:
        """Give a column, blank when it is absent."""
        found = self.columns.get(index)
        return [None] * len(self.spans) if found is None else found


@dataclass(frozen=True, slots=True)
class _Shape:
    """Which attribute (by position) fills which column, and which ones have no column."""

    columns: tuple[tuple[int, int], ...]
    rest: tuple[int, ...]


def lay_out(spans: Sequence[RawSpan]) -> list[Block]:
    """Lay out spans, those of one shape together."""
    groups: dict[tuple[str, ...], list[RawSpan]] = defaultdict(list)
    for span in spans:
        groups[span.keys].append(span)
    blocks: list[Block] = []
    single: list[RawSpan] = []
    for keys, held in groups.items():
        shape = _shape(keys) if len(held) >= FEWEST else None
        block, odd = (None, held) if shape is None else _together(shape, held)
        single += odd
        if block is not None:
            blocks.append(block)
    return [*blocks, one_by_one(single)] if single else blocks


def one_by_one(spans: Sequence[RawSpan]) -> Block:
    """Lay out spans of any shape."""
    attributes = [span.attributes for span in spans]
    rows = [_promote(held) for held in attributes]
    filled = {index for row, _ in rows for index in row}
    columns: dict[int, Column] = {index: [row.get(index) for row, _ in rows] for index in filled}
    texts = as_json_lines([rest for _, rest in rows])
    columns[_ATTRS] = [text if rest else None for text, (_, rest) in zip(texts, rows, strict=True)]
    return Block(spans, columns | _base(spans), lambda name: [held.get(name) for held in attributes])


def _base(spans: Sequence[RawSpan]) -> dict[int, Column]:
    traces, ids, parents = zip(*[span.ids for span in spans], strict=True)
    told: list[Column] = [
        hex_ids(traces, TRACE_DIGITS),
        hex_ids(ids, SPAN_DIGITS),
        hex_ids(parents, SPAN_DIGITS),
        [span.name for span in spans],
        [span.kind for span in spans],
        [span.start_ns for span in spans],
        [span.end_ns for span in spans],
        [span.status for span in spans],
        [span.message for span in spans],
        *zip(*[span.origin for span in spans], strict=True),
    ]
    return dict(zip(BASE, told, strict=True))


@lru_cache(maxsize=4096)
def _shape(keys: tuple[str, ...]) -> _Shape | None:
    """Work out a shape; None for those that hold JSON, need arithmetic or repeat a name."""
    if len(set(keys)) < len(keys) or any(key in _DIALECTS.json or key in _MILLISECONDS for key in keys):
        return None
    best: dict[int, tuple[int, int]] = {}
    for position, key in enumerate(keys):
        if rule := _DIALECTS.columns.get(key):
            index, rank = rule
            best[index] = min(best.get(index, (rank, position)), (rank, position))
    taken = {position for _, position in best.values()}
    return _Shape(
        columns=tuple((index, position) for index, (_, position) in best.items()),
        rest=tuple(position for position in range(len(keys)) if position not in taken),
    )


def _together(shape: _Shape, spans: Sequence[RawSpan]) -> tuple[Block | None, list[RawSpan]]:
    """Lay out spans of one shape; return those too whose values need a closer look."""
    keys = spans[0].keys
    told: list[Column] = list(zip(*[span.values for span in spans], strict=True))
    columns: dict[int, Column] = {index: read_all(index, told[place]) for index, place in shape.columns}
    read = [columns[index] for index, place in shape.columns if columns[index] is not told[place]]
    doubtful = [column for column in (*read, *(told[place] for place in shape.rest)) if None in column]
    if doubtful:
        odd = {row for column in doubtful for row, value in enumerate(column) if value is None}
        plain = [span for row, span in enumerate(spans) if row not in odd]
        block = _together(shape, plain)[0] if plain else None
        return block, [span for row, span in enumerate(spans) if row in odd]
    if shape.rest:
        names = [keys[place] for place in shape.rest]
        rests = zip(*[told[place] for place in shape.rest], strict=True)
        columns[_ATTRS] = as_json_lines([dict(zip(names, rest, strict=True)) for rest in rests])
    return Block(spans, columns | _base(spans), dict(zip(keys, told, strict=True)).get), []


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
