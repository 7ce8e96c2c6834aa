"""The simulator over HTTP: an ASGI app, and `serve()` to run it in a thread or in the foreground."""

import asyncio
import contextlib
import errno
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from penstock.errors import UsageError
from penstock.simulator._answers import BadRequestError
from penstock.simulator._provider import Reply
from penstock.simulator._site import Config, Site
from penstock.simulator._wires import ENDPOINTS, find_route
from penstock.simulator.truth import Entry, Truth

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_START_SECONDS: Final = 10.0
_KEEP_ALIVE_SECONDS: Final = 600


class _GoneError(Exception):
    """The client went away, or the server is closing."""


class App:
    """The ASGI app. Model calls take the short way; `/_sim/*` goes through Starlette."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._door = _door(site)
        self._listening: set[asyncio.Future[Message]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_sim/"):
            await self._door(scope, receive, send)
        elif scope["method"] != "POST":
            await _document(send, 404, _not_found(scope["path"]))
        else:
            await self._call(scope, receive, send)

    def close(self) -> None:
        """Let every call in flight end now. Call from the server's loop."""
        for future in self._listening:
            future.cancel()

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, path = await _body(receive), scope["path"]
        route = find_route(path, scope["query_string"].decode("latin-1"))
        if route is None:
            await _document(send, 404, _not_found(path))
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            decoded = orjson.loads(body)
            if not isinstance(decoded, dict):
                raise BadRequestError("The body must be a JSON object.")
            reply = self._site.reply(path, route, decoded, headers)
        except (orjson.JSONDecodeError, BadRequestError) as error:
            await _document(send, 400, self._site.bad_request(path, route, str(error)))
            return
        gone = asyncio.ensure_future(receive())
        self._listening.add(gone)
        end = "closed"
        try:
            end = await _play(reply, gone, send)
        except _GoneError:
            _drop(send, reset=False)
        finally:
            self._listening.discard(gone)
            gone.cancel()
            self._site.settle(reply, end)


async def _play(reply: Reply, gone: "asyncio.Future[Message]", send: Send) -> str:
    """Send a reply at its pace; say how it ended."""
    await _wait(reply.head_seconds, gone)
    if reply.status is None:
        await _wait(None, gone)
    if reply.cut_after is not None and reply.cut_after < 0:
        _drop(send, reset=True)
        return "reset"
    chunks = reply.chunks
    headers = reply.headers
    if len(chunks) == 1:
        headers["content-length"] = str(len(chunks[0]))
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    reply.entry.head_ns = time.time_ns()
    pause = (reply.seconds - reply.head_seconds) / max(1, len(chunks) - 1)
    for index, chunk in enumerate(chunks):
        if index:
            await _wait(pause, gone)
        if reply.cut_after is not None and index >= reply.cut_after:
            # One document is cut in the middle: its head promised more than comes.
            if len(chunks) == 1:
                await send(
                    {"type": "http.response.body", "body": chunk[: len(chunk) // 2], "more_body": True}
                )
            _drop(send, reset=False)
            return "broken"
        await send({"type": "http.response.body", "body": chunk, "more_body": index + 1 < len(chunks)})
    return "eof"


async def _wait(seconds: float | None, gone: "asyncio.Future[Message]") -> None:
    """Sleep, unless the client goes away first."""
    if seconds is not None and seconds <= 0:
        return
    await asyncio.wait((gone,), timeout=seconds)
    if gone.done():
        raise _GoneError


def _drop(send: Send, *, reset: bool) -> None:
    """Break the connection. ASGI has no word for it: uvicorn's `send` is a method of what holds it."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        return
    held = transport.get_extra_info("socket")
    if reset and held is not None:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    else:
        transport.close()


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _document(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _not_found(path: str) -> bytes:
    known = ", ".join(ENDPOINTS)
    message = f"Unknown request URL: {path}. This simulator answers POST to paths that end in {known}."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return orjson.dumps({"error": error})


def _door(site: Site) -> "Starlette":
    """Build the app behind `/_sim/`."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    def told(value: object, status: int = 200) -> Response:
        return Response(orjson.dumps(value), status, media_type="application/json")

    async def truth(_: Request) -> Response:
        return told(site.truth().as_json())

    async def log(_: Request) -> Response:
        return Response(site.log(), media_type="application/x-ndjson")

    async def script(request: Request) -> Response:
        if request.method == "DELETE":
            site.script.clear()
            return told({"waiting": 0})
        return await taken(request, lambda data: {"waiting": site.script.add(data)})

    async def fault(request: Request) -> Response:
        return await taken(request, break_down)

    def break_down(data: object) -> Mapping[str, object]:
        site.fault(data)
        return {"ok": True}

    async def taken(request: Request, take: Callable[[Any], Mapping[str, object]]) -> Response:
        try:
            return told(take(orjson.loads(await request.body())))
        except (orjson.JSONDecodeError, UsageError) as error:
            return told({"error": str(error)}, 400)

    return Starlette(
        routes=[
            Route("/_sim/truth", truth),
            Route("/_sim/log", log),
            Route("/_sim/script", script, methods=["POST", "DELETE"]),
            Route("/_sim/fault", fault, methods=["POST"]),
        ]
    )


class Simulator:
    """A running simulator. `url` has no `/v1`: OpenAI clients take `url + "/v1"`, Anthropic's take `url`."""

    def __init__(self, config: Config) -> None:
        self._site = Site(config)
        self._app = App(self._site)
        self._socket = _bind(config.host, config.port)
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._ready: Callable[[], None] = lambda: None
        self._server = _server(self._app, self._started)

    def truth(self) -> Truth:
        """Sum up what happened so far."""
        return self._site.truth()

    def entries(self) -> list[Entry]:
        """Give the record, one entry a request, in order of arrival."""
        return self._site.entries()

    def script(self, *outcomes: Mapping[str, object]) -> None:
        """Queue outcomes for the next requests, such as `{"status": 429, "headers": {"retry-after": "0"}}`.

        Raises:
            UsageError: on an unknown key or a wrong value.
        """
        self._site.script.add(list(outcomes))

    def fault(self, **keys: object) -> None:
        """Change a pool now: any key of `[[pools.events]]`, `pool`, or `restore=True`.

        Raises:
            UsageError: on an unknown pool or key.
        """
        self._site.fault(keys)

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`; call `ready` once requests are taken."""
        self._ready = ready
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        finally:
            self._site.close()

    def _started(self) -> None:
        self._ready()

    def stop(self) -> None:
        """Ask `run` to end; safe from any thread."""
        self._server.should_exit = True


@contextlib.contextmanager
def serve(config: Config | None = None) -> Iterator[Simulator]:
    """Run a simulator in a thread while the block runs.

    Raises:
        UsageError: when the port is taken or the truth file cannot be written.
    """
    simulator = Simulator(config or Config())
    ready = threading.Event()
    thread = threading.Thread(target=simulator.run, args=(ready.set,), name="penstock-simulator")
    thread.start()
    try:
        if not ready.wait(_START_SECONDS):
            raise RuntimeError("the simulator did not start")
        yield simulator
    finally:
        simulator.stop()
        thread.join()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or asyncio leaves Nagle's algorithm on: 40 ms more for each request kept alive.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "it is in use; choose another or use --port 0" if taken else _said(error)
        raise UsageError(f"cannot listen on {host}:{port}: {reason}") from None
    return bound


def _said(error: OSError | OverflowError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _server(app: App, ready: Callable[[], None]) -> "uvicorn.Server":
    """Make a server that leaves signals alone, tells when it is up, and does not wait for hung calls."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.close()
            await super().shutdown(sockets)

    return Server(
        uvicorn.Config(
            app,
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=2,
            backlog=2048,
        )
    )
