"""Parquet files of spans: ClickHouse's `otel_traces`, Phoenix dataframes, and our own export."""

from collections.abc import Iterator
from typing import BinaryIO, Final

from penstock.analysis._columns import COLUMNS
from penstock.analysis._rows import Row
from penstock.analysis.formats import _clickhouse, _phoenix
from penstock.analysis.formats._sink import Sink
from penstock.errors import UsageError

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
            for index, row in enumerate(_dicts(batch)):
                if ours:
                    sink.rows.append(_own(row, source))
                    sink.records += 1
                else:
                    (_clickhouse if "TraceId" in row else _phoenix).read(row, at + index, sink)
            at += batch.num_rows
            yield sink
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{name}: a damaged Parquet file: {error}") from error


def _dicts(batch: object) -> Iterator[dict[str, object]]:
    import pyarrow as pa

    assert isinstance(batch, pa.RecordBatch)
    columns = {
        name: (
            column.cast(pa.int64())
            if pa.types.is_timestamp(column.type) and column.type.unit == "ns"
            else column
        )
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    yield from pa.RecordBatch.from_pydict(columns).to_pylist()


def _own(row: dict[str, object], source: int) -> Row:
    values = [row.get(column) for column in COLUMNS]
    values[-2] = source
    return values
