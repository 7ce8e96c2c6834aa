"""What the limiter learnt, kept across runs in a JSON file: pool names, rates, times; no key, no prompt."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_log: Final = logging.getLogger("penstock")
_NAME: Final = "limiter.json"
_MOST_BYTES: Final = 4 << 20


def default_folder(environ: Mapping[str, str]) -> Path | None:
    """Name the user's state folder (XDG Base Directory Specification); None for a user without a home."""
    base = Path(environ.get("XDG_STATE_HOME", ""))
    try:
        return (base if base.is_absolute() else Path.home() / ".local" / "state") / "penstock"
    except RuntimeError:
        return None


def read(folder: Path) -> dict[str, object]:
    """Read what earlier runs learnt; nothing if there is nothing that can be read."""
    file = folder / _NAME
    try:
        if not file.exists() or file.stat().st_size > _MOST_BYTES:
            return {}
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        _log.debug("penstock: cannot read %s: %s", file, error)
        return {}
    return data if isinstance(data, dict) else {}


def write(folder: Path, learnt: Mapping[str, object]) -> None:
    """Put what this run learnt over what was known of the same pools."""
    if not learnt:
        return
    file, draft = folder / _NAME, folder / f"{_NAME}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({**read(folder), **learnt}), encoding="utf-8")
        draft.replace(file)
    except (OSError, ValueError) as error:
        _log.debug("penstock: cannot write %s: %s", file, error)
