"""Where decoders put rows and say what they could not read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.analysis._columns import arrow_schema
from penstock.analysis._reading import KEPT_PLACES, Bad
from penstock.analysis._rows import Row

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Sink:
    """What one chunk came to. `records` counts what was recognised as trace data, spans or not."""

    source: int
    rows: list[Row] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    bad_count: int = 0
    records: int = 0
    truncated_at: int | None = None
    foreign: str | None = None

    def reject(self, offset: int, reason: str) -> None:
        """Count something unreadable; the first places are kept."""
        self.bad_count += 1
        if len(self.bad) < KEPT_PLACES:
            self.bad.append(Bad(offset, reason))

    def batch(self) -> "pa.RecordBatch":
        """Hand the rows over as one Arrow batch."""
        import pyarrow as pa

        schema, count = arrow_schema(), len(self.rows)
        columns = zip(*self.rows, strict=True) if self.rows else iter([()] * len(schema))
        arrays = [_array(values, count, column.type) for values, column in zip(columns, schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Sequence[object], count: int, kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    if values.count(None) == count:
        return pa.nulls(count, kind)
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # lone surrogates are legal JSON and no legal text
        whole = (
            value.encode("utf-8", "replace").decode() if isinstance(value, str) else value for value in values
        )
        return pa.array(list(whole), kind)
