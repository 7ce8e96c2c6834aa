"""What is asked of a quota and what it answers. Times are seconds, tokens are tokens."""

from dataclasses import dataclass
from enum import StrEnum


class Dimension(StrEnum):
    """What a quota counts over time."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"


class Refusal(StrEnum):
    """Why a request was not accepted. The first four are dimensions that ran out.

    `EXHAUSTED` (money, a plan, a day's cap) is never the quota model's own: a script asks for it.
    """

    REQUESTS = "requests"
    TOKENS = "tokens"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    CONCURRENCY = "concurrency"
    SLOPE = "slope"
    TOO_LARGE = "too_large"
    OVERLOADED = "overloaded"
    OUTAGE = "outage"
    EXHAUSTED = "exhausted"


class Fault(StrEnum):
    """How an accepted call fails."""

    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    BROKEN_STREAM = "broken_stream"


@dataclass(frozen=True, slots=True)
class Request:
    """What a request declares, and how long its answer will be.

    `max_tokens` is what a provider that reserves does so on. `output_tokens` sets the latency. `draw`
    is the standard normal that picks the latency's quantile; None draws one.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    max_tokens: int = 0
    cached_tokens: int = 0
    stream: bool = False
    draw: float | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The call runs: its head comes `head_seconds` after the request, its last byte after `seconds`.

    `charged_tokens` is what was taken from the token budget at the start.
    """

    id: int
    head_seconds: float
    seconds: float
    charged_tokens: float = 0.0
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The call does not run. `retry_after` is in exact seconds, None when the provider cannot know.

    `limit`, `used` and `requested` are what the error text tells, in the dimension's unit.
    """

    kind: Refusal
    status: int
    retry_after: float | None = None
    seconds: float = 0.08
    limit: float = 0.0
    used: float = 0.0
    requested: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """One dimension now. `reset_seconds` until it is full again; `capacity` the most it can hold."""

    limit: float
    remaining: float
    reset_seconds: float
    capacity: float
