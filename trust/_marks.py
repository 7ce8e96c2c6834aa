"""What the app demands of the model calls that it makes in a context."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from penstock.trust._carry import travels

_primary_only: ContextVar[bool] = ContextVar("penstock_primary_only", default=False)
_repeatable: ContextVar[str | None] = ContextVar("penstock_repeatable", default=None)
travels(_primary_only)
travels(_repeatable)


@contextmanager
def primary_only() -> Iterator[None]:
    """Make calls inside wait for the primary: no fallback answers them, and no cache."""
    token = _primary_only.set(True)
    try:
        yield
    finally:
        _primary_only.reset(token)


def is_primary_only() -> bool:
    """Whether calls made here must be answered by the primary."""
    return _primary_only.get()


@contextmanager
def repeatable(key: str) -> Iterator[None]:
    """Declare that model calls made inside may be sent again although the first may have run.

    Without it, timeouts and server errors of calls that may have run are not repeated. `key` names the
    logical operation; with the request it makes each call's stable idempotency key.
    """
    token = _repeatable.set(key)
    try:
        yield
    finally:
        _repeatable.reset(token)


def repeat_key(body: bytes) -> str | None:
    """Make the stable key of a request sent here; None where nobody declared it repeatable."""
    key = _repeatable.get()
    if key is None:
        return None
    return hashlib.blake2b(key.encode() + b"\0" + body, digest_size=16).hexdigest()
