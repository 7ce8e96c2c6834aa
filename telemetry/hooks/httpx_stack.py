"""httpx and its fork httpx2: `Client.send` and `AsyncClient.send`, once per physical request.

`send` is public, is called once per attempt of every SDK, and sees custom transports too (litellm's).
A hook sends with `stream=True`, puts a tap into the body, and then reads it if the app asked for that,
as `send` itself does; so first byte, last byte and how it ended are seen in every case.
"""

from datetime import timedelta
from functools import lru_cache, wraps
from types import ModuleType
from typing import Any, Final

from penstock.telemetry import guard
from penstock.telemetry.hooks.driving import (
    AsyncExchange,
    Exchange,
    SyncExchange,
    drive,
    drive_async,
    routed,
)
from penstock.telemetry.hooks.inside import INSIDE
from penstock.telemetry.hooks.live import ERROR_BODY_LIMIT, LiveAttempt
from penstock.telemetry.hooks.outgoing import READ_HEADERS, describe
from penstock.telemetry.hooks.patching import active, replace
from penstock.telemetry.hooks.sending import Sending
from penstock.telemetry.hooks.streams import StreamKinds
from penstock.telemetry.interceptor import Admission, Refused, Served

_EMPTY: Final[dict[str, Any]] = {}


def patch(module: ModuleType) -> None:
    """Wrap both clients of `httpx` or `httpx2`."""
    streams = StreamKinds(module)

    def sync(original: Any) -> Any:
        @wraps(original)
        def send(client: Any, *args: Any, **kwargs: Any) -> Any:
            wrapped = original.__get__(client)  # it may be somebody's wrapper, which asks whom it is bound to
            request = args[0] if args else kwargs.get("request")
            sending = _begin(request)
            if sending is None:
                return wrapped(*args, **kwargs)
            return drive(sending, _Sync(module, streams, wrapped, request, kwargs))

        return send

    def asynchronous(original: Any) -> Any:
        @wraps(original)
        async def send(client: Any, *args: Any, **kwargs: Any) -> Any:
            wrapped = original.__get__(client)
            request = args[0] if args else kwargs.get("request")
            sending = _begin(request)
            if sending is None:
                return await wrapped(*args, **kwargs)
            return await drive_async(sending, _Async(module, streams, wrapped, request, kwargs))

        return send

    replace(module.Client, "send", sync)
    replace(module.AsyncClient, "send", asynchronous)


class _Both(Exchange):
    """What the two clients share."""

    asynchronous: bool

    def __init__(
        self, module: ModuleType, streams: StreamKinds, wrapped: Any, request: Any, kwargs: dict[str, Any]
    ) -> None:
        self.name = module.__name__
        self._module = module
        self._streams = streams
        self._wrapped = wrapped
        self._request = request
        self._stream = bool(kwargs.pop("stream", False))
        kwargs.pop("request", None)
        self._options = kwargs  # made for this call alone

    def send(self, sending: Sending) -> Any:
        """Call the client's own `send`, never reading the body there."""
        request = self._request
        if sending.route is not None:
            request = routed(sending, f"{self.name}.route", lambda: self._rerouted(sending)) or request
        return self._wrapped(request, stream=True, **self._options)

    def tap(self, live: LiveAttempt, response: Any) -> bool:
        """Read the head; put a tap into the body."""
        headers = {}
        for sent, value in response.headers.raw:  # a comprehension is a call of its own
            headers[_header_name(sent)] = value.decode("latin-1")
        live.head(response.status_code, headers)
        self._streams.tap(response, live, self.asynchronous, headers.get("content-encoding", ""))
        return True

    def short_error(self, response: Any) -> bool:
        """Tell by status and length."""
        if response.status_code < 400 or response.is_closed or response.is_stream_consumed:
            return False
        length = response.headers.get("content-length", "0")
        return length.isdecimal() and int(length) <= ERROR_BODY_LIMIT

    def instead(self, sending: Sending, admission: Admission) -> Any:
        """Make a response of the module's own class."""
        content: dict[str, Any]
        if isinstance(admission, Served):
            sending.served(admission)
            status, headers = admission.status, dict(admission.headers)
            if self._stream:
                content = {"stream": self._streams.replay(admission.chunks)}
            else:
                content = {"content": b"".join(admission.chunks)}
        else:
            assert isinstance(admission, Refused)
            status, headers, body = sending.refusal(admission)
            content = {"content": body}
        response = self._module.Response(status, headers=headers, request=self._request, **content)
        response.elapsed = timedelta(seconds=admission.queued_seconds)
        return response

    def _rerouted(self, sending: Sending) -> Any:
        request = self._request
        target = sending.rewritten(str(request.url), dict(request.headers))
        return self._module.Request(
            request.method,
            target.url,
            headers=target.headers,
            content=target.body,
            extensions=request.extensions,
        )

    def _decode(self, response: Any) -> Any:
        """Make a function that undoes the answer's content encoding."""

        def decode(raw: bytes) -> bytes:
            try:
                whole = self._module.Response(response.status_code, headers=response.headers, content=raw)
                content: bytes = whole.content
            except guard.OURS as error:
                guard.failed(f"{self.name}.decode", error)
                return b""
            return content

        return decode


class _Sync(_Both, SyncExchange):
    asynchronous = False

    def peek(self, response: Any) -> None:
        """Read the body off the wire and put a replay in its place."""
        chunks, error = response.stream.drain(self._decode(response))
        response.stream = self._streams.replay(chunks, response.stream, error)

    def drop(self, response: Any) -> None:
        """Close."""
        response.close()

    def deliver(self, response: Any) -> Any:
        """Read the body as `send` does for `stream=False`."""
        if not self._stream:
            try:
                response.read()
            except BaseException:
                response.close()
                raise
        return response


class _Async(_Both, AsyncExchange):
    asynchronous = True

    async def peek(self, response: Any) -> None:
        """Read the body off the wire and put a replay in its place."""
        chunks, error = await response.stream.drain(self._decode(response))
        response.stream = self._streams.replay(chunks, response.stream, error)

    async def drop(self, response: Any) -> None:
        """Close."""
        await response.aclose()

    async def deliver(self, response: Any) -> Any:
        """Read the body as `send` does for `stream=False`."""
        if not self._stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response


@lru_cache(maxsize=1024)
def _header_name(raw: bytes) -> str:
    return raw.decode("latin-1").lower()


def _read_headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Copy what is read of a request's headers; most of an SDK's dozen are not."""
    read = {}
    for sent, value in raw:
        name = _header_name(sent)
        if name in READ_HEADERS:
            read[name] = value.decode("latin-1")
    return read


def _begin(request: Any) -> Sending | None:
    """See whether this is an LLM call that nobody above has seen; open it if so."""
    engine = active()
    if engine is None or INSIDE.get():
        return None
    try:
        if request.method != "POST":
            return None
        url = request.url
        host, path = url.host, url.path
        found = engine.registry.lookup(host, path)
        if found is None:
            return None
        out = describe(
            engine.registry,
            found,
            host=host,
            port=url.port,
            path=path,
            headers=_read_headers(request.headers.raw),
            body=getattr(request, "_content", None),
            timeout_seconds=request.extensions.get("timeout", _EMPTY).get("read"),
        )
        return None if out is None else Sending(engine, out)
    except guard.OURS as error:
        guard.failed("httpx.begin", error)
        return None
