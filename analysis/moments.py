"""Times as people type them and spans carry them -> nanoseconds since 1970."""

import re
from datetime import UTC, datetime
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS: Final = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?")


def nanoseconds(value: object) -> int | None:
    """Read ISO 8601 (no zone means UTC), a datetime, seconds as text, or nanoseconds.

    Up to nine decimals count.

    Raises:
        ValueError: it is none of these.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, datetime):
        return _since_epoch(value)
    if not isinstance(value, str):
        raise ValueError(f"a time was expected, not {value!r}")
    text = value.strip()
    if found := _SECONDS.fullmatch(text):
        return int(found[1]) * 1_000_000_000 + int((found[2] or "").ljust(9, "0"))
    head, dot, tail = text.replace(" ", "T", 1).partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    if not dot:
        return _since_epoch(datetime.fromisoformat(head))
    whole = _since_epoch(datetime.fromisoformat(head + tail[digits:]))
    return whole + int(tail[:digits][:9].ljust(9, "0"))


def _since_epoch(moment: datetime) -> int:
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
