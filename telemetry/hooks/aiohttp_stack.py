"""aiohttp: `ClientSession._request`, which returns at the head of the answer.

The end of a body is not told by aiohttp's tracing, so bytes are seen where the connection feeds them
to the response's `StreamReader` (they are decoded there), and early ends where the response is closed
or released. What arrived before the hook saw the response lies in the reader's buffer. A response that
is dropped is kept by its connection, which reads on: its end is the body's or the connection's, and
the collector's only if the loop ended first.
"""

import sys
import weakref
from typing import Any, Final

import orjson

from penstock.telemetry import guard
from penstock.telemetry.guard import quietly
from penstock.telemetry.hooks.driving import AsyncExchange, drive_async, routed
from penstock.telemetry.hooks.inside import INSIDE
from penstock.telemetry.hooks.live import LiveAttempt
from penstock.telemetry.hooks.outgoing import READ_HEADERS, describe
from penstock.telemetry.hooks.patching import active, wrap
from penstock.telemetry.hooks.sending import Sending
from penstock.telemetry.interceptor import Admission, Refused, Served

_live: Final[dict[int, LiveAttempt]] = {}
"""By the id of the `StreamReader`, while its attempt is live; the response holds the reader."""


def patch_client(module: Any) -> None:
    """Wrap `ClientSession._request`."""
    wrap(module.ClientSession, "_request", _request)


def patch_response(module: Any) -> None:
    """Wrap how a response ends early."""
    wrap(module.ClientResponse, "close", _close)
    wrap(module.ClientResponse, "release", _close)


def patch_streams(module: Any) -> None:
    """Wrap what the connection tells a body's reader."""
    wrap(module.StreamReader, "feed_data", _fed)
    wrap(module.StreamReader, "set_exception", _broke)


def _fed(wrapped: Any, reader: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    live = _live.get(id(reader))
    if live is not None and args and args[0]:
        quietly("aiohttp.moved", live.moved)
        quietly("aiohttp.feed", live.feed, bytes(args[0]))
    return wrapped(*args, **kwargs)


def _broke(wrapped: Any, reader: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    live = _live.pop(id(reader), None)
    if live is not None and args:
        quietly("aiohttp.broke", live.broke, args[0])
    return wrapped(*args, **kwargs)


def _close(wrapped: Any, response: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Closed early: by the app, or because of the exception that is on its way through."""
    if _live:
        live = _live.pop(id(getattr(response, "content", None)), None)
        if live is not None:
            error = sys.exc_info()[1]
            if isinstance(error, TimeoutError | OSError) or type(error).__name__ == "CancelledError":
                quietly("aiohttp.broke", live.broke, error)
            else:
                quietly("aiohttp.closed", live.closed)
    return wrapped(*args, **kwargs)


async def _request(wrapped: Any, session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    sending = _begin(session, args, kwargs)
    if sending is None:
        return await wrapped(*args, **kwargs)
    return await drive_async(sending, _Exchange(wrapped, session, args, kwargs))


class _Exchange(AsyncExchange):
    name = "aiohttp"

    def __init__(self, wrapped: Any, session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._wrapped = wrapped
        self._session = session
        self._args = args
        self._kwargs = kwargs

    async def send(self, sending: Sending) -> Any:
        """Call the session's own `_request`."""
        args, kwargs = routed(sending, "aiohttp.route", lambda: self._rerouted(sending)) or (
            self._args,
            self._kwargs,
        )
        return await self._wrapped(*args, **kwargs)

    def tap(self, live: LiveAttempt, response: Any) -> bool:
        """Read the head and what has arrived; listen to the rest."""
        live.head(response.status, {name.lower(): value for name, value in response.headers.items()})
        reader = response.content
        arrived = b"".join(getattr(reader, "_buffer", ()))
        if arrived:
            live.moved()
            live.feed(arrived)
        if reader.exception() is not None:
            live.broke(reader.exception())
            return True
        key = id(reader)
        _live[key] = live
        weakref.finalize(response, _collected, key, live)
        reader.on_eof(lambda: _finished(key, live))
        return True

    def instead(self, sending: Sending, admission: Admission) -> Any:
        """Make an aiohttp response."""
        if isinstance(admission, Served):
            sending.served(admission)
            status, headers = admission.status, dict(admission.headers)
            body = b"".join(admission.chunks)
        else:
            assert isinstance(admission, Refused)
            status, headers, body = sending.refusal(admission)
        method, url = _target(self._args, self._kwargs)
        return _response(self._session, method, url, status, headers, body)

    async def drop(self, response: Any) -> None:
        """Close."""
        response.close()

    def short_error(self, response: Any) -> bool:
        """Tell by status and length; `read` keeps the body for the app."""
        length = response.content_length
        return response.status >= 400 and (length or 0) <= 16 * 1024

    async def peek(self, response: Any) -> None:
        """Read ahead: the response keeps what it read, and raises in the app's own read if it broke."""
        try:
            await response.read()
        except Exception as error:  # noqa: BLE001 - the app meets it when it reads
            del error

    def _rerouted(self, sending: Sending) -> tuple[tuple[Any, ...], dict[str, Any]]:
        method, url = _target(self._args, self._kwargs)
        full = self._session._build_url(url)
        headers = {**self._session.headers, **dict(self._kwargs.get("headers") or ())}
        target = sending.rewritten(str(full), headers)
        dropped = ("json", "data", "headers", "method", "str_or_url", "url")
        kwargs = {name: value for name, value in self._kwargs.items() if name not in dropped}
        target.headers.pop("host", None)
        target.headers.pop("content-length", None)
        return (method, target.url), {**kwargs, "data": target.body, "headers": target.headers}


def _begin(session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sending | None:
    engine = active()
    if engine is None or INSIDE.get():
        return None
    try:
        method, url = _target(args, kwargs)
        if method.upper() != "POST":
            return None
        full = session._build_url(url)
        found = engine.registry.lookup(full.host or "", full.path)
        if found is None:
            return None
        sent = {**session.headers, **dict(kwargs.get("headers") or ())}
        timeout = kwargs.get("timeout")
        if timeout is None or not hasattr(timeout, "total"):
            timeout = session.timeout
        out = describe(
            engine.registry,
            found,
            host=full.host or "",
            port=None if full.is_default_port() else full.port,
            path=full.path,
            headers={
                low: str(value) for name, value in sent.items() if (low := name.lower()) in READ_HEADERS
            },
            body=_body(kwargs),
            timeout_seconds=timeout.sock_read or timeout.total,
        )
        return None if out is None else Sending(engine, out)
    except guard.OURS as error:
        guard.failed("aiohttp.begin", error)
        return None


def _target(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Any]:
    method = args[0] if args else kwargs["method"]
    url = args[1] if len(args) > 1 else kwargs.get("str_or_url", kwargs.get("url"))
    return method, url


def _body(kwargs: dict[str, Any]) -> bytes | None:
    if kwargs.get("json") is not None:
        return orjson.dumps(kwargs["json"], default=str, option=orjson.OPT_NON_STR_KEYS)
    data = kwargs.get("data")
    if isinstance(data, str):
        return data.encode()
    return bytes(data) if isinstance(data, bytes | bytearray) else None


def _finished(key: int, live: LiveAttempt) -> None:
    _live.pop(key, None)
    quietly("aiohttp.finished", live.finished)


def _collected(key: int, live: LiveAttempt) -> None:
    if _live.get(key) is live:
        del _live[key]
    quietly("aiohttp.collected", live.collected)


def _response(session: Any, method: str, url: Any, status: int, headers: dict[str, str], body: bytes) -> Any:
    """Build a response that was read already."""
    import asyncio
    from types import SimpleNamespace

    from aiohttp import ClientResponse, RequestInfo
    from aiohttp.helpers import TimerNoop
    from aiohttp.streams import StreamReader
    from multidict import CIMultiDict, CIMultiDictProxy

    full = session._build_url(url)
    loop = asyncio.get_running_loop()
    info = RequestInfo(full, method, CIMultiDictProxy(CIMultiDict()), full)
    writer: Any = SimpleNamespace(output_size=0)
    response = ClientResponse(
        method,
        full,
        writer=None,
        continue100=None,
        timer=TimerNoop(),
        request_info=info,
        traces=[],
        loop=loop,
        session=session,
        stream_writer=writer,
    )
    response.status = status
    response.reason = "Too Many Requests" if status == 429 else "OK"
    response._headers = CIMultiDictProxy(CIMultiDict(headers))
    response._raw_headers = tuple((name.encode(), value.encode()) for name, value in headers.items())
    protocol: Any = SimpleNamespace(_reading_paused=False, resume_reading=lambda **_: None)
    response.content = StreamReader(protocol, limit=2**16, timer=TimerNoop(), loop=loop)
    response.content.feed_data(body)
    response.content.feed_eof()
    return response
