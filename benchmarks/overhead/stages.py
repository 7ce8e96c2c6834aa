"""What each stage of an attempt costs in a tight loop, beside a bare OTel span with the same attributes.

Tight loops keep everything in the processor's caches: the same code costs about twice as much between an
SDK's own work, and so does the span. The shares are what counts here.
"""

import copy
import gc
import itertools
import time
from collections.abc import Mapping
from typing import Final

import httpx2
import orjson

from benchmarks.overhead import app
from benchmarks.overhead.arms import provider
from benchmarks.overhead.attempts import UnreadWire, bare_span
from benchmarks.overhead.paired import Call
from penstock.providers import Registry as Wires
from penstock.providers import lookup
from penstock.telemetry.burst_watch import BurstWatch
from penstock.telemetry.hooks import Engine
from penstock.telemetry.hooks.inside import Sent
from penstock.telemetry.hooks.outgoing import describe
from penstock.telemetry.hooks.sending import Sending
from penstock.telemetry.metering import Metering
from penstock.telemetry.records import Attempt
from penstock.telemetry.registry import Registry
from penstock.telemetry.spans import SpanWriter

_PATH: Final = "/v1/chat/completions"
_BLOCKS, _TIMES = 100, 128  # as many as a batch of notes: each block writes some


def run() -> dict[str, float]:
    """Time every stage; returns and prints microseconds of CPU."""
    stages = _stages()
    found = {name: lowest(call) for name, call in stages.items()}
    print("\none attempt, stage by stage, in a tight loop (µs of CPU):")
    for name, microseconds in found.items():
        print(f"  {name:<52}{microseconds:>7.2f}")
    return found


def lowest(call: Call) -> float:
    """Take the 5th percentile of many short blocks: what the call costs when nobody disturbs."""
    for _ in range(100):
        call()
    gc.collect()
    blocks = []
    for _ in range(_BLOCKS):
        begin = time.process_time_ns()
        for _ in range(_TIMES):
            call()
        blocks.append((time.process_time_ns() - begin) / _TIMES / 1e3)
    return sorted(blocks)[_BLOCKS // 20]


def _stages() -> dict[str, Call]:
    body = orjson.dumps({"model": "gpt-5", "messages": app.SMALL})
    found = lookup("api.openai.com", _PATH)
    assert found is not None
    wire, endpoint = found
    engine = Engine()
    url = httpx2.URL(f"{app.HOST}/chat/completions")
    sent = {"authorization": "Bearer sk-bench"}
    head = {"content-type": "application/json", **app.HEADERS}

    def described() -> object:
        return describe(
            engine.registry, found, host="api.openai.com", port=None, path=_PATH, headers=sent, body=None,
            timeout_seconds=None,
        )  # fmt: skip

    out = describe(
        engine.registry, found, host="api.openai.com", port=None, path=_PATH, headers=sent, body=body,
        timeout_seconds=None,
    )  # fmt: skip
    assert out is not None
    sending = Sending(engine, out)

    def launched() -> None:
        live = sending.launch()
        assert live is not None
        engine.landed(live)

    def answered() -> None:
        reader = wire.reader(endpoint, "application/json")
        reader.feed(app.ANSWER)
        reader.outcome()

    def ended() -> None:
        live = sending.launch()
        assert live is not None
        live.finished()

    live = sending.launch()
    assert live is not None

    def marked() -> None:
        with Sent(live):
            pass

    live.head(200, head)
    live.feed(app.ANSWER)
    live.finished()
    return {
        "identify (URL, table)": lambda: engine.registry.lookup(url.host, url.path),
        "describe the request": described,
        "  the request's body": lambda: wire.request(endpoint, body),
        "open the operation": lambda: Sending(engine, out),
        "launch: records, prompt mark": launched,
        "mark the send as ours": marked,
        "head of the answer: status, request id": lambda: live.head(200, head),
        "  the answer's body": answered,
        "launch and end": ended,
        **_sinks(live.attempt),
        "all of it, one after the other": _whole(url, sent, head),
        "for a span: the quota headers": lambda: wire.quota(head),
        **_spans(live.attempt),
    }


def _whole(url: httpx2.URL, sent: Mapping[str, str], head: Mapping[str, str]) -> Call:
    """Make a whole attempt without a span, its bodies unread: all but the frames of an HTTP client's hook."""
    registry = Registry()
    metering = Metering(registry)
    BurstWatch(registry, metering)
    wires = Wires()
    wires.add_host(url.host, UnreadWire())
    engine = Engine(attempt_sinks=(metering,), work_sinks=(metering,), registry=wires)
    answer = b"{}"

    def whole() -> None:
        host, path = url.host, url.path
        found = engine.registry.lookup(host, path)
        assert found is not None
        out = describe(
            engine.registry, found, host=host, port=url.port, path=path, headers=sent, body=answer,
            timeout_seconds=None,
        )  # fmt: skip
        assert out is not None
        sending = Sending(engine, out)
        live = sending.launch()
        assert live is not None
        with Sent(live):
            pass
        live.head(200, head)
        live.moved()
        live.feed(answer)
        live.finished()
        sending.leave(None)

    return whole


def _sinks(attempt: Attempt) -> dict[str, Call]:
    registry = Registry()
    metering = Metering(registry)
    BurstWatch(registry, metering)
    operation = attempt.operation

    several = itertools.cycle([copy.copy(attempt) for _ in range(_TIMES)])

    def counted() -> None:
        attempt = next(several)
        attempt.started_ns = time.time_ns()
        metering.attempt_started(attempt)
        attempt.ended_ns = operation.ended_ns = time.time_ns()
        metering.attempt_ended(attempt)
        metering.operation_ended(operation)

    return {"metrics, levels, bursts: notes, written in batches": counted}


def _spans(attempt: Attempt) -> dict[str, Call]:
    tracer = provider().get_tracer("penstock")
    writer = SpanWriter(lambda: tracer)
    operation = writer.operation_started(attempt.operation)

    def span() -> None:
        writer.attempt_started(attempt, operation)
        writer.attempt_ended(attempt)

    def of_operation() -> None:
        writer.operation_ended(attempt.operation, writer.operation_started(attempt.operation), attempt)

    return {
        "span of the attempt": span,
        "span of the operation, where it is ours": of_operation,
        "a bare OTel span, the attempt's attributes": lambda: bare_span(tracer, lambda: None),
    }
