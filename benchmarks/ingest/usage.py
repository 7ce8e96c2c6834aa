"""What a command and all that it starts cost, watched from outside.

`getrusage` does not see grandchildren whose parent does not wait for them, such as workers of a fork server.
"""

import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_EVERY_SECONDS: Final = 0.02
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Usage:
    """Processor seconds, and the largest resident set of one process in MB; a little may be missed."""

    seconds: dict[int, float] = field(default_factory=dict)
    peak: dict[int, float] = field(default_factory=dict)

    @property
    def cpu_seconds(self) -> float:
        """Add up all processes."""
        return sum(self.seconds.values())

    @property
    def peak_mb(self) -> float:
        """Tell the largest process."""
        return max(self.peak.values(), default=0.0)

    def look(self, session: int) -> None:
        """Note what every process of a session has used so far."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    self._note(entry, session)
                except (OSError, IndexError):
                    continue  # it has ended

    def _note(self, entry: Path, session: int) -> None:
        told = (entry / "stat").read_text().rpartition(")")[2].split()
        if int(told[3]) != session:
            return
        self.seconds[int(entry.name)] = (int(told[11]) + int(told[12])) / _TICKS
        status = (entry / "status").read_text()
        if "VmHWM:" in status:
            self.peak[int(entry.name)] = int(status.split("VmHWM:")[1].split()[0]) / 1024


def run(command: list[str], limit_seconds: float) -> tuple[int | None, str, str, Usage]:
    """Run a command in a session of its own: code (None when it took too long), output, errors, usage."""
    usage = Usage()
    began = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        code: int | None = None
        while (code := process.poll()) is None and time.monotonic() - began < limit_seconds:
            usage.look(process.pid)
            time.sleep(_EVERY_SECONDS)
        if code is None:
            os.killpg(process.pid, 9)
        out, err = process.communicate()
    return code, out, err, usage
