"""The limiter for any callable: permits in code, sync and async, for models, tools and MCP hosts."""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final

from penstock.classifiers import Verdict
from penstock.errors import Backpressure, LimiterError, UsageError, WouldExceedDeadline
from penstock.limiter._queue import RANKS
from penstock.limiter._ticket import Ticket
from penstock.providers import Quota, Usage
from penstock.telemetry.interceptor import (
    Admission,
    Call,
    Granted,
    Interrupted,
    Refused,
    Route,
)

if TYPE_CHECKING:
    from penstock.limiter._limiter import Limiter

Judge = Callable[[BaseException], Verdict | None]
_log: Final = logging.getLogger("penstock")


class PoolHandle:
    """One pool, for code: `async with pool.permit(tokens=1800) as permit: …` or plain `with`."""

    def __init__(self, limiter: "Limiter", name: str, judge: Judge) -> None:
        self._limiter = limiter
        self._judge = judge
        self.name = name
        self._provider, _, self._model = name.partition(":")

    def permit(
        self,
        *,
        tokens: int = 0,
        max_output_tokens: int | None = None,
        priority: str = "normal",
        tenant: str = "default",
        task_started: float | None = None,
        deadline_seconds: float | None = None,
        conversation: str | None = None,
        idempotency_key: str | None = None,
    ) -> "Permit":
        """Ask for one call of about `tokens` input tokens; `deadline_seconds` from now.

        `priority` is interactive, normal or batch. `task_started` is monotonic seconds: older tasks go first.

        Raises:
            UsageError: a negative number of tokens, or an unknown priority.
            Backpressure: (on entering) the queue is full, or the wait would exceed `max_wait_seconds`.
            WouldExceedDeadline: (on entering) the call cannot start within `deadline_seconds`.

        """
        if tokens < 0 or (max_output_tokens or 0) < 0:
            raise UsageError(
                f"pool {self.name!r}: a call has 0 or more tokens, not {min(tokens, max_output_tokens or 0)}"
            )
        if priority not in RANKS:
            raise UsageError(f"pool {self.name!r}: priority={priority!r} is not one of {', '.join(RANKS)}")
        call = Call(
            provider=self._provider,
            host="",
            pool=self.name,
            model=self._model,
            operation="call",
            input_tokens=tokens,
            max_output_tokens=max_output_tokens,
            priority=priority,
            tenant=tenant,
            task_started=task_started,
            deadline=None if deadline_seconds is None else self._limiter.clock() + deadline_seconds,
            conversation=conversation,
            idempotency_key=idempotency_key,
        )
        return Permit(self._limiter, call, self._judge)

    def headroom(self) -> int:
        """Say how many more calls could run now without waiting."""
        return self._limiter.headroom(self.name)


class Permit:
    """One call's permit; leaving the block gives it back. `route` says where to send, if not home.

    An exception that leaves the block is classified, so that a 429 slows the pool down; it is then
    raised to the caller as it is. A cancel teaches nothing.
    """

    def __init__(self, limiter: "Limiter", call: Call, judge: Judge) -> None:
        self._limiter = limiter
        self._call = call
        self._judge = judge
        self._ticket: Ticket | None = None
        self._usage: Usage | None = None
        self._quota: Quota | None = None
        self.route: Route | None = None
        self.queued_seconds = 0.0

    def report(self, *, usage: Usage | None = None, quota: Quota | None = None) -> None:
        """Tell what the answer used, and what its headers said of the quota."""
        self._usage = usage or self._usage
        self._quota = quota or self._quota

    def __enter__(self) -> "Permit":
        ticket = self._ticket = self._limiter.admit(self._call)
        try:
            admission = ticket.wait()
        except Interrupted as interrupted:
            raise interrupted.error from None
        return self._begin(admission)

    async def __aenter__(self) -> "Permit":
        ticket = self._ticket = self._limiter.admit(self._call)
        return self._begin(ticket.admission or await ticket.wait_async())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)

    def _begin(self, admission: Admission) -> "Permit":
        assert self._ticket is not None
        self.queued_seconds = admission.queued_seconds
        if isinstance(admission, Refused):
            self._limiter.abandon(self._ticket)
            raise self._error(admission)
        if isinstance(admission, Granted):
            self.route = admission.route
        return self

    def _end(self, error: BaseException | None) -> None:
        assert self._ticket is not None
        if error is not None and not isinstance(error, Exception):
            self._limiter.abandon(self._ticket, self._usage)  # a cancel says nothing of the provider
            return
        verdict = self._judged(error) if error is not None else None
        self._limiter.end(self._ticket, self._quota, verdict, self._usage, finished=error is None)

    def _judged(self, error: BaseException) -> Verdict | None:
        """Classify what left the block; what a judge of the app's own raises is not raised instead."""
        try:
            return self._judge(error)
        except Exception:  # noqa: BLE001 - the app comes first
            _log.exception("penstock: a judge of errors failed")
            return None

    def _error(self, refused: Refused) -> LimiterError:
        pool, eta = self._call.pool, refused.eta_seconds
        if refused.reason in {"deadline", "timeout"}:
            return WouldExceedDeadline(
                f"pool {pool!r} would start this call in {eta:.1f} s, past its deadline", eta_seconds=eta
            )
        depth = self._limiter.depth(pool)
        if refused.reason == "too_large":
            return Backpressure(
                f"pool {pool!r} refused a call (too_large): about {self._call.input_tokens} input tokens are "
                "larger than its token window, so that waiting would not help; send less at once",
                eta_seconds=eta,
                depth=depth,
            )
        return Backpressure(
            f"pool {pool!r} refused a call ({refused.reason}): {depth} are queued, "
            f"a new one would start in {eta:.1f} s",
            eta_seconds=eta,
            depth=depth,
        )
