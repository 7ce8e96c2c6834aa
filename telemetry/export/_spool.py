"""An appended, rotating file with one owner at a time.

Each process writes a file of its own: the first one `penstock-spans.jsonl`, others that run beside it
`penstock-spans.<pid>.jsonl`. An advisory lock decides who is first, so that forked, spawned and
unrelated processes are told apart without any word between them, and a dead owner's file is free again.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 256 * 1024 * 1024
KEPT: Final = 3


class Spool:
    """Append bytes to `path`, or beside it while another process owns it. Not thread-safe.

    Above `max_bytes` the file becomes `<name>.1`, older ones move up, and `kept` of them stay.

    Raises:
        OSError: from every method, as the file system says.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self.main = path
        self.path = path
        self.found: int | None = None
        """Bytes that the file held when this process took it; None before."""
        self._max_bytes, self._kept = max_bytes, kept
        self._fd: int | None = None
        self._size = 0
        self._created = False
        self._inherited = False

    @property
    def owns_main(self) -> bool:
        """True when this process writes `path` itself and not a file beside it."""
        return self.path == self.main

    def open(self) -> None:
        """Take a file, so that a later process cannot take it first."""
        if self._fd is not None:
            return
        self.main.parent.mkdir(parents=True, exist_ok=True)
        for path in (self._beside(),) if self._inherited else (self.main, self._beside()):
            created = not path.exists()
            fd = _take(path)
            if fd is not None:
                break
        else:
            raise OSError(f"{path} is written by another process")
        self.path, self._created, self._fd, self._size = path, created, fd, os.fstat(fd).st_size
        self.found = self._size if self.found is None else self.found
        if self._size and os.pread(fd, 1, self._size - 1) != b"\n":
            self._write(b"\n")  # whoever wrote last died in the middle of a line

    def append(self, lines: bytes) -> None:
        """Write whole lines, or none: what a full disk took of them is cut off again."""
        self.open()
        if self._size and self._size + len(lines) > self._max_bytes:
            self._rotate()
        before = self._size
        try:
            self._write(lines)
        except OSError:
            self._cut(before)
            raise

    def close(self) -> None:
        """Let go of the file; one that was made and never written to is removed."""
        if self._fd is not None and self._created and self._size == 0:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self._forget()

    def after_fork(self) -> None:
        """Leave the file to the parent: a child writes beside it, also when the parent is gone."""
        self._forget()
        self._inherited = True
        self.path, self.found = self._beside(), None

    def written_beside(self, since: float) -> int:
        """Count the files that other processes wrote beside `path` since that Unix time."""
        start, end = f"{self.main.stem}.", self.main.suffix
        count = 0
        for entry in os.scandir(self.main.parent):
            name = entry.name
            number = name.removeprefix(start).removesuffix(end)
            if name == f"{start}{number}{end}" and number.isdigit() and entry.path != str(self.path):
                told = entry.stat()
                count += told.st_size > 0 and told.st_mtime >= since
        return count

    def _forget(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._size = None, 0

    def _beside(self) -> Path:
        return self.main.with_name(f"{self.main.stem}.{os.getpid()}{self.main.suffix}")

    def _write(self, data: bytes) -> None:
        assert self._fd is not None
        while data:
            written = os.write(self._fd, data)
            self._size += written
            data = data[written:]

    def _cut(self, size: int) -> None:
        assert self._fd is not None
        with contextlib.suppress(OSError):  # a pipe keeps what it has
            os.ftruncate(self._fd, size)
            self._size = size

    def _rotate(self) -> None:
        path = self.path
        for n in range(self._kept, 0, -1):
            older = path.with_name(f"{path.name}.{n}")
            newer = path if n == 1 else path.with_name(f"{path.name}.{n - 1}")
            if newer.exists():
                newer.replace(older)
        self._forget()
        self.open()


def _take(path: Path) -> int | None:
    """Open and lock, or None when somebody else holds it."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            return fd  # a file system without locks: appending still works
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        os.close(fd)  # it was removed or rotated away between open and lock
