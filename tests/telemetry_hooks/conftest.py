"""Real SDK clients against the simulator on loopback; what the hooks saw is kept in lists."""

import gc
import http.server
import json
import socket
import threading
import urllib.request
from dataclasses import dataclass, field, replace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from penstock.simulator import Config, Distribution, profile, serve
from penstock.telemetry import collecting, guard
from penstock.telemetry.hooks import Engine, install, uninstall
from penstock.telemetry.interceptor import Granted, Next

MESSAGES = [{"role": "user", "content": "Say where the water goes."}]
SOON = {"retry-after-ms": "5", "retry-after": "1"}


@dataclass
class Seen:
    """A sink of every kind."""

    attempts: list = field(default_factory=list)
    operations: list = field(default_factory=list)
    live: int = 0
    peak: int = 0

    def attempt_started(self, attempt):
        self.live += 1
        self.peak = max(self.peak, self.live)

    def attempt_ended(self, attempt):
        self.live -= 1
        self.attempts.append(attempt)

    def operation_ended(self, operation):
        self.operations.append(operation)

    def tool_ended(self, call):
        pass

    def task_ended(self, task):
        pass

    def classes(self):
        return [a.verdict.error_class.value if a.verdict else None for a in self.attempts]

    def ends(self):
        return [a.end for a in self.attempts]


class Spans:
    """Finished spans of a provider of its own."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def tracer(self):
        return self.provider.get_tracer("penstock")

    def kind(self, kind):
        return [
            s for s in self.exporter.get_finished_spans() if s.attributes.get("penstock.span.kind") == kind
        ]

    def all(self):
        return list(self.exporter.get_finished_spans())


class Ticket:
    """Replays admissions, one a wait; the last one again and again."""

    def __init__(self, call, admissions):
        self.call = call
        self._admissions = list(admissions)

    def wait(self):
        admission = self._admissions.pop(0) if len(self._admissions) > 1 else self._admissions[0]
        if isinstance(admission, BaseException):
            raise admission
        return admission

    async def wait_async(self):
        return self.wait()


class Decider:
    """An interceptor that does what it is told and remembers what it heard."""

    def __init__(self, *admissions, retries=0):
        self.admissions = admissions or (Granted(),)
        self.retries = retries
        self.calls, self.answers, self.settlements = [], [], []

    def admit(self, call):
        self.calls.append(call)
        return Ticket(call, self.admissions)

    def answer(self, ticket, answer):
        self.answers.append(answer)
        if answer.verdict is not None and self.retries > 0:
            self.retries -= 1
            return Next.RETRY
        return Next.PASS

    def settle(self, ticket, settlement):
        self.settlements.append(settlement)


@pytest.fixture(scope="session")
def shared_sim():
    quick = Distribution("constant", 0.02)
    pool = replace(profile("openai", rpm=60_000), latency_seconds=quick, rejection_seconds=0.002)
    with serve(Config(pools=(pool,))) as sim:
        yield sim


@pytest.fixture
def sim(shared_sim):
    """The simulator without what an earlier test left in its script."""
    request = urllib.request.Request(f"{shared_sim.url}/_sim/script", method="DELETE")
    urllib.request.urlopen(request).close()
    return shared_sim


@pytest.fixture
def spans():
    return Spans()


@pytest.fixture
def hook():
    """Install an engine; at the end nothing is live and none of our code failed."""
    engines = []
    guard.errors.clear()

    def install_engine(**options):
        seen = Seen()
        engine = Engine(attempt_sinks=[seen], work_sinks=[seen], **options)
        install(engine)
        engines.append((engine, seen))
        return seen

    yield install_engine
    uninstall()
    gc.collect()
    collecting.wait(30)
    for engine, seen in engines:
        assert engine.live == 0
        assert seen.live == 0
    assert dict(guard.errors) == {}


@pytest.fixture
def decider():
    return Decider


@pytest.fixture
def chat(sim):
    """Make clients of the simulator and the arguments of a call; sync clients are closed at the end."""
    import anthropic
    import openai

    class Chat:
        messages = MESSAGES
        limited = {"status": 429, "headers": SOON}  # noqa: RUF012
        ok = {"status": 200, "output_tokens": 8}  # noqa: RUF012
        request = {"model": "gpt-5", "messages": MESSAGES}  # noqa: RUF012
        claude = {"model": "claude-x", "messages": MESSAGES, "max_tokens": 64}  # noqa: RUF012
        opened: list = []  # noqa: RUF012

        def openai(self, **options):
            client = openai.OpenAI(base_url=f"{sim.url}/v1", api_key="sk-test", **options)
            self.opened.append(client)
            return client

        def openai_async(self, **options):
            return openai.AsyncOpenAI(base_url=f"{sim.url}/v1", api_key="sk-test", **options)

        def anthropic(self, **options):
            client = anthropic.Anthropic(base_url=sim.url, api_key="sk-test", **options)
            self.opened.append(client)
            return client

        def anthropic_async(self, **options):
            return anthropic.AsyncAnthropic(base_url=sim.url, api_key="sk-test", **options)

    made = Chat()
    yield made
    while made.opened:
        made.opened.pop().close()


@pytest.fixture
def stalling():
    """A server that sends a head and the first bytes of a stream, and then nothing."""
    listener = socket.create_server(("127.0.0.1", 0))

    def stall():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\n"
            connection.sendall(head + b"data: ")
            while connection.recv(65_536):
                pass

    thread = threading.Thread(target=stall)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread.join()
    listener.close()


class Canned:
    """A server that gives the answers it was told, in order: (status, headers, body)."""

    JSON = {"content-type": "application/json"}  # noqa: RUF012
    SSE = {"content-type": "text/event-stream"}  # noqa: RUF012

    def __init__(self):
        self.answers = []
        self.served = 0

    def tell(self, *answers):
        self.answers.extend(answers)

    def document(self, value, status=200, **headers):
        return status, {**self.JSON, **headers}, json.dumps(value).encode()

    def stream(self, *events):
        lines = [f"data: {e if isinstance(e, str) else json.dumps(e)}\n\n" for e in events]
        return 200, self.SSE, "".join(lines).encode()


@pytest.fixture
def canned():
    """A running `Canned` with its `url`."""
    told = Canned()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one write, as providers send short answers

        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, body = told.answers.pop(0)
            told.served += 1
            self.send_response(status)
            if headers.get("transfer-encoding") != "chunked":
                headers = {**headers, "content-length": str(len(body))}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,)).start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    server.shutdown()
    server.server_close()
