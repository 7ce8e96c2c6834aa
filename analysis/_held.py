"""Spans at rest: files with what each span told, and files with what relating them found, row by row.

What was told is written once, by whoever decodes it, and stays as it is when spans of other files, or of
a file that grew, are related to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from penstock.analysis._columns import COLUMNS
from penstock.analysis._engine import parquet
from penstock.analysis._resolve import RELATED

_MOST_SCANS: Final = 4
"""Rows that lie side by side are read by one thread; each scan of its own takes milliseconds to plan."""
_FIRST: Final = "duplicate"
"""Where no column is needed, the first one is read: a small one."""
_COLUMNS: Final = [_FIRST, *COLUMNS, *(name for name in RELATED if name not in COLUMNS and name != _FIRST)]


@dataclass(frozen=True, slots=True)
class Held:
    """The files of some spans. `parts` are in the order in which they were related."""

    parts: list[Path]
    found: list[Path]

    @classmethod
    def of(cls, parts: list[Path], folder: Path) -> "Held":
        """Find what a folder has about files, which may lie elsewhere."""
        return cls(parts, sorted(folder.glob("found-*.parquet")))

    @property
    def files(self) -> list[Path]:
        """Give every file that is read."""
        return [*self.found, *self.parts]

    def table(self) -> str:
        """Give what stands in FROM for the spans: duplicates too."""
        found = {name: f"f.{name}" for name in RELATED} | {"task": "coalesce(f.task, t.trace_id)"}
        columns = ", ".join(f"{found.get(name, f't.{name}')} AS {name}" for name in _COLUMNS)
        scans = (
            f"SELECT {columns} FROM {parquet(parts)} t POSITIONAL JOIN {parquet(found)} f"  # noqa: S608
            for parts, found in self._runs()
        )
        return f"({' UNION ALL '.join(scans)})"

    def _runs(self) -> Iterator[tuple[list[Path], list[Path]]]:
        """Cut between rows where a file of either kind begins."""
        begins = [tuple(map(int, path.stem.split("-")[1:3])) for path in self.found]
        cuts = [(part, place) for place, (part, row) in enumerate(begins) if row == 0]
        chosen = cuts[:: -(-len(cuts) // _MOST_SCANS)]
        for (part, place), (next_part, next_place) in pairwise([*chosen, (len(self.parts), len(self.found))]):
            yield self.parts[part:next_part], self.found[place:next_place]
