"""Where read files are kept, so that the next command is instant: one folder a file, found by its path.

A file that grew is read on from where reading stopped; one that was replaced is read again. What
decides is not the name or the time alone but the content at both ends of what was read.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from penstock.errors import UsageError

_UNUSED_SECONDS: Final = 7 * 86_400
_CODE: Final = Path(__file__).parent
_PROBE: Final = 64 << 10
_KEPT_SETS: Final = 40
SPANS: Final = "spans"
"""Where a folder has its spans."""


@dataclass(slots=True, kw_only=True)
class Manifest:
    """What is known of one file that was read. Offsets are bytes of the file."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    head: str
    tail: str
    consumed: int
    resumable: bool
    reading: dict[str, object] = field(default_factory=dict)
    quality: dict[str, object] = field(default_factory=dict)


def root(folder: Path | None) -> Path:
    """Choose and make the store's folder; spans may hold prompts, so that only the user may look.

    Raises:
        UsageError: it cannot be made.
    """
    base = folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "penstock"
    path = base / f"traces-{_version()}"
    try:
        if not path.exists():
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            _forget_others(path)
        (path / "files").mkdir(exist_ok=True, mode=0o700)
        (path / "sets").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(
            f"cannot make the store {path}: {error.strerror}; choose one with --store DIR"
        ) from error
    return path


def _version() -> str:
    """Name the code that reads and classifies, so that what older code read is read anew."""
    code = (file for room in (_CODE, _CODE.parent / "classifiers") for file in room.rglob("*"))
    stamps = sorted(
        f"{file.name}:{held.st_size}:{held.st_mtime_ns}"
        for file in code
        if file.suffix in {".py", ".toml"}
        for held in (file.stat(),)
    )
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:12]


def _forget_others(mine: Path) -> None:
    """Let go of the stores of other versions that nobody used for a week."""
    for other in mine.parent.glob("traces-*"):
        if other != mine and time.time() - other.stat().st_mtime > _UNUSED_SECONDS:
            shutil.rmtree(other, ignore_errors=True)


def folder_of(store: Path, path: Path) -> Path:
    """Name the folder of one file."""
    folder = store / "files" / hashlib.sha256(os.fsencode(path)).hexdigest()[:24]
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def set_folder(store: Path, stamps: list[str]) -> Path:
    """Name the folder of several files taken together; the least used ones are let go."""
    folder = store / "sets" / hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:24]
    others = sorted((store / "sets").iterdir(), key=lambda held: held.stat().st_mtime, reverse=True)
    for old in others[_KEPT_SETS:]:
        shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(exist_ok=True, mode=0o700)
    os.utime(folder, (time.time(), time.time()))
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time write a folder."""
    with open(folder / "lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def load(folder: Path) -> Manifest | None:
    """Read a manifest; None when there is none that can be used."""
    try:
        found = json.loads((folder / SPANS / "manifest.json").read_text())
        manifest = Manifest(**found)
    except (OSError, ValueError, TypeError):
        return None
    return manifest if parts_in(folder) else None


def parts_in(folder: Path) -> list[Path]:
    """List the files with what a folder's spans told."""
    return sorted((folder / SPANS).glob("part-*.parquet"))


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """Give a folder to write spans into; when all went well it takes the place of the older ones."""
    made, place, old = (folder / name for name in ("fresh.tmp", SPANS, "old.tmp"))
    for left in (made, old):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    made.mkdir()
    try:
        yield made
    except BaseException:
        shutil.rmtree(made)
        raise
    if place.exists():
        place.rename(old)
    made.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def link(parts: Sequence[Path], folder: Path) -> list[Path]:
    """Put files that stay as they are into another folder too."""
    placed = [folder / path.name for path in parts]
    for path, place in zip(parts, placed, strict=True):
        try:
            place.hardlink_to(path)
        except OSError:  # a file system without links
            shutil.copyfile(path, place)
    return placed


def save(spans: Path, manifest: Manifest) -> None:
    """Write a manifest beside freshly written spans."""
    (spans / "manifest.json").write_text(json.dumps(asdict(manifest)))


def probe(path: Path, end: int) -> tuple[str, str]:
    """Hash the first bytes and the last ones before `end`."""
    with open(path, "rb") as stream:
        head = stream.read(min(_PROBE, end))
        stream.seek(max(0, end - _PROBE))
        tail = stream.read(min(_PROBE, end))
    return hashlib.sha256(head).hexdigest()[:16], hashlib.sha256(tail).hexdigest()[:16]
