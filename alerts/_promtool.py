"""Run Prometheus's own checker over the generated rules."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from penstock.errors import UsageError

_TIMEOUT_SECONDS: Final = 300


def promtool(arguments: list[str], files: Mapping[str, str]) -> tuple[bool, str]:
    """Run promtool in a folder that holds `files`; return whether it passed, and what it said.

    Raises:
        UsageError: if promtool is not installed.
    """
    program = shutil.which("promtool")
    if program is None:
        raise UsageError("promtool is not installed; it comes with Prometheus: apt-get install prometheus")
    with tempfile.TemporaryDirectory(prefix="penstock-rules-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - our own arguments
            [program, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    return done.returncode == 0, (done.stdout + done.stderr).strip()
