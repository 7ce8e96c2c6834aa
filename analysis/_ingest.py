"""Read files into the store: decode in bounded chunks, a process a core for large files, then resolve."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from penstock.analysis import _engine, _store
from penstock.analysis._held import Held
from penstock.analysis._quality import measure
from penstock.analysis._reading import Decoded
from penstock.analysis._resolve import resolve
from penstock.analysis.formats import Shape, Source, read_file, sniff
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.analysis.formats._sink import Sink

Progress = Callable[[int, int, int | None], None]
"""Told of bytes and spans read since the last call, and of the bytes there are."""

RANGE: Final = 32 << 20
LARGEST_RANGE: Final = 8 * RANGE
_PART: Final = "part-{:05d}.parquet"
PARALLEL_FROM: Final = 2 * RANGE


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
    told, manifest = Decoded(), _blank(Path(name))
    with _store.fresh(folder) as spans:
        part = spans / _PART.format(0)
        _write(read_file(stream, name, None, 0, told), part, progress, told, None)
        return _finish(spans, [part], manifest, told)


def relate(parts: list[Path], folder: Path) -> dict[str, object]:
    """Relate the spans of several files, or of one file's parts, to one another, and measure them."""
    from penstock.analysis._foreseen import while_read

    with (
        _engine.spill_folder() as spill,
        closing(_engine.connect(Path(spill), _engine.RELATING)) as con,
    ):
        resolve(con, parts, folder)
        held, engine = Held.of(parts, folder), _engine.DuckDB(con)
        counts = measure(engine, held.table())
        while_read(engine, held, counts["spans"])
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
    told, manifest = Decoded(), _blank(path)
    with _store.fresh(folder) as spans:
        try:
            with path.open("rb") as stream:
                first = stream.read(4)
                stream.seek(0)
                if size >= PARALLEL_FROM and _is_lines(path):
                    parts = _in_processes(path, 0, size, spans, 0, progress, told)
                else:
                    parts = [spans / _PART.format(0)]
                    _write(read_file(stream, str(path), size, 0, told), parts[0], progress, told, size)
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        manifest.resumable = first[:1] == b"{" and told.consumed > 0
        return _finish(spans, parts, manifest, told)


def _read_on(
    folder: Path, path: Path, known: _store.Manifest, size: int, progress: Progress
) -> _store.Manifest:
    told, manifest = Decoded(consumed=known.consumed), _blank(path)
    with _store.fresh(folder) as spans:
        older = _store.link(_store.parts_in(folder), spans)
        parts = _in_processes(path, known.consumed, size, spans, len(older), progress, told)
        before = Decoded.of(known.reading)
        before.truncated_at = None
        before.merge(told)
        manifest.resumable = True
        return _finish(spans, [*older, *parts], manifest, before)


def _finish(spans: Path, parts: list[Path], manifest: _store.Manifest, told: Decoded) -> _store.Manifest:
    """Relate the spans, measure their quality, and say beside them what they are of."""
    manifest.quality = relate(parts, spans)
    manifest.reading = asdict(told)
    manifest.consumed = told.consumed
    _store.save(spans, manifest)
    return manifest


def _write(sinks: "Iterator[Sink]", part: Path, progress: Progress, told: Decoded, size: int | None) -> None:
    from penstock.analysis._part import part_writer

    seen = 0
    with part_writer(part) as writer:
        for sink in sinks:
            writer.write(sink)
            progress(told.file_bytes - seen, sink.count, size)
            seen = told.file_bytes


def _in_processes(
    path: Path, start: int, stop: int, spans: Path, number: int, progress: Progress, told: Decoded
) -> list[Path]:
    """Decode byte ranges of a file of lines, in processes when there is enough of it.

    `number` is the first part's.
    """
    workers = len(os.sched_getaffinity(0))
    jobs = [
        (str(path), begin, end, str(spans / _PART.format(i)))
        for i, (begin, end) in enumerate(_ranges(path, start, stop, workers), number)
    ]
    workers = min(len(jobs), workers)
    with ExitStack() as stack:
        if stop - start < PARALLEL_FROM or workers < 2:
            results: Iterable[Decoded] = map(_decode, jobs)
        else:
            pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=_server()))
            results = pool.map(_decode, jobs)
        for job, part in zip(jobs, results, strict=True):
            told.merge(part)
            progress(job[2] - job[1], part.spans, stop - start)
    if not told.records and not start:
        raise UsageError(f"{path}: not a trace file (nothing in it is a span)")
    return [Path(job[3]) for job in jobs]


def _decode(job: tuple[str, int, int, str]) -> Decoded:
    from penstock.analysis._part import decode_part  # what decodes is loaded where decoding is done

    return decode_part(job)


def _server() -> BaseContext:
    """Let one fresh process load what decodes, and fork the workers off it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["penstock.analysis._warm"])
    return context


def _ranges(path: Path, start: int, stop: int, workers: int) -> Iterator[tuple[int, int]]:
    """Cut at line ends, so that no record is split.

    Few ranges make few files; smaller ones towards the end let the workers end together.
    """
    with path.open("rb") as stream:
        while start < stop:
            length = min(max((stop - start) // (2 * workers), RANGE), LARGEST_RANGE)
            stream.seek(min(stop, start + length))
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
