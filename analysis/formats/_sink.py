"""Where decoders put spans and say what they could not read."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.analysis._arrays import array_of
from penstock.analysis._columns import arrow_schema
from penstock.analysis._layout import Block, lay_out
from penstock.analysis._meaning import conclude
from penstock.analysis._raw import RawSpan, Rows
from penstock.analysis._reading import KEPT_PLACES, Bad

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Sink:
    """What one chunk came to. `records` counts what was recognised as trace data, spans or not.

    `rows` holds spans that were decoded by column, by their attribute names; `ready` such that need no
    reading: our own export.
    """

    source: int
    spans: list[RawSpan] = field(default_factory=list)
    rows: dict[tuple[str, ...], Rows] = field(default_factory=dict)
    ready: "list[pa.RecordBatch]" = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    bad_count: int = 0
    records: int = 0
    truncated_at: int | None = None
    foreign: str | None = None

    @property
    def count(self) -> int:
        """Say how many spans there are."""
        return (
            len(self.spans)
            + sum(map(len, self.rows.values()))
            + sum(int(batch.num_rows) for batch in self.ready)
        )

    def reject(self, offset: int, reason: str) -> None:
        """Count something unreadable; the first places are kept."""
        self.bad_count += 1
        if len(self.bad) < KEPT_PLACES:
            self.bad.append(Bad(offset, reason))

    def add(self, rows: Rows) -> None:
        """Add spans by column."""
        if (held := self.rows.get(rows.keys)) is None:
            self.rows[rows.keys] = rows
        else:
            held.extend(rows)

    def take(self, other: "Sink") -> None:
        """Add another chunk's spans."""
        self.spans += other.spans
        for rows in other.rows.values():
            self.add(rows)
        self.ready += other.ready

    def table(self) -> "pa.Table":
        """Normalise the spans and hand them over."""
        import pyarrow as pa

        blocks = lay_out(self.rows.values(), self.spans)
        for block in blocks:
            conclude(block)
        return pa.Table.from_batches([*map(_batch, blocks), *self.ready], arrow_schema())


def _batch(block: Block) -> "pa.RecordBatch":
    import pyarrow as pa

    schema, count = arrow_schema(), len(block)
    arrays = [
        array_of(block.columns[index], kind) if index in block.columns else pa.nulls(count, kind)
        for index, kind in enumerate(schema.types)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
