"""httpx and its fork httpx2: `Client.send` and `AsyncClient.send`, once per physical request.

`send` is public, is called once per attempt of every SDK, and sees custom transports too (litellm's).
A hook sends with `stream=True`, puts a tap into the body, and then reads it if the app asked for that,
as `send` itself does; so first byte, last byte and how it ended are seen in every case.
"""

from datetime import timedelta
from types import ModuleType
from typing import Any, Final

from penstock.telemetry import guard
from penstock.telemetry.hooks.inside import INSIDE, Sent
from penstock.telemetry.hooks.live import ERROR_BODY_LIMIT, LiveAttempt
from penstock.telemetry.hooks.outgoing import READ_HEADERS, describe
from penstock.telemetry.hooks.patching import active, wrap
from penstock.telemetry.hooks.sending import Sending
from penstock.telemetry.hooks.streams import StreamKinds
from penstock.telemetry.interceptor import Admission, Refused, Served

_READ_HEADERS: Final = frozenset(name.encode() for name in READ_HEADERS)
_EMPTY: Final[dict[str, Any]] = {}


def patch(module: ModuleType) -> None:
    """Wrap both clients of `httpx` or `httpx2`."""
    hook = _Hook(module)
    wrap(module.Client, "send", hook.send)
    wrap(module.AsyncClient, "send", hook.send_async)


class _Hook:
    """The hook for one of the two modules."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._streams = StreamKinds(module)

    def send(self, wrapped: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stand in for `Client.send`."""
        request = args[0] if args else kwargs.get("request")
        sending = _begin(request)
        if sending is None:
            return wrapped(*args, **kwargs)
        options = {name: value for name, value in kwargs.items() if name not in ("request", "stream")}
        stream = bool(kwargs.get("stream", False))
        left: BaseException | None = None
        try:
            while True:
                admission = _wait(sending)
                if admission is not None and not sending.granted(admission):
                    instead = self._instead(sending, admission, request, stream)
                    if instead is not None:
                        return instead
                response = self._attempt(sending, wrapped, request, options)
                if response is not None:
                    break
            if not stream:
                _read(response)
            return response
        except BaseException as error:
            left = error
            raise
        finally:
            guard.quietly("httpx.leave", sending.leave, left)

    def _attempt(self, sending: Sending, wrapped: Any, request: Any, options: dict[str, Any]) -> Any:
        """Send once; None asks to send again."""
        request = self._routed(sending, request)
        live = guard.quietly("httpx.launch", sending.launch)
        try:
            with Sent(live):
                response = wrapped(request, stream=True, **options)
        except BaseException as error:
            if guard.quietly("httpx.failed", sending.failed, live, error):
                return None
            raise
        if live is None:
            return response
        if not guard.quietly("httpx.head", self._head, live, response, False):
            guard.quietly("httpx.head", live.closed)
            return response
        if sending.ticket is not None and _short_error(response):
            chunks, failure = response.stream.drain(self._decoder(response))
            response.stream = self._streams.replay(chunks, response.stream, failure)
        if not guard.quietly("httpx.answered", sending.answered, live):
            return response
        response.close()
        return None

    async def send_async(
        self, wrapped: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Stand in for `AsyncClient.send`."""
        request = args[0] if args else kwargs.get("request")
        sending = _begin(request)
        if sending is None:
            return await wrapped(*args, **kwargs)
        options = {name: value for name, value in kwargs.items() if name not in ("request", "stream")}
        stream = bool(kwargs.get("stream", False))
        left: BaseException | None = None
        try:
            while True:
                admission = await _wait_async(sending)
                if admission is not None and not sending.granted(admission):
                    instead = self._instead(sending, admission, request, stream)
                    if instead is not None:
                        return instead
                response = await self._attempt_async(sending, wrapped, request, options)
                if response is not None:
                    break
            if not stream:
                await _read_async(response)
            return response
        except BaseException as error:
            left = error
            raise
        finally:
            guard.quietly("httpx.leave", sending.leave, left)

    async def _attempt_async(
        self, sending: Sending, wrapped: Any, request: Any, options: dict[str, Any]
    ) -> Any:
        """Send once; None asks to send again."""
        request = self._routed(sending, request)
        live = guard.quietly("httpx.launch", sending.launch)
        try:
            with Sent(live):
                response = await wrapped(request, stream=True, **options)
        except BaseException as error:
            if guard.quietly("httpx.failed", sending.failed, live, error):
                return None
            raise
        if live is None:
            return response
        if not guard.quietly("httpx.head", self._head, live, response, True):
            guard.quietly("httpx.head", live.closed)
            return response
        if sending.ticket is not None and _short_error(response):
            chunks, failure = await response.stream.drain(self._decoder(response))
            response.stream = self._streams.replay(chunks, response.stream, failure)
        if not guard.quietly("httpx.answered", sending.answered, live):
            return response
        await response.aclose()
        return None

    def _head(self, live: LiveAttempt, response: Any, asynchronous: bool) -> bool:
        raw = response.headers.raw
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
        live.head(response.status_code, headers)
        self._streams.tap(response, live, asynchronous, headers.get("content-encoding", ""))
        return True

    def _routed(self, sending: Sending, request: Any) -> Any:
        """Rewrite the request for a route: base URL, key and model."""
        if sending.route is None:
            return request
        try:
            target = sending.rewritten(str(request.url), dict(request.headers))
            return self._module.Request(
                request.method,
                target.url,
                headers=target.headers,
                content=target.body,
                extensions=request.extensions,
            )
        except guard.OURS as error:
            guard.failed("httpx.route", error)
            sending.route = None
            return request

    def _instead(self, sending: Sending, admission: Admission, request: Any, stream: bool) -> Any:
        """Answer without sending; None where that fails."""
        try:
            content: dict[str, Any]
            if isinstance(admission, Served):
                sending.served(admission)
                status, headers = admission.status, dict(admission.headers)
                if stream:
                    content = {"stream": self._streams.replay(admission.chunks)}
                else:
                    content = {"content": b"".join(admission.chunks)}
            else:
                assert isinstance(admission, Refused)
                status, headers, body = sending.refusal(admission)
                content = {"content": body}
            response = self._module.Response(status, headers=headers, request=request, **content)
            response.elapsed = timedelta(seconds=admission.queued_seconds)
        except guard.OURS as error:
            guard.failed("httpx.instead", error)
            return None
        return response

    def _decoder(self, response: Any) -> Any:
        """Make a function that undoes the answer's content encoding."""

        def decode(raw: bytes) -> bytes:
            try:
                whole = self._module.Response(response.status_code, headers=response.headers, content=raw)
                content: bytes = whole.content
            except guard.OURS as error:
                guard.failed("httpx.decode", error)
                return b""
            return content

        return decode


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
        if engine.registry.lookup(host, path) is None:
            return None
        timeout = request.extensions.get("timeout", _EMPTY).get("read")
        out = describe(
            engine.registry,
            host=host,
            port=url.port,
            path=path,
            headers={
                name.decode("latin-1"): value.decode("latin-1")
                for raw, value in request.headers.raw
                if (name := raw.lower()) in _READ_HEADERS
            },
            body=getattr(request, "_content", None),
            timeout_seconds=timeout,
        )
        return None if out is None else Sending.begin(engine, out)
    except guard.OURS as error:
        guard.failed("httpx.begin", error)
        return None


def _wait(sending: Sending) -> Admission | None:
    if sending.ticket is None:
        return None
    try:
        return sending.ticket.wait()
    except Exception as ours:  # noqa: BLE001 - the interceptor's bug is not the app's
        sending.waiting_failed(ours)
        return None


async def _wait_async(sending: Sending) -> Admission | None:
    if sending.ticket is None:
        return None
    try:
        return await sending.ticket.wait_async()
    except Exception as ours:  # noqa: BLE001 - the interceptor's bug is not the app's
        sending.waiting_failed(ours)
        return None


def _read(response: Any) -> None:
    """Read the body as `send` does for `stream=False`."""
    try:
        response.read()
    except BaseException:
        response.close()
        raise


async def _read_async(response: Any) -> None:
    try:
        await response.aread()
    except BaseException:
        await response.aclose()
        raise


def _short_error(response: Any) -> bool:
    """Tell an error answer whose body may be read ahead: what kind of 429 it is stands in there."""
    if response.status_code < 400 or response.is_closed or response.is_stream_consumed:
        return False
    length = response.headers.get("content-length", "0")
    return length.isdecimal() and int(length) <= ERROR_BODY_LIMIT
