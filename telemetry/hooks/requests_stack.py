"""requests: `Session.send`, once per physical request (redirects are sends within it).

A `Retry` inside an adapter hides its attempts from here: urllib3 repeats below.
"""

from datetime import timedelta
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from penstock.telemetry import guard
from penstock.telemetry.guard import quietly
from penstock.telemetry.hooks.driving import SyncExchange, drive, routed
from penstock.telemetry.hooks.inside import INSIDE
from penstock.telemetry.hooks.live import LiveAttempt
from penstock.telemetry.hooks.outgoing import READ_HEADERS, describe
from penstock.telemetry.hooks.patching import active, wrap
from penstock.telemetry.hooks.raw_bodies import RawBody
from penstock.telemetry.hooks.sending import Sending
from penstock.telemetry.interceptor import Admission, Refused, Served


def patch(module: ModuleType) -> None:
    """Wrap `Session.send`."""

    def send(wrapped: Any, session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        request = args[0] if args else kwargs.get("request")
        sending = _begin(request, kwargs)
        if sending is None:
            return wrapped(*args, **kwargs)
        return drive(sending, _Exchange(wrapped, session, request, kwargs))

    wrap(module.Session, "send", send)


class _Exchange(SyncExchange):
    name = "requests"

    def __init__(self, wrapped: Any, session: Any, request: Any, kwargs: dict[str, Any]) -> None:
        self._wrapped = wrapped
        self._request = request
        stream = kwargs.get("stream")
        self._stream = bool(session.stream if stream is None else stream)
        self._options = {name: v for name, v in kwargs.items() if name not in ("request", "stream")}

    def send(self, sending: Sending) -> Any:
        """Call the session's own `send`, never reading the body there."""
        request = routed(sending, "requests.route", lambda: self._rerouted(sending)) or self._request
        return self._wrapped(request, stream=True, **self._options)

    def tap(self, live: LiveAttempt, response: Any) -> bool:
        """Read the head; stand in front of the raw body."""
        live.head(response.status_code, {name.lower(): value for name, value in response.headers.items()})
        if response._content_consumed:
            live.moved()
            live.feed(response.content)
            live.finished()
        else:
            response.raw = RawBody(response.raw, live, "content-encoding" in response.headers)
        return True

    def instead(self, sending: Sending, admission: Admission) -> Any:
        """Make a response that was read already."""
        response = import_module("requests").Response()
        if isinstance(admission, Served):
            sending.served(admission)
            response.status_code = admission.status
            headers, response._content = dict(admission.headers), b"".join(admission.chunks)
        else:
            assert isinstance(admission, Refused)
            response.status_code, headers, response._content = sending.refusal(admission)
            response.reason = "Too Many Requests"
        response._content_consumed = True
        response.headers.update(headers)
        response.request = self._request
        response.url = self._request.url
        response.encoding = "utf-8"
        response.elapsed = timedelta(seconds=admission.queued_seconds)
        return response

    def short_error(self, response: Any) -> bool:
        """Tell by status and length; `content` keeps the body for the app."""
        length = response.headers.get("content-length", "0")
        return response.status_code >= 400 and length.isdecimal() and int(length) <= 16 * 1024

    def peek(self, response: Any) -> None:
        """Read ahead; the app meets what went wrong when it reads."""
        quietly("requests.peek", lambda: response.content)

    def drop(self, response: Any) -> None:
        """Close."""
        response.close()

    def deliver(self, response: Any) -> Any:
        """Read the body as `send` does for `stream=False`."""
        if not self._stream:
            _ = response.content
        return response

    def _rerouted(self, sending: Sending) -> Any:
        target = sending.rewritten(self._request.url, dict(self._request.headers))
        request = self._request.copy()
        request.url, request.body = target.url, target.body
        target.headers.pop("host", None)
        request.headers.clear()
        request.headers.update(target.headers)
        return request


def _begin(request: Any, kwargs: dict[str, Any]) -> Sending | None:
    engine = active()
    if engine is None or INSIDE.get():
        return None
    try:
        if request.method != "POST":
            return None
        url = urlsplit(request.url)
        host = url.hostname or ""
        found = engine.registry.lookup(host, url.path)
        if found is None:
            return None
        body = request.body
        timeout = kwargs.get("timeout")
        read = timeout[1] if isinstance(timeout, tuple) and len(timeout) > 1 else timeout
        out = describe(
            engine.registry,
            found,
            host=host,
            port=url.port,
            path=url.path,
            headers={
                low: value if isinstance(value, str) else value.decode("latin-1")
                for name, value in request.headers.items()
                if (low := name.lower()) in READ_HEADERS
            },
            body=body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else None,
            timeout_seconds=read if isinstance(read, int | float) else None,
        )
        return None if out is None else Sending(engine, out)
    except guard.OURS as error:
        guard.failed("requests.begin", error)
        return None
