"""Decode a part of a file into Parquet: what a worker does."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.analysis._columns import COLUMNS, arrow_schema
from penstock.analysis._reading import Decoded
from penstock.analysis.formats import decode_range
from penstock.analysis.formats._sink import Sink

_FEW: Final = 1_000
"""Fewer spans than this are not worth laying out: they wait for the next chunk's."""
_GROUP: Final = 20_000
_SELDOM_TWICE: Final = frozenset(
    {"trace_id", "span_id", "parent_id", "start_ns", "end_ns", "request_id", "attrs", "record"}
)
"""No dictionary is worth its building for these."""
_SOUGHT: Final = ["start_ns", "end_ns"]
"""Readers skip groups by these."""
_CODED: Final = [name for name in COLUMNS if name not in _SELDOM_TWICE]


class PartWriter:
    """Writes the spans of one part as Parquet, in groups that are worth their head."""

    def __init__(self, file: pq.ParquetWriter) -> None:
        self._file = file
        self._held = Sink(0)
        self._ready: list[pa.Table] = []

    def write(self, sink: Sink) -> None:
        """Take a chunk's rows."""
        self._held.take(sink)
        if self._held.count >= _FEW:
            self._lay_out()
        if sum(table.num_rows for table in self._ready) >= _GROUP:
            self._flush()

    def finish(self) -> None:
        """Write what is held."""
        self._lay_out()
        self._flush()

    def _lay_out(self) -> None:
        self._ready.append(self._held.table())
        self._held = Sink(0)

    def _flush(self) -> None:
        self._file.write_table(pa.concat_tables(self._ready))
        self._ready = []


@contextmanager
def part_writer(path: Path) -> Iterator[PartWriter]:
    """Open a part, and finish it when all went well: one without spans too."""
    with (
        _few_collections(),
        pq.ParquetWriter(
            path,
            arrow_schema(),
            compression="zstd",
            compression_level=1,
            use_dictionary=_CODED,
            write_statistics=_SOUGHT,
            store_schema=False,
        ) as file,
    ):
        writer = PartWriter(file)
        yield writer
        writer.finish()


def decode_part(job: tuple[str, int, int, str]) -> Decoded:
    """Decode a range of a file of lines."""
    path, start, stop, target = job
    told = Decoded()
    with part_writer(Path(target)) as writer:
        for sink in decode_range(path, start, stop, 0, told):
            told.add(sink)
            writer.write(sink)
    return told


@contextmanager
def _few_collections() -> Iterator[None]:
    """Decoding makes millions of objects and no cycles: the collector would only look, again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
