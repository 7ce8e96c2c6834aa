"""What the server does in each cell, what the app does, and what must be seen."""

from dataclasses import dataclass
from typing import Any

SOON = {"retry-after-ms": "10", "retry-after": "0.01"}
LIMITED = {"status": 429, "headers": SOON}
OK = {"status": 200, "output_tokens": 12}
PATIENT = 20.0


@dataclass(frozen=True)
class Cell:
    """`classes` are the verdicts of the attempts in order (None is success); a set allows either.

    `act` is what the app does: finish, abandon (leave the stream after a chunk), cancel (its task).
    """

    name: str
    script: tuple[dict[str, Any], ...]
    classes: tuple[Any, ...]
    ends: tuple[str, ...]
    act: str = "finish"
    retries: int = 2
    timeout: float = PATIENT
    stream: bool | None = None
    asynchronous: bool | None = None

    def applies(self, *, stream: bool, asynchronous: bool) -> bool:
        return self.stream in (None, stream) and self.asynchronous in (None, asynchronous)


CELLS = (
    Cell("200", (OK,), (None,), ("eof",)),
    Cell(
        "429,429,200",
        (LIMITED, LIMITED, OK),
        ("rate_limit", "rate_limit", None),
        ("*", "*", "eof"),
    ),
    Cell("429 to the end", (LIMITED,) * 3, ("rate_limit",) * 3, ("*", "*", "eof")),
    Cell("timeout", ({"fault": "hang"},) * 2, ("timeout",) * 2, ("broken",) * 2, retries=1, timeout=0.15),
    Cell("reset", ({"fault": "reset"},) * 2, ("network",) * 2, ("broken",) * 2, retries=1),
    Cell(
        "broken stream",
        ({"fault": "broken_stream", "output_tokens": 30, "after_chunks": 3},),
        ("network",),
        ("broken",),
        retries=0,
        stream=True,
    ),
    Cell(
        "broken body",
        ({"fault": "broken_stream", "output_tokens": 30, "after_chunks": 0},),
        ("network",),
        ("broken",),
        retries=0,
        stream=False,
    ),
    Cell(
        "error in the stream",
        ({"fault": "in_band_error", "kind": "overloaded", "output_tokens": 30, "after_chunks": 3},),
        ({"overloaded", "server_error"},),
        ("eof",),
        retries=0,
        stream=True,
    ),
    Cell(
        "error in a 200",
        (
            {
                "status": 200,
                "body": {
                    "type": "error",
                    "error": {
                        "type": "overloaded_error",
                        "code": "server_is_overloaded",
                        "message": "Overloaded",
                    },
                },
            },
        ),
        ({"overloaded", "server_error"},),
        ("eof",),
        retries=0,
        stream=False,
    ),
    Cell(
        "abandoned",
        ({"status": 200, "output_tokens": 200, "delay_seconds": 0.2},),
        (None,),
        ("closed",),
        act="abandon",
        stream=True,
    ),
    Cell(
        "cancelled",
        ({"fault": "hang"},),
        ("cancelled",),
        ("cancelled",),
        act="cancel",
        asynchronous=True,
    ),
)
