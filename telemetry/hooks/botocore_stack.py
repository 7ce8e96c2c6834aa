"""botocore: `URLLib3Session.send`, once per attempt of a client's retry loop.

aiobotocore sends by aiohttp and is seen there. Bodies of event streams are read later, through the
response's raw body; all others are read inside `send`, so their first byte is not told apart.
"""

from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from penstock.telemetry import guard
from penstock.telemetry.hooks.driving import SyncExchange, drive
from penstock.telemetry.hooks.inside import INSIDE
from penstock.telemetry.hooks.live import LiveAttempt
from penstock.telemetry.hooks.outgoing import READ_HEADERS, describe
from penstock.telemetry.hooks.patching import active, wrap
from penstock.telemetry.hooks.raw_bodies import RawBody
from penstock.telemetry.hooks.sending import Sending
from penstock.telemetry.interceptor import Admission, Refused, Served


def patch(module: ModuleType) -> None:
    """Wrap `URLLib3Session.send`."""
    wrap(module.URLLib3Session, "send", _send)


def _send(wrapped: Any, session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    request = args[0] if args else kwargs.get("request")
    sending = _begin(session, request)
    if sending is None:
        return wrapped(*args, **kwargs)
    return drive(sending, _Exchange(wrapped, request))


class _Exchange(SyncExchange):
    name = "botocore"

    def __init__(self, wrapped: Any, request: Any) -> None:
        self._wrapped = wrapped
        self._request = request

    def send(self, sending: Sending) -> Any:
        """Call the session's own `send`. A signed request cannot be rewritten: routes are not followed."""
        return self._wrapped(self._request)

    def tap(self, live: LiveAttempt, response: Any) -> bool:
        """Read the head, and the body where it is read already."""
        live.head(response.status_code, {name.lower(): value for name, value in response.headers.items()})
        if response._content is None:
            response.raw = RawBody(response.raw, live, "content-encoding" in response.headers)
        else:
            live.moved()
            live.feed(response._content)
            live.finished()
        return True

    def instead(self, sending: Sending, admission: Admission) -> Any:
        """Make a response that was read already."""
        aws = import_module("botocore.awsrequest")
        if isinstance(admission, Served):
            sending.served(admission)
            status, headers, body = admission.status, dict(admission.headers), b"".join(admission.chunks)
        else:
            assert isinstance(admission, Refused)
            status, headers, body = sending.refusal(admission)
        response = aws.AWSResponse(self._request.url, status, aws.HeadersDict(headers), None)
        response._content = body
        return response

    def drop(self, response: Any) -> None:
        """Close what is still open."""
        if response._content is None:
            response.raw.close()


def _begin(session: Any, request: Any) -> Sending | None:
    engine = active()
    if engine is None or INSIDE.get():
        return None
    try:
        if request.method != "POST":
            return None
        url = urlsplit(request.url)
        host, path = url.hostname or "", unquote(url.path)
        found = engine.registry.lookup(host, path)
        if found is None:
            return None
        body = request.body
        timeout = getattr(session, "_timeout", None)  # a number, or urllib3's Timeout
        read = getattr(timeout, "read_timeout", timeout)
        out = describe(
            engine.registry,
            found,
            host=host,
            port=url.port,
            path=path,
            headers={
                low: value if isinstance(value, str) else value.decode("latin-1")
                for name, value in request.headers.items()
                if (low := name.lower()) in READ_HEADERS
            },
            body=body.encode() if isinstance(body, str) else bytes(body) if isinstance(body, bytes) else None,
            timeout_seconds=read if isinstance(read, int | float) else None,
        )
        return None if out is None else Sending(engine, out)
    except guard.OURS as error:
        guard.failed("botocore.begin", error)
        return None
