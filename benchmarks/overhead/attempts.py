"""What one attempt adds to a send, beside a bare OTel span with the very same attributes.

An attempt is a part of an operation, whose span the app's own tracing often has opened already. So the
arms with spans send inside an LLM span of the app's, which Penstock adopts: what is added is one attempt
with its span and its metrics, and what it says on the span above it. The bare arm writes just these: one
span round the same send, and the same attributes on both. Body parsing is what is saved where the
provider's module reads neither request nor answer.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Final

import orjson
from opentelemetry import context, trace
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, Tracer

from benchmarks.overhead import app
from benchmarks.overhead.arms import penstock, provider
from benchmarks.overhead.paired import CONTROL, Call, Calls, Setup
from penstock.providers import REGISTRY, BodyReader, Endpoint, Outcome, RequestFacts, Usage
from penstock.providers.openai import OpenAICompatible

SEND: Final = "one send of the HTTP client"
CALL: Final = "one call of the SDK"
AGAIN: Final = "none again (A/A)"
BARE: Final = "a bare span, same attributes"
SPAN: Final = "attempt with its span"
SPAN_UNPARSED: Final = "attempt with its span, bodies unread"
NO_SPAN: Final = "attempt without a span"
NO_SPAN_UNPARSED: Final = "attempt without a span, bodies unread"

_LLM: Final = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}
_HEAD: Final = {
    "penstock.span.kind": "attempt",
    "penstock.attempt.number": 1,
    "penstock.pool": "openai:gpt-5",
    "penstock.provider": "openai",
    "penstock.model": "gpt-5",
    "server.address": "api.openai.com",
    "penstock.prompt_prefix": "tools:-------- system:-------- first:5e6f7a8b",
}
_TAIL: Final = {
    "penstock.end": "eof",
    "penstock.trust": "primary",
    "http.response.status_code": 200,
    "penstock.first_byte_seconds": 0.1,
    "penstock.request_id": "req_0123456789abcdef",
    "penstock.attempt.input_tokens": 50,
    "penstock.attempt.output_tokens": 20,
    "penstock.attempt.cache_read_tokens": 0,
    "penstock.quota.requests.limit": 500.0,
    "penstock.quota.requests.remaining": 499.0,
    "penstock.quota.requests.reset_seconds": 0.12,
    "penstock.quota.tokens.limit": 200000.0,
    "penstock.quota.tokens.remaining": 199000.0,
    "penstock.quota.tokens.reset_seconds": 360.0,
}


_ABOVE: Final = {
    "penstock.span.kind": "operation",
    "penstock.pool": "openai:gpt-5",
    "penstock.attempts": 1,
    "penstock.dedupe": "owner",
    "penstock.trust": "primary",
}
"""What an attempt says on the span that it adopts."""


def bare_span(tracer: Tracer, inside: Callable[[], object]) -> None:
    """Write one span as an attempt's is written: some attributes at its start, the others at its end."""
    with tracer.start_as_current_span("attempt gpt-5", kind=SpanKind.CLIENT, attributes=_HEAD) as span:
        inside()
        span.set_attributes(_TAIL)


def arms() -> dict[str, Setup]:
    """Make every arm; those without a span are compared with calls outside any span."""
    return {
        CONTROL: _in_app_spans,
        AGAIN: _in_app_spans,
        BARE: _in_bare_spans,
        SPAN: lambda: _sensed(ALWAYS_ON),
        SPAN_UNPARSED: lambda: _sensed(ALWAYS_ON, unread=True),
        NO_SPAN: lambda: _sensed(None),
        NO_SPAN_UNPARSED: lambda: _sensed(None, unread=True),
        _OUTSIDE: _calls,
    }


_OUTSIDE: Final = "none, outside any span"
CONTROLS: Final = {NO_SPAN: _OUTSIDE, NO_SPAN_UNPARSED: _OUTSIDE}
"""Whom an arm is compared with, if not with `CONTROL`."""


def _calls() -> Calls:
    client = app.memory_client()
    body = orjson.dumps({"messages": app.SMALL, "model": "gpt-5"})
    headers = {"content-type": "application/json", "authorization": "Bearer sk-bench"}
    request = client.build_request("POST", f"{app.HOST}/chat/completions", content=body, headers=headers)
    return {SEND: lambda: client.send(request), CALL: app.calls(None)["small, plain"]}


def _each_in_span(tracer: Tracer, calls: Calls, above: Mapping[str, str | int] | None = None) -> Calls:
    """Make each call in an LLM span, which is told `above`; all in one trace, as below a server's request."""
    context.attach(trace.set_span_in_context(tracer.start_span("POST /ask")))

    def inside(call: Call) -> Call:
        def made() -> None:
            with tracer.start_as_current_span("chat gpt-5", kind=SpanKind.CLIENT, attributes=_LLM) as span:
                call()
                if above is not None:
                    span.set_attributes(above)

        return made

    return {scenario: inside(call) for scenario, call in calls.items()}


def _in_app_spans() -> Calls:
    return _each_in_span(provider().get_tracer("app"), _calls())


def _in_bare_spans() -> Calls:
    tracer = provider().get_tracer("app")
    spans = {name: functools.partial(bare_span, tracer, call) for name, call in _calls().items()}
    return _each_in_span(tracer, spans, _ABOVE)


def _sensed(sampler: Sampler | None, *, unread: bool = False) -> Calls:
    if unread:
        _read_nothing()
    penstock(sampler)()
    return _calls() if sampler is None else _each_in_span(trace.get_tracer("app"), _calls())


class _Unread:
    """A body reader that knows the answer already."""

    _outcome = Outcome(
        usage=Usage(input=50, output=20, cache_read=0), model="gpt-5", response_id="c", finish_reason="stop"
    )

    def feed(self, chunk: bytes) -> None: ...

    def outcome(self) -> Outcome:
        return self._outcome


class UnreadWire(OpenAICompatible):
    """OpenAI's wire, whose bodies nobody reads."""

    __slots__ = ()
    facts = RequestFacts(model="gpt-5")

    def request(self, endpoint: Endpoint, body: bytes) -> RequestFacts | None:
        """Know already."""
        return self.facts

    def reader(self, endpoint: Endpoint, content_type: str) -> BodyReader:
        """Know already."""
        return _Unread()


def _read_nothing() -> None:
    REGISTRY.add_host("api.openai.com", UnreadWire())
