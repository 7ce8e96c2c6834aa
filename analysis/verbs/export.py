"""The normalised spans as Parquet, CSV or JSON lines."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from penstock.analysis._columns import COLUMNS
from penstock.analysis._resolve import DERIVED
from penstock.analysis.answer import Answer
from penstock.analysis.spans import Spans
from penstock.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

KINDS: Final = ("parquet", "csv", "jsonl")
_BY_ENDING: Final = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_BATCH: Final = 50_000


def export(spans: Spans, target: Path, kind: str | None = None) -> Answer:
    """Write the selected spans to `target`; the kind follows its ending unless given.

    Raises:
        UsageError: the kind is unknown, the file exists, or cannot be written.
    """
    chosen = kind or _BY_ENDING.get(target.suffix)
    if chosen not in KINDS:
        raise UsageError(f"{target}: name it .parquet, .csv or .jsonl, or choose with --as")
    if target.exists():
        raise UsageError(f"{target}: exists already; choose another name")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        count = _write(spans, temporary, chosen)
        temporary.replace(target)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    data = {"file": str(target), "kind": chosen, "spans": count, "quality": spans.quality}
    return Answer("export", data, [f"{count:,} spans written to {target}"])


def _write(spans: Spans, path: Path, kind: str) -> int:
    import pyarrow.csv
    import pyarrow.parquet

    columns = ", ".join((*COLUMNS, *DERIVED))
    reader = spans.engine.batches(f"SELECT {columns} FROM spans", _BATCH)  # noqa: S608 - names of our own
    count = 0
    if kind == "jsonl":
        with path.open("wb") as out:
            for batch in reader:
                count += batch.num_rows
                out.writelines(orjson.dumps(row) + b"\n" for row in batch.to_pylist())
        return count
    writer: pa.ipc.RecordBatchWriter = (
        pyarrow.csv.CSVWriter(path, reader.schema)
        if kind == "csv"
        else pyarrow.parquet.ParquetWriter(path, reader.schema, compression="zstd")
    )
    with writer:
        for batch in reader:
            count += batch.num_rows
            writer.write_batch(batch)
    return count
