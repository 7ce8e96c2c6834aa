"""Read files into the store: decode in bounded chunks, a process a core for large files, then resolve."""

import gc
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from penstock.analysis import _engine, _store
from penstock.analysis._quality import measure
from penstock.analysis._reading import Decoded
from penstock.analysis._resolve import resolve
from penstock.analysis.formats import Shape, Sink, Source, decode_range, read_file, sniff
from penstock.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Progress = Callable[[int, int, int | None], None]
"""Told of bytes and spans read since the last call, and of the bytes there are."""

RANGE: Final = 32 << 20
PARALLEL_FROM: Final = 2 * RANGE


class PartWriter:
    """Writes the spans of one part as Parquet, in groups that are worth their head."""

    _FEW: Final = 2_000
    """So many spans are laid out together: few enough for a processor's cache."""
    _GROUP: Final = 20_000

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: pq.ParquetWriter | None = None
        self._held = Sink(0)
        self._ready: list[pa.Table] = []

    def write(self, sink: Sink) -> None:
        """Take a chunk's rows."""
        self._held.take(sink)
        if self._held.count >= self._FEW:
            self._lay_out()
        if sum(table.num_rows for table in self._ready) >= self._GROUP:
            self._flush()

    def close(self) -> None:
        """Finish the part, an empty one too."""
        self._lay_out()
        self._flush()
        assert self._file is not None
        self._file.close()

    def _lay_out(self) -> None:
        self._ready.append(self._held.table())
        self._held = Sink(0)

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.concat_tables(self._ready)
        self._ready = []
        if self._file is None:  # parts live for seconds: quick beats small
            self._file = pq.ParquetWriter(self._path, table.schema, compression="lz4", write_statistics=False)
        self._file.write_table(table)


def ingest(path: Path, store: Path, progress: Progress) -> tuple[Path, _store.Manifest]:
    """Bring a file's folder up to date and return it.

    Raises:
        UsageError: the file is missing, empty or no trace file.
    """
    folder = _store.folder_of(store, path.resolve())
    with _store.locked(folder):
        known = _store.load(folder)
        size, mtime_ns, inode = _stat(path)
        if known and _same(known, path, size, mtime_ns, inode):
            return folder, known
        if known and _grew(known, path, size):
            return folder, _read_on(folder, path, known, size, progress)
        return folder, _read_anew(folder, path, size, progress)


def ingest_stream(stream: BinaryIO, name: str, folder: Path, progress: Progress) -> _store.Manifest:
    """Read a stream that cannot be read twice into a folder of its own."""
    told = Decoded()
    part = folder / "part-0.parquet"
    _write(read_file(stream, name, None, 0, told), PartWriter(part), progress, told, None)
    return _finish(folder, [part], _blank(Path(name)), told)


def relate(parts: list[Path], folder: Path, spill: Path) -> dict[str, object]:
    """Write the spans of several files, or of one file's parts, into a folder as one, and measure them."""
    fresh = folder / f"spans.{os.getpid()}.tmp"
    fresh.mkdir()
    con = _engine.connect(spill)
    try:
        resolve(con, parts, fresh)
        counts = measure(_engine.DuckDB(con), _engine.parquet(sorted(fresh.iterdir())))
    except BaseException:
        shutil.rmtree(fresh)
        raise
    finally:
        con.close()
    _store.put(fresh, folder)
    return counts


def _same(known: _store.Manifest, path: Path, size: int, mtime_ns: int, inode: int) -> bool:
    if (known.size, known.mtime_ns, known.inode) != (size, mtime_ns, inode):
        return False
    return _store.probe(path, known.size) == (known.head, known.tail)


def _grew(known: _store.Manifest, path: Path, size: int) -> bool:
    if not known.resumable or size <= known.size or not known.consumed:
        return False
    return _store.probe(path, known.size) == (known.head, known.tail)


def _read_anew(folder: Path, path: Path, size: int, progress: Progress) -> _store.Manifest:
    told = Decoded()
    parts: list[Path] = []
    manifest = _blank(path)
    try:
        with path.open("rb") as stream:
            first = stream.read(4)
            stream.seek(0)
            if size >= PARALLEL_FROM and _is_lines(path):
                parts = _in_processes(path, 0, size, folder, progress, told)
            else:
                part = folder / "part-0.parquet"
                parts = [part]
                _write(read_file(stream, str(path), size, 0, told), PartWriter(part), progress, told, size)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    manifest.resumable = first[:1] == b"{" and told.consumed > 0
    return _finish(folder, parts, manifest, told)


def _read_on(
    folder: Path, path: Path, known: _store.Manifest, size: int, progress: Progress
) -> _store.Manifest:
    told = Decoded(consumed=known.consumed)
    manifest = _blank(path)
    parts = _in_processes(path, known.consumed, size, folder, progress, told)
    before = Decoded.of(known.reading)
    before.truncated_at = None
    before.merge(told)
    manifest.resumable = True
    return _finish(folder, [*_store.spans_in(folder), *parts], manifest, before)


def _finish(folder: Path, parts: list[Path], manifest: _store.Manifest, told: Decoded) -> _store.Manifest:
    """Relate the spans, measure their quality, and put the result in place in one step."""
    with _engine.spill_folder() as spill:
        manifest.quality = relate(parts, folder, Path(spill))
    for part in folder.glob("part-*.parquet"):
        part.unlink()
    manifest.reading = asdict(told)
    manifest.consumed = told.consumed
    _store.save(folder, manifest)
    return manifest


def _write(
    sinks: Iterator[Sink], writer: PartWriter, progress: Progress, told: Decoded, size: int | None
) -> None:
    seen = 0
    with _few_collections():
        for sink in sinks:
            writer.write(sink)
            progress(told.file_bytes - seen, sink.count, size)
            seen = told.file_bytes
    writer.close()


def _in_processes(
    path: Path, start: int, stop: int, folder: Path, progress: Progress, told: Decoded
) -> list[Path]:
    """Decode byte ranges of a file of lines, in processes when there is enough of it."""
    ranges = list(_ranges(path, start, stop))
    jobs = [
        (str(path), begin, end, str(folder / f"part-{i}.parquet")) for i, (begin, end) in enumerate(ranges)
    ]
    workers = min(len(jobs), len(os.sched_getaffinity(0)))
    with ExitStack() as stack:
        if stop - start < PARALLEL_FROM or workers < 2:
            results: Iterable[Decoded] = map(_decode_job, jobs)
        else:
            pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=get_context("spawn")))
            results = pool.map(_decode_job, jobs)
        for job, part in zip(jobs, results, strict=True):
            told.merge(part)
            progress(job[2] - job[1], part.spans, stop - start)
    if not told.records and not start:
        raise UsageError(f"{path}: not a trace file (nothing in it is a span)")
    return [Path(job[3]) for job in jobs]


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


def _decode_job(job: tuple[str, int, int, str]) -> Decoded:
    path, start, stop, target = job
    told = Decoded()
    writer = PartWriter(Path(target))
    with _few_collections():
        for sink in decode_range(path, start, stop, 0, told):
            told.add(sink)
            writer.write(sink)
    writer.close()
    return told


def _ranges(path: Path, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cut at line ends, so that no record is split."""
    with path.open("rb") as stream:
        while start < stop:
            stream.seek(min(stop, start + RANGE))
            end = stop
            position = stream.tell()
            while position < stop and (piece := stream.read(min(1 << 20, stop - position))):
                cut = piece.find(b"\n")
                if cut >= 0:
                    end = position + cut + 1
                    break
                position += len(piece)
            yield start, end
            start = end


def _is_lines(path: Path) -> bool:
    with path.open("rb") as stream:
        content = sniff(Source(stream, None))
    return content.shape is Shape.LINES and not content.compressed


def _blank(path: Path) -> _store.Manifest:
    """Make a manifest of the file as it is before reading; what is appended meanwhile is read next time."""
    try:
        size, mtime_ns, inode = _stat(path)
        head, tail = _store.probe(path, size)
    except UsageError:
        size, mtime_ns, inode, head, tail = 0, 0, 0, "", ""
    return _store.Manifest(
        path=str(path), size=size, mtime_ns=mtime_ns, inode=inode, head=head, tail=tail,
        consumed=0, resumable=False,
    )  # fmt: skip


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    return found.st_size, found.st_mtime_ns, found.st_ino
