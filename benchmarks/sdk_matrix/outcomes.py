"""What the server does in each cell, what the app does, and what must be seen."""

from dataclasses import dataclass
from typing import Any

MANY = 40
"""More than any SDK tries."""
OK = {"status": 200, "output_tokens": 12}
LIMITED = {"status": 429, "headers": {"retry-after-ms": "10", "retry-after": "0.01"}}
BUSY = {"overloaded", "server_error"}
REFUSED = object()
"""Whatever the provider means by a 429."""
LEFT = object()
"""A good answer that was not read to its end."""
PATIENT_SECONDS = 20.0


@dataclass(frozen=True)
class Settings:
    """What a cell asks of an SDK.

    `retries` is how often it may try again by itself; an SDK that counts time instead goes on for
    `persistent_seconds`.
    """

    url: str
    retries: int = 2
    timeout_seconds: float = PATIENT_SECONDS
    persistent_seconds: float = 10.0


@dataclass(frozen=True)
class Cell:
    """`script` is what the server does in turn, `classes` the verdict on each (None is success; a set allows
    any), `ends` how its body ended (`*` is any). How many of them an SDK uses up is its own affair, but
    `at_least` so many.

    `act` is what the app does: finish, abandon (leave the stream after a chunk), cancel (its task).
    """

    name: str
    script: tuple[dict[str, Any], ...]
    classes: tuple[Any, ...]
    ends: tuple[str, ...]
    act: str = "finish"
    at_least: int = 1
    retries: int = 2
    timeout_seconds: float = PATIENT_SECONDS
    persistent_seconds: float = 10.0
    stream: bool | None = None
    asynchronous: bool | None = None
    openai_or_anthropic: bool = False

    def applies(self, *, stream: bool, asynchronous: bool) -> bool:
        return self.stream in (None, stream) and self.asynchronous in (None, asynchronous)

    def settings(self, url: str) -> Settings:
        return Settings(url, self.retries, self.timeout_seconds, self.persistent_seconds)


CELLS = (
    Cell("200", (OK,), (None,), ("eof",)),
    Cell(
        "429,429,200",
        (LIMITED, LIMITED, OK),
        (REFUSED, REFUSED, None),
        ("*", "*", "eof"),
        at_least=3,
    ),
    Cell(
        "429 to the end",
        (LIMITED,) * MANY,
        (REFUSED,) * MANY,
        ("*",) * MANY,
        persistent_seconds=0.1,
    ),
    Cell(
        "timeout",
        ({"fault": "hang"},) * MANY,
        ("timeout",) * MANY,
        ("broken",) * MANY,
        retries=1,
        timeout_seconds=0.15,
        persistent_seconds=0.1,
    ),
    Cell(
        "reset",
        ({"fault": "reset"},) * MANY,
        ("network",) * MANY,
        ("broken",) * MANY,
        retries=1,
        persistent_seconds=0.1,
    ),
    Cell(
        "broken stream",
        ({"fault": "broken_stream", "output_tokens": 30, "after_chunks": 3},) * MANY,
        ("network",) * MANY,
        ("broken",) * MANY,
        retries=0,
        persistent_seconds=0.1,
        stream=True,
    ),
    Cell(
        "broken body",
        ({"fault": "broken_stream", "output_tokens": 30, "after_chunks": 0},) * MANY,
        ("network",) * MANY,
        ("broken",) * MANY,
        retries=0,
        persistent_seconds=0.1,
        stream=False,
    ),
    Cell(
        "error in the stream",
        ({"fault": "in_band_error", "kind": "overloaded", "output_tokens": 30, "after_chunks": 3},) * MANY,
        (BUSY,) * MANY,
        ("*",) * MANY,
        retries=0,
        persistent_seconds=0.1,
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
        )
        * MANY,
        (BUSY,) * MANY,
        ("eof",) * MANY,
        retries=0,
        stream=False,
        openai_or_anthropic=True,
    ),
    Cell(
        "abandoned",
        ({"status": 200, "output_tokens": 200, "stream_seconds": 5},),
        (LEFT,),
        (LEFT,),
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
