"""Attributes of many spans, column by column, from the text of their JSON.

An exporter writes one shape of span in one way: between two values of one attribute lie the same bytes.
So the values of a column are cut out of its text at once, and read as one JSON array. Text between the
quotes of a JSON string holds no bare quote; whatever is not of the shape ends up as an array that does
not parse, or with a wrong count, and is left to `_otlp_json`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
import orjson

from penstock.analysis._raw import Coded, Column
from penstock.analysis.formats._otlp_json import any_value

_STYLES: Final = ((b'{"key":"', b","), (b'{"key": "', b", "))
"""How pairs begin and what lies between them: compact, and as Python's `json` writes."""
_PIECE: Final = re.compile(
    rb'(?P<head>(?P<key>[^"\\]+)", ?"value": ?\{"(?P<array>arrayValue": ?\{"values": ?\[\{")?'
    rb'(?P<kind>\w+)": ?(?P<quote>"?))(?P<value>(?:[^"\\]|\\.)*?)(?P<tail>(?P=quote)\}(?(array)\]\}\})\}, ?)'
)
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_KINDS: Final[dict[tuple[bytes, bytes], tuple[bytes, bytes, bytes, msgspec.json.Decoder[list[Any]]]]] = {
    (b"stringValue", b'"'): (b'["', b'","', b'"]', msgspec.json.Decoder(list[str])),
    (b"intValue", b'"'): (b"[", b",", b"]", msgspec.json.Decoder(list[_Int64])),
    (b"intValue", b""): (b"[", b",", b"]", msgspec.json.Decoder(list[_Int64])),
    (b"doubleValue", b""): (b"[", b",", b"]", msgspec.json.Decoder(list[float])),
    (b"boolValue", b""): (b"[", b",", b"]", msgspec.json.Decoder(list[bool])),
}
_NUMERALS: Final = {
    b"intValue": b"-0123456789,",
    b"doubleValue": b"-+.eE0123456789,",
    b"boolValue": b"truefalse,",
}
_EDGE: Final = 12
_SIGHT: Final = 32


@dataclass(frozen=True, slots=True)
class Group:
    """Spans (by their place) with the same attribute names, and the values of each."""

    rows: list[int]
    keys: tuple[str, ...]
    values: list[Column]


def by_shape(texts: Sequence[bytes]) -> tuple[list[Group], list[int]]:
    """Read lists of attributes; return those too that are not written in a plain way."""
    likely: dict[tuple[int, bytes, bytes], list[int]] = defaultdict(list)
    pieces: list[list[bytes]] = []
    groups: list[Group] = []
    odd: list[int] = []
    style = next(
        (style for style in _STYLES if any(text.startswith(style[0], 1) for text in texts)), _STYLES[0]
    )
    for row, text in enumerate(texts):
        cut = _cut(text, style)
        pieces.append(cut)
        if cut:
            likely[(len(cut), cut[1][:_EDGE], cut[-1][:_EDGE])].append(row)
        else:
            odd.append(row)
    for rows in likely.values():
        held = [pieces[row] for row in rows]
        if (group := _columns(rows, held)) is not None:
            groups.append(group)
            continue
        for chosen in _by_names(rows, held):
            group = _columns(chosen, [pieces[row] for row in chosen])
            if group is None:
                odd += chosen
            else:
                groups.append(group)
    return groups, odd


def _by_names(rows: list[int], pieces: list[list[bytes]]) -> Iterable[list[int]]:
    exact: dict[tuple[bytes, ...], list[int]] = defaultdict(list)
    for row, cut in zip(rows, pieces, strict=True):
        exact[tuple(piece.partition(b'"')[0] for piece in cut)].append(row)
    return exact.values()


def _cut(text: bytes, style: tuple[bytes, bytes]) -> list[bytes]:
    begins, between = style
    if not text.startswith(begins, 1):
        return []
    pieces = text.split(begins)
    pieces[-1] = pieces[-1][:-1] + between
    return pieces


def _columns(rows: list[int], pieces: list[list[bytes]]) -> Group | None:
    keys: list[str] = []
    values: list[Column] = []
    columns = zip(*pieces, strict=True)
    next(columns)  # nothing lies before the first pair
    for column in columns:
        try:
            key = column[0].partition(b'"')[0].decode()
        except UnicodeDecodeError:
            return None
        told = None if "\\" in key else _few(column) or _column(column)
        if told is None:
            return None
        keys.append(key)
        values.append(told)
    return Group(rows, tuple(keys), values)


def _few(column: Sequence[bytes]) -> Coded | None:
    """Read a column of few values, each of them once."""
    if len(set(column[:_SIGHT])) > _SIGHT // 2 or (coded := Coded.of(column)) is None:
        return None
    values = _column(coded.values)
    return None if values is None else Coded(coded.codes, values)


def _column(column: Sequence[bytes]) -> list[Any] | None:
    """Read a column, all at once when all of it is written like its first value."""
    first = _PIECE.fullmatch(column[0])
    return (first and _at_once(column, first)) or _one_by_one(column)


def _at_once(column: Sequence[bytes], first: re.Match[bytes]) -> list[Any] | None:
    if (kind := _KINDS.get((first["kind"], first["quote"]))) is None:
        return None
    head, tail = first["head"], first["tail"]
    opens, between, closes, decoder = kind
    text = b"\n".join(column)
    body = text[len(head) : -len(tail)].replace(tail + b"\n" + head, between)
    if not text.endswith(tail) or (between == b"," and body.translate(None, _NUMERALS[first["kind"]])):
        return None
    try:
        values: list[Any] = decoder.decode(opens + body + closes)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if len(values) != len(column):
        return None
    return [[value] for value in values] if first["array"] else values


def _one_by_one(column: Sequence[bytes]) -> list[Any] | None:
    """Read values of several types; None when they are not all of one attribute."""
    values, key = [], column[0].partition(b'"')[0].decode()
    for piece in column:
        try:
            pair = orjson.loads(b'{"key":"' + piece.rstrip(b", "))
            if pair.keys() != {"key", "value"} or pair["key"] != key:
                return None
            values.append(any_value(pair["value"]))
        except (orjson.JSONDecodeError, ValueError, TypeError, OverflowError):
            return None
    return values
