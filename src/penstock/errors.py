"""Every error that Penstock raises on purpose.

PenstockError
├── UsageError              bad input or configuration: the CLI prints it in one line and exits 2
├── LimiterError
│   ├── Backpressure        the queue is full, or the wait would be too long
│   └── WouldExceedDeadline the call cannot start before its deadline
└── TrustError
    ├── TrustTooLow         irreversible work was refused on a lower-trust answer
    └── OutcomeUnknown      earlier irreversible work began under this key and never reported
"""

import re
from typing import Final

_PASSWORD: Final = re.compile(r"(?<=://)[^/\s]*:[^/\s]*(?=@)")


class PenstockError(Exception):
    """Root of the tree."""

    def __str__(self) -> str:
        """Say what happened; a URL that it quotes has lost its password."""
        return _PASSWORD.sub("…", super().__str__())


class UsageError(PenstockError):
    """Raise on bad input: say what happened, the offending value, and what to do, in one line."""


class LimiterError(PenstockError):
    """A call was not admitted."""

    def __init__(self, message: str, *, eta_seconds: float) -> None:
        super().__init__(message)
        self.eta_seconds = eta_seconds


class Backpressure(LimiterError):
    """Raised by the code API when the queue is full or the wait exceeds `max_wait_seconds`.

    `eta_seconds`: when a new call would start, as far as known. `depth`: calls queued now.
    """

    def __init__(self, message: str, *, eta_seconds: float, depth: int) -> None:
        super().__init__(message, eta_seconds=eta_seconds)
        self.depth = depth


class WouldExceedDeadline(LimiterError):
    """Raised by the code API when the expected start lies past the task's deadline."""


class TrustError(PenstockError):
    """Correctness was about to be lost."""


class TrustTooLow(TrustError):
    """Raised before irreversible work when an input's trust is below what the work requires.

    `level` is the trust found, `required` the one demanded.
    """

    def __init__(self, message: str, *, level: str = "", required: str = "") -> None:
        super().__init__(message)
        self.level = level
        self.required = required


class OutcomeUnknown(TrustError):
    """Raised when the ledger holds a begun, never finished entry for this idempotency key.

    `key` is the ledger's key. `done`: the work is known to be done and only its result was not kept.
    """

    def __init__(self, message: str, *, key: str = "", done: bool = False) -> None:
        super().__init__(message)
        self.key = key
        self.done = done
