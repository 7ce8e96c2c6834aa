"""One attempt in the air: from the send to the last byte of its answer, ended exactly once.

Every method may be called from any thread, none raises, none blocks. Whoever first says how the
attempt ended (the stream, the response's close, the garbage collector, the reaper) is believed.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context

from penstock.classifiers import (
    Evidence,
    SpanKind,
    Verdict,
    classify,
    evidence_of_response,
    evidence_of_stream_error,
)
from penstock.providers import BodyReader, Endpoint, Outcome, Provider
from penstock.telemetry import guard
from penstock.telemetry.collecting import COLLECTING, apart
from penstock.telemetry.hooks.failures import log_failure
from penstock.telemetry.operations import OperationScope, gave_up, verdict_of_raised
from penstock.telemetry.records import Attempt

if TYPE_CHECKING:
    from penstock.telemetry.hooks.engine import Engine

ERROR_BODY_LIMIT: Final = 16 * 1024
REQUEST_ID_HEADERS: Final = (
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-goog-request-id",
)

EOF: Final = "eof"
CLOSED: Final = "closed"
BROKEN: Final = "broken"
COLLECTED: Final = "collected"
CANCELLED: Final = "cancelled"


class LiveAttempt:
    """Feeds one `Attempt` record and tells the sinks."""

    __slots__ = (
        "_engine", "_error_body", "_on_end", "_reader", "_scope", "_streams",
        "attempt", "context", "endpoint", "going", "headers", "moved_ns", "provider", "tap",
    )  # fmt: skip

    def __init__(
        self,
        engine: "Engine",
        scope: OperationScope,
        attempt: Attempt,
        provider: Provider,
        endpoint: Endpoint,
    ) -> None:
        self.attempt = attempt
        self.provider = provider
        self.endpoint = endpoint
        self.moved_ns = attempt.started_ns
        self.headers: Mapping[str, str] = {}
        self.context: Context | None = None
        """The OpenTelemetry context to send in; None without spans."""
        self.tap: Callable[[bytes], None] | None = None
        self._on_end: Callable[[Attempt], None] | None = None
        self._engine = engine
        self._scope = scope
        self._reader: BodyReader | None = None
        self._error_body: bytearray | None = None
        self._streams = False
        self.going: list[None] = [None]
        """Empty once the attempt is over. A list, since taking its one element is atomic."""

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of the answer (lower-case header names)."""
        attempt = self.attempt
        attempt.status = status
        self.headers = headers
        attempt.unread_quota = partial(self.provider.quota, headers)
        try:
            for name in REQUEST_ID_HEADERS:
                if name in headers:
                    attempt.request_id = headers[name]
                    break
            if status >= 400:
                self._error_body = bytearray()
            else:
                content_type = headers.get("content-type", "").lower()
                self._streams = "event-stream" in content_type or "eventstream" in content_type
                self._reader = self.provider.reader(self.endpoint, content_type)
        except guard.OURS as error:
            guard.failed("live.head", error)

    def moved(self) -> None:
        """Note that bytes came."""
        self.moved_ns = moved_ns = time.time_ns()
        if self.attempt.first_byte_ns is None:
            self.attempt.first_byte_ns = moved_ns

    def feed(self, chunk: bytes) -> None:
        """Read decoded bytes of the body as they pass."""
        try:
            if self._reader is not None:
                self._reader.feed(chunk)
                if self.tap is not None:
                    guard.quietly("interceptor.tap", self.tap, chunk)
            elif self._error_body is not None and len(self._error_body) < ERROR_BODY_LIMIT:
                self._error_body += chunk[: ERROR_BODY_LIMIT - len(self._error_body)]
        except guard.OURS as error:
            self._reader = None
            guard.failed("live.feed", error)

    @property
    def error_unread(self) -> bool:
        """True while an error's body is on its way and nobody has read any of it."""
        return bool(self.going) and self._error_body is not None and not self._error_body

    def verdict_so_far(self) -> Verdict | None:
        """Classify what is known now: of a body still on the wire, its head."""
        if self.going and (self.attempt.status or 0) >= 400:
            return self._verdict(EOF, None, None)
        return self.attempt.verdict

    def when_over(self, told: Callable[[Attempt], None]) -> None:
        """Call `told` once the attempt is over; now, if it is."""
        if self.going:
            self._on_end = told
        else:
            told(self.attempt)

    def finished(self) -> None:
        """The body was read to its end."""
        self._end(EOF, None)

    def closed(self) -> None:
        """The app closed the body; a stream whose last event was read is finished, not cut short."""
        self._end(CLOSED, None)

    def broke(self, error: BaseException) -> None:
        """The send or the body raised."""
        self._end(CANCELLED if gave_up(error) else BROKEN, error)

    def collected(self) -> None:
        """The response was dropped unread."""
        self._end(COLLECTED, None)

    def disown(self) -> None:
        """End without telling anyone: this process is a fork."""
        self.going.clear()

    def _end(self, how: str, error: BaseException | None) -> None:
        if not self.going:
            return
        try:
            self.going.pop()  # of two threads that end it at once, one goes on
        except IndexError:
            return
        attempt = self.attempt
        outcome: Outcome | None = None
        try:
            attempt.ended_ns = time.time_ns()
            attempt.end = how
            if self._reader is not None:
                outcome = self._outcome(self._reader, how)
            if outcome is None or outcome.error is not None or error is not None or attempt.end == BROKEN:
                attempt.verdict = self._verdict(attempt.end, outcome, error)
        except guard.OURS as ours:
            guard.failed("live.end", ours)
        finally:
            self._release(outcome)

    def _outcome(self, reader: BodyReader, how: str) -> Outcome:
        outcome = reader.outcome()
        self._reader = None
        self.attempt.usage = outcome.usage
        if how == CLOSED and outcome.complete and self._streams:
            self.attempt.end = EOF  # SDKs stop at [DONE] and close: nothing was cut off
        elif how == EOF and not outcome.complete:
            self.attempt.end = BROKEN  # botocore, for one, takes half a document for an answer
        return outcome

    def _verdict(
        self, end: str | None, outcome: Outcome | None, error: BaseException | None
    ) -> Verdict | None:
        attempt = self.attempt
        provider = attempt.provider
        started = attempt.first_byte_ns is not None
        if attempt.status is not None and attempt.status >= 400:
            body = bytes(self._error_body or b"")
            return classify(
                evidence_of_response(
                    attempt.status, self.headers, body, provider=provider, span_kind=SpanKind.LLM
                )
            )
        if error is not None:
            return verdict_of_raised(error, provider, stream_started=started)
        if outcome is not None and outcome.error is not None:
            return classify(
                evidence_of_stream_error(
                    {"error": dict(outcome.error)},
                    provider=provider,
                    span_kind=SpanKind.LLM,
                    headers=self.headers,
                )
            )
        if end == BROKEN:
            return classify(_cut_short(provider))
        return None

    def _release(self, outcome: Outcome | None) -> None:
        attempt = self.attempt
        engine = self._engine
        engine.landed(self)
        if get_ident() in COLLECTING:
            apart(self._release, outcome)
            return
        for sink in engine.attempt_sinks:
            try:
                sink.attempt_ended(attempt)
            except guard.OURS as error:
                guard.failed("sink.attempt_ended", error)
        try:
            if attempt.span is not None:
                engine.writer.attempt_ended(attempt)
            if attempt.verdict is not None:
                log_failure(attempt)
            if self._on_end is not None:
                self._on_end(attempt)
        except guard.OURS as error:
            guard.failed("live.release", error)
        try:
            self._scope.attempt_ended(attempt, outcome)
        except guard.OURS as error:
            guard.failed("live.scope", error)


def _cut_short(provider: str) -> Evidence:
    """A body that ended before its last event or brace, although nothing was raised."""
    return Evidence(
        provider=provider,
        span_kind=SpanKind.LLM,
        exception_types=("IncompleteRead", "RemoteProtocolError"),
        message="the answer ended before its end",
        stream_started=True,
    )
