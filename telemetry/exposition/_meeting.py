"""Where the processes of one run meet: a folder that all of them find."""

import os
import stat
import sys
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Final

FOLDER_VARIABLE: Final = "_PENSTOCK_METRICS"
"""Tells children of a run where its processes meet."""


def inherited() -> Path | None:
    """Give the folder that a launcher, or the instrumented process that started this one, told of."""
    told = os.environ.get(FOLDER_VARIABLE)
    return Path(told) if told and Path(told).is_dir() else None


def found(host: str, port: int) -> Path:
    """Give the folder of workers that a server has started each for itself.

    They have the same parent and command line and ask for the same port; 0 is a port of one's own.
    """
    if port:
        known_by = repr((os.getppid(), sys.argv, host, port)).encode()
        name = f"penstock-{os.getuid()}-{blake2b(known_by, digest_size=8).hexdigest()}"
        shared = Path(tempfile.gettempdir(), name)
        if _is_ours(shared):
            return shared
    return Path(tempfile.mkdtemp(prefix="penstock-"))


def _is_ours(folder: Path) -> bool:
    """Make a folder with a name that others can guess; False where it is not ours alone."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        there = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(there.st_mode) and there.st_uid == os.getuid() and not there.st_mode & 0o077
