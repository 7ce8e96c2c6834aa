"""The two loops round a transport, sync and async: wait, send, tell, perhaps again, and leave.

A stack gives an exchange: how to send once, tap the answer, read a short error ahead, drop an answer,
or make one up. The loops hold the promise: what is ours never raises into the app, the app's call is
sent once unless the interceptor says otherwise, and the app's exception passes untouched.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any

from penstock.telemetry import guard
from penstock.telemetry.guard import quietly
from penstock.telemetry.hooks.inside import Sent
from penstock.telemetry.hooks.live import LiveAttempt
from penstock.telemetry.hooks.sending import Sending
from penstock.telemetry.interceptor import Admission, Interrupted, Ticket


class Exchange(ABC):
    """What both kinds share. `name` is the stack's, for the guard."""

    name: str

    @abstractmethod
    def tap(self, live: LiveAttempt, response: Any) -> bool:
        """Take the head of an answer and stand in its body; True when done."""

    @abstractmethod
    def instead(self, sending: Sending, admission: Admission) -> Any:
        """Make the answer to a call that is not sent."""

    def short_error(self, response: Any) -> bool:
        """Tell an error answer whose body may be read ahead: what kind of 429 it is stands in there."""
        return False


class SyncExchange(Exchange):
    """A blocking transport."""

    @abstractmethod
    def send(self, sending: Sending) -> Any:
        """Send once, by its route; the app's exceptions leave from here."""

    def peek(self, response: Any) -> None:
        """Read a short error ahead, so that the app can read it again."""

    @abstractmethod
    def drop(self, response: Any) -> None:
        """Close an answer that the app will not see."""

    def deliver(self, response: Any) -> Any:
        """Do what is left before the app gets the answer, such as reading it."""
        return response


class AsyncExchange(Exchange):
    """An asyncio transport."""

    @abstractmethod
    def send(self, sending: Sending) -> Awaitable[Any]:
        """Send once, by its route; the app's exceptions leave from here."""

    async def peek(self, response: Any) -> None:
        """Read a short error ahead, so that the app can read it again."""

    @abstractmethod
    async def drop(self, response: Any) -> None:
        """Close an answer that the app will not see."""

    async def deliver(self, response: Any) -> Any:
        """Do what is left before the app gets the answer, such as reading it."""
        return response


def drive(sending: Sending, exchange: SyncExchange) -> Any:
    """Make the app's call."""
    left: BaseException | None = None
    try:
        while True:
            if sending.ticket is not None:
                admission = _wait(sending, sending.ticket)
                if admission is not None and not sending.granted(admission):
                    instead = quietly(f"{exchange.name}.instead", exchange.instead, sending, admission)
                    if instead is not None:
                        return instead
            response = _attempt(sending, exchange)
            if response is not None:
                return exchange.deliver(response)
    except BaseException as error:
        left = error
        raise
    finally:
        try:
            sending.leave(left)
        except guard.OURS as ours:
            guard.failed("sending.leave", ours)
        left = None  # or the exception holds this frame, and this frame the exception


def _wait(sending: Sending, ticket: Ticket) -> Admission | None:
    try:
        return ticket.wait()
    except Interrupted as interrupted:
        error = interrupted.error
    except Exception as ours:  # noqa: BLE001 - the interceptor's bug is not the app's
        sending.waiting_failed(ours)
        return None
    raise error


def _attempt(sending: Sending, exchange: SyncExchange) -> Any:
    """Send once; None asks to send again."""
    live: LiveAttempt | None = None
    try:
        live = sending.launch()
    except guard.OURS as ours:
        guard.failed("sending.launch", ours)
    try:
        with Sent(live):
            response = exchange.send(sending)
    except BaseException as error:
        if quietly("sending.failed", sending.failed, live, error):
            return None
        raise
    if not _tapped(live, exchange, response):
        return response
    if sending.ticket is None:
        return response
    if quietly("exchange.short", exchange.short_error, response):
        exchange.peek(response)
    if not quietly("sending.answered", sending.answered, live):
        return response
    exchange.drop(response)
    return None


async def drive_async(sending: Sending, exchange: AsyncExchange) -> Any:
    """Make the app's call."""
    left: BaseException | None = None
    try:
        while True:
            if sending.ticket is not None:
                admission = await _wait_async(sending, sending.ticket)
                if admission is not None and not sending.granted(admission):
                    instead = quietly(f"{exchange.name}.instead", exchange.instead, sending, admission)
                    if instead is not None:
                        return instead
            response = await _attempt_async(sending, exchange)
            if response is not None:
                return await exchange.deliver(response)
    except BaseException as error:
        left = error
        raise
    finally:
        try:
            sending.leave(left)
        except guard.OURS as ours:
            guard.failed("sending.leave", ours)
        left = None  # or the exception holds this frame, and this frame the exception


async def _wait_async(sending: Sending, ticket: Ticket) -> Admission | None:
    try:
        return await ticket.wait_async()
    except Exception as ours:  # noqa: BLE001 - the interceptor's bug is not the app's
        sending.waiting_failed(ours)
        return None


async def _attempt_async(sending: Sending, exchange: AsyncExchange) -> Any:
    """Send once; None asks to send again."""
    live: LiveAttempt | None = None
    try:
        live = sending.launch()
    except guard.OURS as ours:
        guard.failed("sending.launch", ours)
    try:
        with Sent(live):
            response = await exchange.send(sending)
    except BaseException as error:
        if quietly("sending.failed", sending.failed, live, error):
            return None
        raise
    if not _tapped(live, exchange, response):
        return response
    if sending.ticket is None:
        return response
    if quietly("exchange.short", exchange.short_error, response):
        await exchange.peek(response)
    if not quietly("sending.answered", sending.answered, live):
        return response
    await exchange.drop(response)
    return None


def _tapped(live: LiveAttempt | None, exchange: Exchange, response: Any) -> bool:
    if live is None:
        return False
    try:
        if exchange.tap(live, response):
            return True
    except guard.OURS as ours:
        guard.failed(f"{exchange.name}.tap", ours)
    quietly(f"{exchange.name}.tap", live.closed)
    return False


def routed(sending: Sending, place: str, rewrite: Any) -> Any:
    """Rewrite a request for its route by `rewrite()`; None keeps it, without a route or where that fails."""
    if sending.route is None:
        return None
    try:
        return rewrite()
    except guard.OURS as error:
        guard.failed(place, error)
        sending.route = None
        return None
