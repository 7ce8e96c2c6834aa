"""While a hook sends: which stacks are below it, and which span is current."""

from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

from opentelemetry import context as context_api
from opentelemetry.context import Context

from penstock.telemetry import guard
from penstock.telemetry.hooks.live import LiveAttempt

INSIDE: Final[ContextVar[bool]] = ContextVar("penstock_inside_send", default=False)
"""True while a send runs: a client below it (a client in a client, aiohttp) is the same attempt."""


class Sent:
    """Mark the send of one attempt, and make its span current."""

    __slots__ = ("_live", "_mark", "_span")

    def __init__(self, live: LiveAttempt | None) -> None:
        self._live = live
        self._mark: Token[bool] | None = None
        self._span: Token[Context] | None = None

    def __enter__(self) -> None:
        self._mark = INSIDE.set(True)
        if self._live is not None and self._live.context is not None:
            try:
                self._span = context_api.attach(self._live.context)
            except guard.OURS as error:
                guard.failed("sent.attach", error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is GeneratorExit:
            return  # a dropped coroutine is closed in a foreign context: nothing of ours is set there
        if self._span is not None:
            context_api.detach(self._span)
        if self._mark is not None:
            INSIDE.reset(self._mark)
