"""What the guards of a process share: the default ledger, the rules for tools, who counts outcomes.

Decorators run at import, before anything is configured, so they ask here when they are called.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from penstock.trust._ledger import Ledger, MemoryLedger
from penstock.trust._policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSettings:
    """The runtime's part. `tools` holds the policies of `[trust.tools]` by tool name."""

    ledger: Ledger = field(default_factory=MemoryLedger)
    tools: Mapping[str, Policy] = field(default_factory=dict)
    on_outcome: Callable[[str], None] = lambda outcome: None


_lock = threading.Lock()
_default = TrustSettings()
_current = _default


def current() -> TrustSettings:
    """What holds now."""
    return _current


def activate(settings: TrustSettings) -> Callable[[], None]:
    """Make `settings` hold; returns the undo."""
    global _current
    with _lock:
        _current = settings

    def undo() -> None:
        global _current
        with _lock:
            if _current is settings:
                _current = _default

    return undo


def fingerprint(key: str) -> str:
    """Shorten a key to what may leave the process on a span."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]
