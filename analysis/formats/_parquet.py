"""Parquet files of spans: ClickHouse's `otel_traces`, Phoenix dataframes, and our own export."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from penstock.analysis._columns import arrow_schema
from penstock.analysis.formats import _clickhouse, _phoenix
from penstock.analysis.formats._sink import Sink
from penstock.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS: Final = 20_000
_OURS: Final = ("trace_id", "span_id", "role", "start_ns")


def decode(stream: BinaryIO, source: int, name: str) -> Iterator[Sink]:
    """Yield the file's spans in batches.

    Raises:
        UsageError: the columns are of no known kind of trace, or the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream)
        names = set(file.schema_arrow.names)
        ours = all(column in names for column in _OURS)
        if (
            not ours
            and not _clickhouse.claims(dict.fromkeys(names))
            and not _phoenix.claims(dict.fromkeys(names))
        ):
            raise UsageError(
                f"{name}: a Parquet file, but not of spans; its columns are {', '.join(sorted(names)[:6])}, …"
            )
        at = 0
        for batch in file.iter_batches(batch_size=_ROWS):
            sink = Sink(source)
            if ours:
                sink.ready.append(_own(batch, source))
                sink.records += batch.num_rows
            else:
                for index, row in enumerate(_dicts(batch)):
                    (_clickhouse if "TraceId" in row else _phoenix).read(row, at + index, sink)
            at += batch.num_rows
            yield sink
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{name}: a damaged Parquet file: {error}") from error


def _dicts(batch: "pa.RecordBatch") -> Iterator[dict[str, object]]:
    import pyarrow as pa

    columns = {
        name: column.cast(_exact(column.type))
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    yield from pa.RecordBatch.from_pydict(columns).to_pylist()


def _exact(kind: "pa.DataType") -> "pa.DataType":
    """Give the type that keeps nanoseconds on their way into Python, whose datetimes drop them."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.int64()
    if pa.types.is_list(kind):
        return pa.list_(_exact(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _exact(field.type)) for field in kind])
    return kind


def _own(batch: "pa.RecordBatch", source: int) -> "pa.RecordBatch":
    """Take the columns that we wrote; those that an older version did not have are blank."""
    import pyarrow as pa

    held = dict(zip(batch.schema.names, batch.columns, strict=True))
    held["source"] = pa.array([source] * batch.num_rows, pa.int32())
    arrays = [
        held[field.name].cast(field.type) if field.name in held else pa.nulls(batch.num_rows, field.type)
        for field in arrow_schema()
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema())
