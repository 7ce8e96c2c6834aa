"""Recordings with known truth, in every format and dialect."""

# ruff: noqa: E501 - encoders read as the tables they are

import base64
import gzip
import io
import json
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from penstock.analysis import Selection, Spans, open_spans
from penstock.telemetry import semconv

START = 1_760_000_000_000_000_000
MS = 1_000_000
REFUSED = "Error code: 429 - {'error': {'message': 'Rate limit reached for requests per min (RPM): Limit 500, Used 500'}}"
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


@dataclass
class Span:
    """One span, before any format."""

    trace: str
    id: str
    parent: str | None
    name: str
    start: int
    end: int | None
    attributes: dict[str, Any] = field(default_factory=dict)
    kind: int = 3
    status: int = 0
    message: str | None = None
    events: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)


@dataclass
class Recording:
    """Spans and what is true of them. `live` holds each attempt's (pool, provider, start, end)."""

    spans: list[Span] = field(default_factory=list)
    attempts: int = 0
    operations: int = 0
    tools: int = 0
    failed_attempts: Counter[str] = field(default_factory=Counter)
    failed_operations: Counter[str] = field(default_factory=Counter)
    failed_tools: Counter[str] = field(default_factory=Counter)
    cancelled: Counter[str] = field(default_factory=Counter)
    live: list[tuple[str, str, int, int]] = field(default_factory=list)
    tokens: Counter[str] = field(default_factory=Counter)

    def level(self, name: str) -> dict[str, Any]:
        """Give what `traces errors` must say of attempts, operations or tools."""
        failed = getattr(self, f"failed_{name}")
        return {
            "total": getattr(self, name),
            "failed": sum(failed.values()),
            "cancelled": self.cancelled[name],
            "by_class": dict(failed),
        }


def record(seed: int, calls: int = 40) -> Recording:
    """Write calls as the span contract says: attempts below operations, tools and operations below a task."""
    rng = random.Random(seed)
    told = Recording()
    clock = START
    while told.operations < calls:
        clock += rng.randrange(20, 900) * MS
        trace = f"{rng.getrandbits(128) | 1:032x}"
        task = Span(trace, _id(rng), None, "invoke_agent planner", clock, clock, kind=1,
                    attributes={semconv.SPAN_KIND: "task", semconv.TASK_NAME: "plan", semconv.TASK_ID: trace[:8]})  # fmt: skip
        at = clock + 1 * MS
        for _ in range(rng.randrange(1, 4)):
            at = _call(told, rng, trace, task.id, at) + rng.randrange(1, 30) * MS
            if rng.random() < 0.5:
                at = _tool(told, rng, trace, task.id, at)
        task.end = at
        told.spans.append(task)
    return told


def _id(rng: random.Random) -> str:
    return f"{rng.getrandbits(64) | 1:016x}"


def _call(told: Recording, rng: random.Random, trace: str, parent: str, start: int) -> int:
    provider, model = rng.choice((("openai", "gpt-5"), ("anthropic", "claude-sonnet-4-5")))
    pool = f"{provider}:{model}"
    operation = _id(rng)
    outcomes = rng.choice((("ok",), ("ok",), ("rate_limit", "ok"), ("rate_limit", "rate_limit", "ok"),
                           ("overloaded", "timeout", "server_error"), ("auth",), ("cancelled",)))  # fmt: skip
    at = start
    for number, outcome in enumerate(outcomes, 1):
        sent, at = at, at + rng.randrange(50, 4000) * MS + rng.randrange(MS)
        status = {"rate_limit": 429, "overloaded": 503, "server_error": 500, "auth": 401, "ok": 200}.get(
            outcome
        )
        held: dict[str, Any] = {
            semconv.SPAN_KIND: "attempt", semconv.ATTEMPT_PROVIDER: provider, semconv.ATTEMPT_MODEL: model,
            semconv.POOL: pool, semconv.ATTEMPT_NUMBER: number, semconv.SERVER_ADDRESS: f"api.{provider}.com",
            semconv.QUOTA_REQUESTS_LIMIT: 500.0,
        }  # fmt: skip
        if status:
            held[semconv.HTTP_STATUS] = status
        if outcome != "ok":
            held |= {semconv.ERROR_CLASS: outcome, semconv.ERROR_REASON: f"{outcome}_reason"}
        told.spans.append(Span(trace, _id(rng), operation, f"attempt {model}", sent, at, held,
                               status=0 if outcome in {"ok", "cancelled"} else 2))  # fmt: skip
        told.attempts += 1
        told.live.append((pool, provider, sent, at))
        if outcome == "cancelled":
            told.cancelled["attempts"] += 1
        elif outcome != "ok":
            told.failed_attempts[outcome] += 1
        at += rng.randrange(1, 500) * MS
    end = outcomes[-1]
    held = {
        semconv.SPAN_KIND: "operation", semconv.OPERATION_NAME: "chat", semconv.PROVIDER_NAME: provider,
        semconv.REQUEST_MODEL: model, semconv.POOL: pool, semconv.ATTEMPTS: len(outcomes), semconv.DEDUPE: "owner",
    }  # fmt: skip
    if end == "ok":
        tokens = {"input": rng.randrange(100, 900), "output": rng.randrange(1, 300)}
        held |= {semconv.USAGE_INPUT: tokens["input"], semconv.USAGE_OUTPUT: tokens["output"]}
        told.tokens.update(tokens)
    else:
        held |= {semconv.ERROR_CLASS: end, semconv.ERROR_REASON: f"{end}_reason"}
        if end == "cancelled":
            told.cancelled["operations"] += 1
        else:
            told.failed_operations[end] += 1
    told.operations += 1
    told.spans.append(Span(trace, operation, parent, f"chat {model}", start, at, held,
                           status=0 if end in {"ok", "cancelled"} else 2))  # fmt: skip
    return at


def _tool(told: Recording, rng: random.Random, trace: str, parent: str, start: int) -> int:
    end = start + rng.randrange(1, 800) * MS
    held: dict[str, Any] = {
        semconv.SPAN_KIND: "tool", semconv.OPERATION_NAME: "execute_tool", semconv.TOOL_NAME: rng.choice(("search", "sql")),
    }  # fmt: skip
    failed = rng.random() < 0.3
    if failed:
        held |= {semconv.ERROR_CLASS: "tool", semconv.ERROR_REASON: "tool_error"}
        told.failed_tools["tool"] += 1
    told.tools += 1
    told.spans.append(Span(trace, _id(rng), parent, "execute_tool", start, end, held, 1, 2 if failed else 0))
    return end


class Formats:
    """Encoders: spans -> bytes of a file."""

    @staticmethod
    def value(held: Any) -> dict[str, Any]:
        match held:
            case bool():
                return {"boolValue": held}
            case int():
                return {"intValue": str(held)}
            case float():
                return {"doubleValue": held}
            case list():
                return {"arrayValue": {"values": [Formats.value(item) for item in held]}}
            case dict():
                return {"kvlistValue": {"values": Formats.pairs(held)}}
            case _:
                return {"stringValue": held}

    @staticmethod
    def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"key": key, "value": Formats.value(held)} for key, held in attributes.items()]

    @staticmethod
    def span(span: Span) -> dict[str, Any]:
        found: dict[str, Any] = {
            "traceId": span.trace, "spanId": span.id, "name": span.name, "kind": span.kind,
            "startTimeUnixNano": str(span.start), "endTimeUnixNano": str(span.end or 0),
            "attributes": Formats.pairs(span.attributes),
            "status": {"code": span.status, "message": span.message} if span.message else {"code": span.status},
            "events": [{"name": name, "timeUnixNano": str(at), "attributes": Formats.pairs(held)}
                       for name, at, held in span.events],
        }  # fmt: skip
        return found | ({"parentSpanId": span.parent} if span.parent else {})

    @staticmethod
    def request(spans: list[Span], scope: str = "test") -> dict[str, Any]:
        resource = {"attributes": Formats.pairs({"service.name": "app", "service.instance.id": "one"})}
        scoped = {"scope": {"name": scope}, "spans": [Formats.span(span) for span in spans]}
        return {"resourceSpans": [{"resource": resource, "scopeSpans": [scoped]}]}

    @staticmethod
    def lines(spans: list[Span], batch: int = 1) -> bytes:
        batches = [spans[i : i + batch] for i in range(0, len(spans), batch)]
        return b"".join(json.dumps(Formats.request(held)).encode() + b"\n" for held in batches)

    @staticmethod
    def messages(spans: list[Span], batch: int = 10) -> Iterator[bytes]:
        from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]

        for i in range(0, len(spans), batch):
            request = json.loads(json.dumps(Formats.request(spans[i : i + batch])))
            for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]:
                for key in ("traceId", "spanId", "parentSpanId"):
                    if key in span:
                        span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
            yield ParseDict(request, TracesData()).SerializeToString()

    @staticmethod
    def base64_ids(spans: list[Span]) -> bytes:
        from google.protobuf.json_format import MessageToDict, Parse  # type: ignore[import-untyped] # noqa: F401

        out = b""
        for message in Formats.messages(spans):
            out += json.dumps(MessageToDict(TracesData.FromString(message))).encode() + b"\n"
        return out

    @staticmethod
    def snake(spans: list[Span]) -> bytes:
        from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]

        return b"".join(
            json.dumps(
                MessageToDict(TracesData.FromString(message), preserving_proto_field_name=True)
            ).encode()
            + b"\n"
            for message in Formats.messages(spans)
        )

    @staticmethod
    def framed(messages: Iterator[bytes]) -> bytes:
        return b"".join(struct.pack(">I", len(message)) + message for message in messages)

    @staticmethod
    def framed_zstd(spans: list[Span]) -> bytes:
        return Formats.framed(
            zstandard.compress(json.dumps(Formats.request(spans[i : i + 10])).encode())
            for i in range(0, len(spans), 10)
        )

    @staticmethod
    def console(spans: list[Span]) -> bytes:
        return b"INFO starting {up}\n" + b"".join(
            json.dumps(Formats.console_span(span), indent=4).encode() + b"\nlog line between\n"
            for span in spans
        )

    @staticmethod
    def console_span(span: Span) -> dict[str, Any]:
        return {
            "name": span.name,
            "context": {"trace_id": f"0x{span.trace}", "span_id": f"0x{span.id}", "trace_state": "[]"},
            "kind": f"SpanKind.{KINDS[span.kind].upper()}",
            "parent_id": f"0x{span.parent}" if span.parent else None,
            "start_time": Formats.iso(span.start),
            "end_time": Formats.iso(span.end) if span.end else None,
            "status": {"status_code": ("UNSET", "OK", "ERROR")[span.status]}
            | ({"description": span.message} if span.message else {}),
            "attributes": span.attributes,
            "events": [
                {"name": name, "timestamp": Formats.iso(at), "attributes": held}
                for name, at, held in span.events
            ],
            "links": [],
            "resource": {"attributes": {"service.name": "app"}, "schema_url": ""},
        }

    @staticmethod
    def iso(ns: int) -> str:
        return (
            datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            + f".{ns % 1_000_000_000 // 1000:06d}Z"
        )

    @staticmethod
    def jaeger(spans: list[Span]) -> bytes:
        traces: dict[str, list[dict[str, Any]]] = {}
        for span in spans:
            tags = [{"key": key, "type": "string", "value": held} for key, held in span.attributes.items()]
            tags.append({"key": "span.kind", "type": "string", "value": KINDS[span.kind]})
            if span.status == 2:
                tags += [
                    {"key": "error", "type": "bool", "value": True},
                    {"key": "otel.status_code", "type": "string", "value": "ERROR"},
                ]
            if span.message:
                tags.append({"key": "otel.status_description", "type": "string", "value": span.message})
            traces.setdefault(span.trace, []).append({
                "traceID": span.trace.lstrip("0"), "spanID": span.id.lstrip("0"), "operationName": span.name,
                "references": [{"refType": "CHILD_OF", "traceID": span.trace, "spanID": span.parent}] if span.parent else [],
                "startTime": span.start // 1000, "duration": ((span.end or 0) - span.start) // 1000, "tags": tags,
                "logs": [{"timestamp": at // 1000, "fields": [{"key": "event", "type": "string", "value": name}, *(
                    {"key": key, "type": "string", "value": text} for key, text in held.items())]} for name, at, held in span.events],
                "processID": "p1",
            })  # fmt: skip
        data = [
            {"traceID": trace, "spans": held, "processes": {"p1": {"serviceName": "app", "tags": []}}}
            for trace, held in traces.items()
        ]
        return json.dumps({"data": data, "total": 0, "errors": None}, indent=2).encode()

    @staticmethod
    def clickhouse(spans: list[Span]) -> bytes:
        text = lambda held: held if isinstance(held, str) else json.dumps(held)  # noqa: E731
        rows = {
            "Timestamp": pa.array([span.start for span in spans], pa.timestamp("ns", "UTC")),
            "TraceId": [span.trace for span in spans],
            "SpanId": [span.id for span in spans],
            "ParentSpanId": [span.parent or "" for span in spans],
            "TraceState": ["" for _ in spans],
            "SpanName": [span.name for span in spans],
            "SpanKind": [KINDS[span.kind].capitalize() for span in spans],
            "ServiceName": ["app" for _ in spans],
            "ResourceAttributes": pa.array(
                [[("service.name", "app")] for _ in spans], pa.map_(pa.string(), pa.string())
            ),
            "ScopeName": ["test" for _ in spans],
            "SpanAttributes": pa.array(
                [[(key, text(held)) for key, held in span.attributes.items()] for span in spans],
                pa.map_(pa.string(), pa.string()),
            ),
            "Duration": pa.array(
                [((span.end or span.start) - span.start) % 2**64 for span in spans], pa.uint64()
            ),
            "StatusCode": [("Unset", "Ok", "Error")[span.status] for span in spans],
            "StatusMessage": [span.message or "" for span in spans],
            "Events.Timestamp": pa.array(
                [[at for _, at, _ in span.events] for span in spans], pa.list_(pa.timestamp("ns", "UTC"))
            ),
            "Events.Name": pa.array(
                [[name for name, _, _ in span.events] for span in spans], pa.list_(pa.string())
            ),
            "Events.Attributes": pa.array(
                [[list(held.items()) for _, _, held in span.events] for span in spans],
                pa.list_(pa.map_(pa.string(), pa.string())),
            ),
        }
        out = io.BytesIO()
        pq.write_table(pa.table(rows), out)
        return out.getvalue()

    @staticmethod
    def phoenix_rows(spans: list[Span]) -> list[dict[str, Any]]:
        return [
            {
                "name": span.name,
                "span_kind": {"chat": "LLM", "execute_tool": "TOOL"}.get(
                    span.attributes.get("gen_ai.operation.name", ""), "CHAIN"
                ),
                "parent_id": span.parent,
                "start_time": Formats.iso(span.start),
                "end_time": Formats.iso(span.end) if span.end else None,
                "status_code": ("UNSET", "OK", "ERROR")[span.status],
                "status_message": span.message or "",
                "events": [
                    {"name": name, "timestamp": Formats.iso(at), "attributes": held}
                    for name, at, held in span.events
                ],
                "context.trace_id": span.trace,
                "context.span_id": span.id,
                **{f"attributes.{key}": held for key, held in span.attributes.items()},
            }
            for span in spans
        ]

    @staticmethod
    def phoenix_lines(spans: list[Span]) -> bytes:
        return b"".join(json.dumps(row).encode() + b"\n" for row in Formats.phoenix_rows(spans))

    @staticmethod
    def phoenix_parquet(spans: list[Span]) -> bytes:
        rows = Formats.phoenix_rows(spans)
        keys = list(dict.fromkeys(key for row in rows for key in row))
        table = {key: [row.get(key) for row in rows] for key in keys}
        for key in ("start_time", "end_time"):
            table[key] = pa.array(
                [None if held is None else datetime.fromisoformat(held) for held in table[key]],
                pa.timestamp("us", "UTC"),
            )
        table["events"] = [json.dumps(held) for held in table["events"]]
        out = io.BytesIO()
        pq.write_table(pa.table(table), out)
        return out.getvalue()


ENCODERS: dict[str, Callable[[list[Span]], bytes]] = {
    "one span a line": Formats.lines,
    "batches": lambda spans: Formats.lines(spans, 16),
    "array": lambda spans: json.dumps([Formats.request(spans[:20]), Formats.request(spans[20:])]).encode(),
    "pretty object": lambda spans: json.dumps(Formats.request(spans), indent=2).encode(),
    "pretty array": lambda spans: json.dumps([Formats.request([span]) for span in spans], indent=1).encode(),
    "objects in one line": lambda spans: Formats.lines(spans).replace(b"\n", b" "),
    "bare resource": lambda spans: b"".join(
        json.dumps(Formats.request([span])["resourceSpans"][0]).encode() + b"\n" for span in spans
    ),
    "tempo": lambda spans: json.dumps({"batches": Formats.request(spans)["resourceSpans"]}).encode(),
    "tempo v2": lambda spans: json.dumps({"trace": Formats.request(spans)}).encode(),
    "base64 ids": Formats.base64_ids,
    "snake case": Formats.snake,
    "gzip": lambda spans: gzip.compress(Formats.lines(spans)),
    "zstd": lambda spans: zstandard.compress(Formats.lines(spans, 7)),
    "framed zstd": Formats.framed_zstd,
    "protobuf": lambda spans: next(Formats.messages(spans, len(spans))),
    "framed protobuf": lambda spans: Formats.framed(Formats.messages(spans)),
    "console": Formats.console,
    "jaeger": Formats.jaeger,
    "clickhouse parquet": Formats.clickhouse,
    "phoenix lines": Formats.phoenix_lines,
    "phoenix parquet": Formats.phoenix_parquet,
}


@pytest.fixture(params=list(ENCODERS))
def encode(request: pytest.FixtureRequest) -> Callable[[list[Span]], bytes]:
    """Each format in turn."""
    return ENCODERS[request.param]


@pytest.fixture(scope="session")
def formats() -> type[Formats]:
    return Formats


@pytest.fixture(scope="session")
def make_span() -> type[Span]:
    return Span


@pytest.fixture(scope="session")
def calls() -> Callable[..., list[Span]]:
    """Make a good call, one answered 429 and a failed tool below an agent, of given attributes."""
    sec = 1000 * MS
    refusal = (
        "exception",
        START + sec,
        {"exception.type": "openai.RateLimitError", "exception.message": REFUSED},
    )
    late = (
        "exception",
        START + sec,
        {"exception.type": "TimeoutError", "exception.message": "search timed out"},
    )

    def build(
        good: dict[str, Any], refused: dict[str, Any], tool: dict[str, Any], trace: str = "ab" * 16
    ) -> list[Span]:
        return [
            Span(trace, "01" * 8, None, "agent", START, START + 9 * sec, {}, 1),
            Span(trace, "02" * 8, "01" * 8, "call", START, START + 2 * sec, good),
            Span(
                trace,
                "03" * 8,
                "01" * 8,
                "call",
                START + sec,
                START + 4 * sec,
                refused,
                3,
                2,
                REFUSED,
                [refusal],
            ),
            Span(
                trace,
                "04" * 8,
                "01" * 8,
                "tool",
                START + sec,
                START + 2 * sec,
                tool,
                1,
                2,
                "search timed out",
                [late],
            ),
        ]

    return build


@pytest.fixture(scope="session")
def recorded() -> Callable[..., Recording]:
    """Make a recording from a seed."""
    return record


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Any]:
    """Open bytes, spans or paths as the CLI does, with a store of their own."""

    @contextmanager
    def open_them(*held: bytes | Path, selection: Selection | None = None) -> Iterator[Spans]:
        names = []
        for i, one in enumerate(held):
            path = one if isinstance(one, Path) else tmp_path / f"input-{i}"
            if isinstance(one, bytes):
                path.write_bytes(one)
            names.append(str(path))
        with open_spans(names, store=tmp_path / "store", selection=selection) as spans:
            yield spans

    return open_them
