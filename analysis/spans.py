"""Open span files for questions: `open_spans(paths)` gives a locked view that every verb asks."""

import glob
import json
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.analysis import _engine, _store
from penstock.analysis._address import address_of, is_address
from penstock.analysis._columns import COLUMNS
from penstock.analysis._engine import Engine
from penstock.analysis._held import Held
from penstock.analysis._kept import Kept, kept
from penstock.analysis._quality import box, measure
from penstock.analysis._reading import Decoded
from penstock.analysis._resolve import DERIVED
from penstock.errors import UsageError

if TYPE_CHECKING:
    import duckdb

    from penstock.analysis._ingest import Progress

STDIN: Final = "-"
_PROBE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which spans a question is about. `where` is a SQL condition; bounds are nanoseconds, half open."""

    where: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None


@dataclass(slots=True)
class Spans:
    """Spans in reach of SQL: the view `spans`, duplicates left out, the selection applied.

    `quality` is the data quality box of everything read, before the selection.
    """

    engine: Engine
    quality: dict[str, Any]
    truncations: list[str] = field(default_factory=list)

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Run one of our queries and return rows as dicts."""
        return self.engine.rows(sql, values)

    def hold(self, table: str, select: str) -> None:
        """Hold what a query of ours gives as a table, for the questions that follow."""
        self.engine.hold(table, select)

    def kept(self, name: str, find: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """Find something that follows from the spans and nothing else; found before, it is told again."""
        return self.engine.kept(name, find) if isinstance(self.engine, Kept) else find()


def _silent(_bytes: int, _spans: int, _total: int | None) -> None:
    """Report no progress."""


@contextmanager
def open_spans(
    names: Sequence[str],
    *,
    store: Path | None = None,
    selection: Selection | None = None,
    progress: "Progress" = _silent,
) -> Iterator[Spans]:
    """Read files (paths, globs, folders, `-`) into the store if needed and open them together.

    A single `clickhouse://…` is asked where it is: nothing but answers is fetched.

    Raises:
        UsageError: a file is missing, empty or foreign, a server cannot be asked, or the selection does
            not parse.
    """
    selection = selection or Selection()
    if other := [name for name in names if "://" in name and not is_address(name)]:
        raise UsageError(
            f"{other[0]}: not a file; download it first, or name a ClickHouse: clickhouse://host:8123/database"
        )
    if any(map(is_address, names)):
        with _of_table(names, selection) as spans:
            yield spans
        return
    with ExitStack() as stack:
        spill = Path(stack.enter_context(_engine.spill_folder()))
        if len(names) == 1 and names[0] == STDIN:
            files = [_from_stream(spill, progress)]
        else:
            files = _from_files(names, _store.root(store), spill, progress)
        readings = [(manifest.path, Decoded.of(manifest.reading)) for _, manifest in files]
        held, counts = _together(files, store)

        def opened() -> Engine:
            con = _engine.connect(spill)
            stack.callback(con.close)
            _engine.lock(con, held.files)
            make_views(con, held, selection)
            return _engine.DuckDB(con)

        yield Spans(
            stack.enter_context(kept(held.files, opened)) if selection == Selection() else opened(),
            box(counts, readings),
            [said for name, told in readings if (said := _truncation(name, told))],
        )


@contextmanager
def _of_table(names: Sequence[str], selection: Selection) -> Iterator[Spans]:
    if len(names) > 1:
        raise UsageError("a ClickHouse table is asked alone; it cannot be joined with other sources")
    from penstock.analysis import _clickhouse

    with _clickhouse.open_table(names[0], selection.since_ns, selection.until_ns) as engine:
        counts = measure(engine, "every_span")
        if selection.where:
            _probe(engine, selection.where)
        _clickhouse.select_spans(engine, _condition(selection))
        yield Spans(engine, box(counts, [(str(address_of(names[0])), Decoded())]))


def expand(names: Sequence[str]) -> list[tuple[Path, bool]]:
    """Turn names into files; True marks those found in a folder, which may hold other things too.

    Raises:
        UsageError: nothing is there.
    """
    found: dict[Path, bool] = {}
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(
                held for held in path.rglob("*") if held.is_file() and not held.name.startswith(".")
            )
            if not inside:
                raise UsageError(f"{name}: the folder holds no files")
            found.update(dict.fromkeys(inside, True))
        elif path.exists() or not glob.has_magic(name):
            found.setdefault(path, False)
        elif matches := sorted(glob.glob(name, recursive=True)):
            found.update({Path(match): False for match in matches if Path(match).is_file()})
        else:
            raise UsageError(f"{name}: no file matches")
    return list(found.items())


def _from_files(
    names: Sequence[str], store: Path, spill: Path, progress: "Progress"
) -> list[tuple[Path, _store.Manifest]]:
    files: list[tuple[Path, _store.Manifest]] = []
    refused: UsageError | None = None
    for path, in_folder in expand(names):
        try:
            files.append(_one(path, store, spill, len(files), progress))
        except UsageError as error:
            if not in_folder:
                raise
            refused = error
    if not files:
        raise refused or UsageError("no files given")
    return files


def _one(
    path: Path, store: Path, spill: Path, index: int, progress: "Progress"
) -> tuple[Path, _store.Manifest]:
    known = _known(path, store)
    if known:
        return known
    from penstock.analysis._ingest import ingest, ingest_stream

    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        regular = True  # ingest says in one line what is wrong
    if regular:
        return ingest(path, store, progress)
    folder = spill / f"stream-{index}"
    folder.mkdir()
    with path.open("rb") as stream:
        return folder, ingest_stream(stream, str(path), folder, progress)


def _known(path: Path, store: Path) -> tuple[Path, _store.Manifest] | None:
    """Find an unchanged file's folder without loading anything that decodes."""
    try:
        found = path.stat()
    except OSError:
        return None
    folder = _store.folder_of(store, path.resolve())
    manifest = _store.load(folder)
    if manifest and (found.st_size, found.st_mtime_ns, found.st_ino) == (
        manifest.size, manifest.mtime_ns, manifest.inode
    ) and _store.probe(path, manifest.size) == (manifest.head, manifest.tail):  # fmt: skip
        return folder, manifest
    return None


def _from_stream(spill: Path, progress: "Progress") -> tuple[Path, _store.Manifest]:
    from penstock.analysis._ingest import ingest_stream

    folder = spill / "stdin"
    folder.mkdir()
    return folder, ingest_stream(sys.stdin.buffer, "stdin", folder, progress)


def _together(files: list[tuple[Path, _store.Manifest]], store: Path | None) -> tuple[Held, dict[str, Any]]:
    """Relate the spans of several files to one another; what that finds is kept like a file's."""
    parts = [part for folder, _ in files for part in _store.parts_in(folder)]
    if len(files) == 1:
        return Held.of(parts, files[0][0] / _store.SPANS), files[0][1].quality
    folder = _store.set_folder(_store.root(store), [_stamp(part) for part in parts])
    place = folder / _store.SPANS
    quality = place / "quality.json"
    with _store.locked(folder):
        if not quality.exists():
            from penstock.analysis._ingest import relate

            with _store.fresh(folder) as spans:
                (spans / quality.name).write_text(json.dumps(relate(parts, spans)))
    return Held.of(parts, place), json.loads(quality.read_text())


def _stamp(part: Path) -> str:
    held = part.stat()
    return f"{part}:{held.st_ino}:{held.st_size}:{held.st_mtime_ns}"


def make_views(con: "duckdb.DuckDBPyConnection", held: Held, selection: Selection) -> None:
    """Make `spans`, of which the verbs ask, of what is held."""
    columns = ", ".join((*COLUMNS, *DERIVED))
    con.execute(f"CREATE VIEW every_span AS SELECT {columns} FROM {held.table()} WHERE NOT duplicate")  # noqa: S608
    if selection.where:
        _probe(_engine.DuckDB(con), selection.where)
    con.execute(f"CREATE VIEW spans AS SELECT * FROM every_span WHERE {_condition(selection)}")  # noqa: S608


def _condition(selection: Selection) -> str:
    conditions = []
    if selection.since_ns is not None:
        conditions.append(f"start_ns >= {selection.since_ns:d}")
    if selection.until_ns is not None:
        conditions.append(f"start_ns < {selection.until_ns:d}")
    if selection.where:
        conditions.append(f"({selection.where}\n)")
    return " AND ".join(conditions) or "true"


def _probe(engine: Engine, where: str) -> None:
    try:
        engine.select(_probing(where), _PROBE_SECONDS, 1)
    except UsageError as error:
        raise UsageError(f"--where {where!r}: {error}") from error


def _probing(where: str) -> str:
    return f"SELECT 1 FROM every_span WHERE ({where}\n) LIMIT 0"  # noqa: S608 - looked at before it runs


def _truncation(name: str, told: Decoded) -> str | None:
    if told.truncated_at is not None:
        return f"{name}: ends inside a record that begins at byte {told.truncated_at}; the rest was read"
    if told.broken:
        return f"{name}: {told.broken}; the rest was read"
    return None
