"""What one attempt costs the app: CPU time of `httpx2.Client.send` over a transport that only answers.

    python benchmarks/overhead [--rounds 15] [--json]

Conditions are interleaved within each round and compared with the same round's bare send, so that a busy
machine disturbs all alike; the median of the paired differences is told with its quartiles. `none again`
is the noise floor. Body parsing is a cost of its own and is measured apart, then taken off.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import httpx2
import orjson
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from penstock.providers import lookup
from penstock.telemetry.hooks import Engine, install, uninstall

URL = "https://api.openai.com/v1/chat/completions"
HEADERS = {
    "content-type": "application/json",
    "x-request-id": "req_0123456789abcdef",
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-tokens": "199000",
    "x-ratelimit-reset-tokens": "6m0s",
    "date": "Mon, 24 Nov 2025 10:00:00 GMT",
    "server": "bench",
}
ANSWER = orjson.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-5",
        "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "hello " * 20}}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 20},
    }
)
SMALL = orjson.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": "hello " * 20}]})
LARGE = orjson.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": "hello " * 170}] * 41})


class Body(httpx2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield ANSWER


class Transport(httpx2.BaseTransport):
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=HEADERS, stream=Body())


class Null(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class Sink:
    def attempt_started(self, attempt: object) -> None: ...

    def attempt_ended(self, attempt: object) -> None: ...

    def operation_ended(self, operation: object) -> None: ...


def timed(call: Callable[[], object], times: int) -> float:
    """CPU microseconds a call."""
    begin = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begin) / times * 1e6


def sender(body: bytes) -> Callable[[], object]:
    client = httpx2.Client(transport=Transport())
    headers = {"content-type": "application/json", "authorization": "Bearer sk-bench"}
    request = client.build_request("POST", URL, content=body, headers=headers)
    return lambda: client.send(request)


def hooked(call: Callable[[], object], times: int, **options: object) -> float:
    sink = Sink()
    install(Engine(attempt_sinks=[sink], work_sinks=[sink], **options))  # type: ignore[arg-type]
    try:
        timed(call, times)  # patching a class makes the interpreter forget what it had specialised
        return timed(call, times)
    finally:
        uninstall()
        timed(call, times)


def parsing(body: bytes) -> Callable[[], object]:
    found = lookup("api.openai.com", "/v1/chat/completions")
    assert found is not None
    provider, endpoint = found

    def parse() -> None:
        provider.request(endpoint, body)
        reader = provider.reader(endpoint, "application/json")
        reader.feed(ANSWER)
        reader.outcome()

    return parse


def bare_span(provider: TracerProvider) -> Callable[[], object]:
    """One OTel span with the attributes that an attempt span carries."""
    tracer = provider.get_tracer("bench")
    head = {
        "penstock.span.kind": "attempt", "penstock.attempt.number": 1, "penstock.pool": "openai:gpt-5",
        "penstock.provider": "openai", "penstock.model": "gpt-5", "server.address": "api.openai.com",
        "penstock.prompt_prefix": "92c5778ac636c507",
    }  # fmt: skip
    tail = {
        "penstock.end": "eof", "http.response.status_code": 200, "penstock.first_byte_seconds": 0.1,
        "penstock.request_id": "req_0123456789abcdef", "penstock.attempt.input_tokens": 50,
        "penstock.attempt.output_tokens": 20, "penstock.quota.requests.limit": 500.0,
        "penstock.quota.requests.remaining": 499.0, "penstock.quota.requests.reset_seconds": 0.12,
        "penstock.quota.tokens.limit": 200000.0, "penstock.quota.tokens.remaining": 199000.0,
        "penstock.quota.tokens.reset_seconds": 360.0,
    }  # fmt: skip

    def span() -> None:
        opened = tracer.start_span("attempt gpt-5", kind=SpanKind.CLIENT, attributes=head)
        opened.set_attributes(tail)
        opened.end()

    return span


def measure(body: bytes, rounds: int, times: int) -> dict[str, list[float]]:
    """Differences to the bare send of the same round, in microseconds an attempt."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Null()))
    tracer = provider.get_tracer("penstock")
    call, parse, span = sender(body), parsing(body), bare_span(provider)
    told: dict[str, list[float]] = {}
    timed(call, times)
    for _ in range(rounds):
        bare = timed(call, times)
        row = {
            "none again": timed(call, times) - bare,
            "sense": hooked(call, times) - bare,
            "sense with spans": hooked(call, times, tracer_source=lambda: tracer) - bare,
            "body parsing": timed(parse, times),
            "bare OTel span": timed(span, times),
        }
        row["sense without parsing"] = row["sense"] - row["body parsing"]
        row["spans only"] = row["sense with spans"] - row["sense"]
        row["bare send"] = bare
        for name, value in row.items():
            told.setdefault(name, []).append(value)
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--times", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, dict[str, dict[str, float]]] = {}
    for size, body in (("small prompt", SMALL), ("40 KB prompt", LARGE)):
        told = measure(body, options.rounds, options.times)
        quartiles = {name: statistics.quantiles(values, n=4) for name, values in told.items()}
        result[size] = {
            name: dict(zip(("low_us", "median_us", "high_us"), q, strict=True), best_us=min(told[name]))
            for name, q in quartiles.items()
        }  # fmt: skip
    if options.json:
        print(json.dumps(result))
        return 0
    for size, rows in result.items():
        print(f"{size}: microseconds of CPU an attempt, median [quartiles], best")
        for name, row in rows.items():
            print(
                f"  {name:<22} {row['median_us']:>8.2f} [{row['low_us']:.2f} {row['high_us']:.2f}]"
                f" {row['best_us']:>8.2f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
