"""What every provider's wire is reduced to.

What is made anew for each answer are named tuples: a frozen dataclass costs three times as much to make.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a URL asks for. `operation` is OTel's name (chat, embeddings, …); `wire` names the codec.

    `model` is there where the path names it.
    """

    provider: str
    operation: str
    wire: str
    model: str | None = None


class PromptHead(NamedTuple):
    """What a prompt begins with and providers cache: encoded parts to be hashed at once, never kept.

    `first` is the first message, of prompts that have neither tools nor a system prompt.
    """

    tools: bytes = b""
    system: bytes = b""
    first: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """What a request body declares. `input_tokens` is estimated from its length (4 characters a token)."""

    model: str
    stream: bool = False
    max_output_tokens: int | None = None
    input_tokens: int = 0
    head: PromptHead | None = None


class Window(NamedTuple):
    """One quota window as its headers tell it; `reset_seconds` from now until it is full again.

    `period_seconds` is what `limit` is per: a minute, but a day for Groq's requests, and 1 or 10 s
    slices on Azure.
    """

    limit: float | None = None
    remaining: float | None = None
    reset_seconds: float | None = None
    period_seconds: float = 60.0


class Quota(NamedTuple):
    """The windows that a response's headers spoke of."""

    requests: Window | None = None
    tokens: Window | None = None
    input_tokens: Window | None = None
    output_tokens: Window | None = None


class Usage(NamedTuple):
    """Tokens of one answer. `input` includes cached tokens; None is unknown, never 0."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None


class Outcome(NamedTuple):
    """What a finished body (JSON or stream) told. `error` is an in-band error envelope after a 200."""

    usage: Usage | None = None
    model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    error: Mapping[str, object] | None = None
    complete: bool = True
    """False when a stream ended without its final event."""


class BodyReader(Protocol):
    """Reads an answer as it passes by; bounded memory whatever the answer's length."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes off the wire (decoded content)."""
        ...

    def outcome(self) -> Outcome:
        """Tell what was learnt so far."""
        ...


class Provider(Protocol):
    """One provider's wire knowledge: data and codecs, no policy."""

    @property
    def name(self) -> str:
        """Say whose wire it is, in one lower-case word."""
        ...

    def endpoint(self, host: str, path: str) -> Endpoint | None:
        """Say what the URL asks for, or None if it is no LLM call of this provider."""
        ...

    def request(self, endpoint: Endpoint, body: bytes) -> RequestFacts | None:
        """Read a JSON request body; None when it cannot be read."""
        ...

    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        """Read quota headers (lower-case names)."""
        ...

    def reader(self, endpoint: Endpoint, content_type: str) -> BodyReader:
        """Make a reader for one answer's body, JSON or SSE by content type."""
        ...

    def refusal(self, eta_seconds: float, message: str) -> tuple[dict[str, str], bytes]:
        """Build headers and body of a 429 in this provider's shape, code `penstock_backpressure`."""
        ...
