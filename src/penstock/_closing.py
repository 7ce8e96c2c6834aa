"""What a program that `penstock run` started says at its end: where its spans are."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from penstock.telemetry.export import SpanFile
from penstock.telemetry.launcher import LAUNCHED


@dataclass(slots=True)
class _Written:
    """What one file of this process got, over all runtimes that wrote to it."""

    pid: int
    first: SpanFile
    spans: int = 0
    dropped: int = 0
    failure: str | None = None
    beside: int = 0


_written: Final[dict[Path, _Written]] = {}


def note(file: SpanFile) -> None:
    """Remember what to say of a file; children, which write beside it, say nothing."""
    if file.owns_main or os.environ.get(LAUNCHED) == str(os.getpid()):
        noted = _written.setdefault(file.path, _Written(os.getpid(), file))
        noted.spans += file.written
        noted.dropped += file.dropped
        noted.failure = noted.failure or file.failure
        noted.beside = noted.first.written_beside() if file.owns_main else 0


def lines(would: Counter[str] | None) -> Iterator[str]:
    """Say once where the spans are, and what an observing limiter `would` have done."""
    for path, noted in _written.items():
        if noted.pid != os.getpid():
            continue
        if noted.failure is not None:
            yield noted.failure
        elif noted.spans or noted.dropped or noted.beside:
            yield _where(path, noted)
        elif len(_written) == 1:
            yield f"no LLM calls seen; nothing written to {_short(path)}"
        if noted.spans and would is not None:
            yield _observed(would)
    _written.clear()


def _where(path: Path, noted: _Written) -> str:
    parts, added = [], noted.first.appended
    if noted.spans or noted.dropped:
        lost = f" ({noted.dropped} dropped)" if noted.dropped else ""
        spans = "span" if noted.spans == 1 else "spans"
        parts.append(f"{noted.spans} {spans} {'added to' if added else 'in'} {_short(path)}{lost}")
    if noted.beside:
        others = f"{noted.beside} other process{'es' if noted.beside > 1 else ''}"
        parts.append(f"{others} wrote {_short(path.with_name(f'{path.stem}.*{path.suffix}'))}")
    if noted.spans and added:
        since = datetime.fromtimestamp(int(noted.first.since), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        parts.append(f"this run alone: --since {since}")
    return "; ".join(parts)


def _observed(would: Counter[str]) -> str:
    """Say what the limiter would have done, had it been told to."""
    words = {"waited": "waited", "moved": "been moved", "refused": "been refused"}
    counts = [f"{would[action]} sends would have {said}" for action, said in words.items() if would[action]]
    return f"observed only: {', '.join(counts) or 'nothing would have waited'}"


def _short(path: Path) -> str:
    """Name a file as a user standing here would."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
