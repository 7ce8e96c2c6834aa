"""While a hook sends: which stacks are below it, and which span is current."""

import contextlib
from collections.abc import Collection
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

from opentelemetry import context as context_api
from opentelemetry.context import Context

from penstock.telemetry import guard
from penstock.telemetry.hooks.live import LiveAttempt

INSIDE: Final[ContextVar[Collection[None]]] = ContextVar("penstock_inside_send", default=())
"""Not empty while a send runs: a client below it (a client in a client, aiohttp) is the same attempt.

It is emptied with the send: a task that was begun below it, and outlives it, inherits the variable.
"""


class Sent:
    """Mark the send of one attempt, and make its span current."""

    __slots__ = ("_live", "_mark", "_running", "_span")

    def __init__(self, live: LiveAttempt | None) -> None:
        self._live = live
        self._running = [None]
        self._mark: Token[Collection[None]] | None = None
        self._span: Token[Context] | None = None

    def __enter__(self) -> None:
        self._mark = INSIDE.set(self._running)
        if self._live is not None and self._live.context is not None:
            try:
                self._span = context_api.attach(self._live.context)
            except guard.OURS as error:
                guard.failed("sent.attach", error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.clear()
        if kind is GeneratorExit:
            self._left()
            return
        if self._span is not None:
            context_api.detach(self._span)
        if self._mark is not None:
            INSIDE.reset(self._mark)

    def _left(self) -> None:
        """Leave a dropped coroutine: in another context than it ran in, it has nothing of ours set."""
        with contextlib.suppress(ValueError):
            if self._mark is not None:
                INSIDE.reset(self._mark)
            if self._span is not None:
                context_api._RUNTIME_CONTEXT.detach(self._span)
