"""What a verb answers: one JSON object, and the same as tables for people."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for people. Numbers stay numbers; who prints them decides their look."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` is what `--format json` prints, `lines` what a person reads first, `tables` the rest."""

    verb: str
    data: dict[str, Any]
    lines: Sequence[str] = ()
    tables: Sequence[Table] = field(default_factory=list)


def table_of(title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> Table:
    """Make a table of dicts; the columns are the first row's unless given."""
    names = list(columns or (rows[0] if rows else ()))
    return Table(title, names, [[row.get(name) for name in names] for row in rows])
