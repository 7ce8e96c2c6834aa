"""One send of the app through a hook: admission, attempts, retries, settlement. Sans I/O.

A transport drives it::

    sending = Sending(engine, outgoing)
    sending.granted(sending.ticket.wait())       # where there is an interceptor; else answer the app
    live = sending.launch()
    … the transport sends …
    sending.answered(live) or sending.failed(live, error): True asks to send again
    sending.leave(None or the exception)

Making one may raise, no method does. Where our own code fails, the send goes on as if we were not there.
"""

import time
from collections.abc import Callable, Mapping
from threading import get_ident
from typing import TypeVar, TypeVarTuple
from urllib.parse import urlsplit

from opentelemetry import context as context_api

from penstock.classifiers import SpanKind, classify, evidence_of_response
from penstock.providers import Rewritten, rewrite
from penstock.telemetry import guard
from penstock.telemetry.collecting import COLLECTING, apart
from penstock.telemetry.hooks.engine import Engine
from penstock.telemetry.hooks.live import CANCELLED, CLOSED, EOF, LiveAttempt
from penstock.telemetry.hooks.outgoing import Outgoing
from penstock.telemetry.interceptor import (
    Admission,
    Answer,
    Granted,
    Interceptor,
    Next,
    Refused,
    Route,
    Served,
    Settlement,
    Ticket,
)
from penstock.telemetry.operations import CURRENT, OperationScope
from penstock.telemetry.records import Attempt, Operation

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Sending:
    """What the app sent once, and what came of it. Made, its operation is open and its call queued."""

    __slots__ = (
        "_again", "_engine", "_handed", "_interceptor", "_own_scope", "_sent_at", "_settled", "operation",
        "out", "queued_seconds", "route", "scope", "tap", "ticket",
    )  # fmt: skip

    def __init__(self, engine: Engine, out: Outgoing) -> None:
        self.out = out
        current = CURRENT.get()  # the SDK call that this is a part of; else it is one alone
        if current is not None and not current.going:
            current = None
        self.scope = scope = OperationScope(engine.writer, engine.work_sinks) if current is None else current
        self.operation: Operation = scope.operation or engine.open(out, scope)
        self.ticket: Ticket | None = None
        self.route: Route | None = None
        self.tap: Callable[[bytes], None] | None = None
        self.queued_seconds = 0.0
        self._engine = engine
        self._interceptor: Interceptor | None = None
        self._own_scope = current is None
        self._sent_at = 0.0
        self._settled = False
        self._again = False
        self._handed = False
        if engine.interceptor is not None:
            self._queue(engine, engine.interceptor)

    def _queue(self, engine: Engine, interceptor: Interceptor) -> None:
        """Hand the call to whoever decides; where that fails it is sent as if nobody did."""
        try:
            self.ticket = self._under_span(interceptor.admit, engine.call(self.out, self.operation))
            self._interceptor = interceptor
        except guard.OURS as error:
            guard.failed("interceptor.admit", error)

    def granted(self, admission: Admission) -> bool:
        """Note an admission; True to send."""
        self.queued_seconds = admission.queued_seconds
        if isinstance(admission, Granted):
            self.route, self.tap = admission.route, admission.tap
            return True
        return False

    def waiting_failed(self, error: BaseException) -> None:
        """The interceptor broke: drop it and send as if it were not there."""
        guard.failed("ticket.wait", error)
        self._settle(CLOSED)
        self.ticket = None
        self.queued_seconds = 0.0

    def refusal(self, refused: Refused) -> tuple[int, dict[str, str], bytes]:
        """Word a refusal as the provider's own 429."""
        pool = self.operation.pool
        advice = f"A call to {pool} would start in about {max(refused.eta_seconds, 0):.0f} s."
        if refused.reason == "too_large":
            advice = f"It is larger than the token window of {pool}, so waiting will not help: send less."
        message = f"Penstock did not send this request: {refused.reason}. {advice}"
        headers, body = self.out.provider.refusal(refused.eta_seconds, message)
        try:
            self.scope.refused(
                classify(
                    evidence_of_response(
                        429, headers, body, provider=self.operation.provider, span_kind=SpanKind.LLM
                    )
                )
            )
        except guard.OURS as error:
            guard.failed("sending.refusal", error)
        self._settle(CLOSED)
        return 429, headers, body

    def served(self, served: Served) -> None:
        """Note that someone else's answer is given to the app."""
        self.operation.trust, self.operation.trust_reason = served.trust, served.reason or None
        self.operation.fallback_from = None
        self._settle(EOF)

    def rewritten(self, url: str, headers: Mapping[str, str]) -> Rewritten:
        """Rewrite the request for its route."""
        assert self.route is not None
        return rewrite(
            url,
            headers,
            self.out.body,
            base_url=self.route.base_url,
            api_key=self.route.api_key,
            model=self.route.model,
        )

    def launch(self) -> LiveAttempt | None:
        """Put the next attempt in the air; None where that fails."""
        try:
            out, operation, route = self.out, self.operation, self.route
            self._sent_at = time.monotonic()
            number = operation.attempts + 1
            if self._own_scope and out.attempt_header is not None:
                number = max(number, out.attempt_header)
            attempt = Attempt(
                operation,
                number,
                out.provider.name,
                out.host,
                out.port,
                operation.pool,
                out.facts.model,
                time.time_ns(),
                self.queued_seconds,
                None if number == 1 else ("penstock" if self._again else "sdk"),
            )
            if route is not None:
                attempt.fallback_from = operation.pool
                attempt.pool, attempt.trust = route.pool, route.trust
                attempt.trust_reason = route.reason or None
                attempt.model = route.model or attempt.model
                attempt.provider = route.provider or attempt.provider
                if route.base_url is not None:
                    target = urlsplit(route.base_url)
                    attempt.host, attempt.port = target.hostname or out.host, target.port
            operation.trust, operation.trust_reason = attempt.trust, attempt.trust_reason
            operation.fallback_from = attempt.fallback_from
            live = self._engine.start(out, self.scope, attempt)
            live.tap = self.tap
            if route is not None and route.base_url is not None:  # its headers count as its own host counts
                found = self._engine.registry.lookup(attempt.host, out.path)
                live.provider = found[0] if found is not None else live.provider
            return live
        except guard.OURS as error:
            guard.failed("sending.launch", error)
            return None

    def answered(self, live: LiveAttempt) -> bool:
        """Hand the head of an answer to the interceptor; True when it wants another attempt."""
        attempt = live.attempt
        answer = Answer(
            sent_at=self._sent_at,
            at=time.monotonic(),
            status=attempt.status,
            quota=attempt.quota,
            verdict=live.verdict_so_far(),
            headers=live.headers,
        )
        if self._wants_another(answer):
            return True
        self._handed = True
        live.when_over(self._ended)
        return False

    def failed(self, live: LiveAttempt | None, error: BaseException) -> bool:
        """Note that the send raised; True when the interceptor wants another attempt."""
        if live is None:
            return False
        live.broke(error)
        if get_ident() in COLLECTING:  # a coroutine that was dropped
            apart(self._ended, live.attempt)
            return False
        if isinstance(error, Exception):
            verdict = live.attempt.verdict
            if self._wants_another(Answer(sent_at=self._sent_at, at=time.monotonic(), verdict=verdict)):
                return True
        self._ended(live.attempt)
        return False

    def leave(self, error: BaseException | None) -> None:
        """The hook is about to return to the app, or to raise."""
        if error is not None and get_ident() in COLLECTING:
            apart(self.leave, error)
            return
        try:
            if self.ticket is not None and not self._handed:
                self._settle(CLOSED if error is None or isinstance(error, Exception) else CANCELLED)
            if self._own_scope:
                if error is None:
                    self.scope.close_one()
                else:
                    self.scope.raised(error)
        except guard.OURS as ours:
            guard.failed("sending.leave", ours)

    def _wants_another(self, answer: Answer) -> bool:
        if self.ticket is None or self._interceptor is None:
            return False
        try:
            self._again = self._under_span(self._interceptor.answer, self.ticket, answer) is Next.RETRY
        except guard.OURS as error:
            guard.failed("interceptor.answer", error)
            self._again = False
        return self._again

    def _ended(self, attempt: Attempt) -> None:
        self._settle(attempt.end or CLOSED, attempt)

    def _settle(self, end: str, attempt: Attempt | None = None) -> None:
        if self._settled or self.ticket is None or self._interceptor is None:
            return
        self._settled = True
        try:
            usage, verdict = (attempt.usage, attempt.verdict) if attempt is not None else (None, None)
            settlement = Settlement(at=time.monotonic(), end=end, usage=usage, verdict=verdict)
            self._under_span(self._interceptor.settle, self.ticket, settlement)
        except guard.OURS as error:
            guard.failed("interceptor.settle", error)

    def _under_span(self, ask: Callable[[*Ts], T], *args: *Ts) -> T:
        """Ask the interceptor. What it tells of goes on the operation's span, which is not always current."""
        span = self.scope.span
        if span is None:
            return ask(*args)
        token = context_api.attach(span.context)
        try:
            return ask(*args)
        finally:
            context_api.detach(token)
