"""Write `otlp.pb` in the formats of other exporters and stores, with their own code where it runs here.

python examples/traces/formats.py
"""

import json
import struct
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

HERE = Path(__file__).parent
# As opentelemetry-collector-contrib's clickhouseexporter makes it, without codecs and indexes.
OTEL_TRACES = """
CREATE TABLE otel_traces (
    Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
    SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ScopeVersion String,
    SpanAttributes Map(LowCardinality(String), String), Duration UInt64, StatusCode LowCardinality(String),
    StatusMessage String,
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String),
                   Attributes Map(LowCardinality(String), String)),
    Links Nested (TraceId String, SpanId String, TraceState String,
                  Attributes Map(LowCardinality(String), String))
) ENGINE = MergeTree ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
"""


def main() -> None:
    """Write each format."""
    message = (HERE / "otlp.pb").read_bytes()
    data = TracesData.FromString(message)
    (HERE / "collector.jsonl").write_bytes(collector(data))
    (HERE / "collector.pb.zst").write_bytes(framed(message))
    (HERE / "jaeger.json").write_text(json.dumps(jaeger(data), indent=1))
    clickhouse(data, HERE / "otel_traces.parquet")


def collector(data: TracesData) -> bytes:
    """The file exporter's JSON: ids are hexadecimal, one batch a line."""
    told: dict[str, Any] = MessageToDict(data)
    for _, _, span in spans(told):
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = b64decode(span[key]).hex()
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def framed(message: bytes) -> bytes:
    """The file exporter's `format: proto` with `compression: zstd`: frames behind their length."""
    packed = zstandard.compress(message)
    return struct.pack(">I", len(packed)) + packed


def spans(told: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Yield resource, scope and span of OTLP/JSON."""
    for batch in told["resourceSpans"]:
        for scoped in batch["scopeSpans"]:
            for span in scoped["spans"]:
                yield batch["resource"], scoped.get("scope", {}), span


def plain(holder: dict[str, Any]) -> dict[str, Any]:
    """Read attributes."""
    return {pair["key"]: next(iter(pair["value"].values()), None) for pair in holder.get("attributes", ())}


def jaeger(told: TracesData) -> dict[str, Any]:
    """What Jaeger's UI saves: microseconds, everything else in tags."""
    traces: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for _, scope, span in spans(json.loads(collector(told))):
        code = span.get("status", {}).get("code", "STATUS_CODE_UNSET").rsplit("_", 1)[-1]
        kind = span["kind"].rsplit("_", 1)[-1].lower()
        held = plain(span) | {"span.kind": kind, "otel.scope.name": scope.get("name", "")}
        held |= {"otel.status_code": code, "error": True} if code == "ERROR" else {}
        start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        parent = {"refType": "CHILD_OF", "traceID": span["traceId"], "spanID": span.get("parentSpanId")}
        traces[span["traceId"]].append({
            "traceID": span["traceId"], "spanID": span["spanId"], "operationName": span["name"],
            "references": [parent] if parent["spanID"] else [],
            "startTime": start // 1000, "duration": (end - start) // 1000, "processID": "p1", "logs": [],
            "tags": [{"key": key, "type": "string", "value": value} for key, value in held.items()],
        })  # fmt: skip
    process = {"p1": {"serviceName": "agents", "tags": []}}
    data = [{"traceID": trace, "spans": held, "processes": process} for trace, held in traces.items()]
    return {"data": data, "total": 0, "limit": 0, "offset": 0, "errors": None}


def clickhouse(data: TracesData, target: Path) -> None:
    """Insert as the Collector's exporter does, into ClickHouse itself, and let it write Parquet."""
    from chdb import connect

    rows = [json.dumps(_row(*one)) for one in spans(json.loads(collector(data)))]
    con = connect(":memory:")
    con.query(OTEL_TRACES)
    con.query("INSERT INTO otel_traces FORMAT JSONEachRow " + "\n".join(rows))
    target.unlink(missing_ok=True)
    con.query(f"SELECT * FROM otel_traces ORDER BY Timestamp INTO OUTFILE '{target}' FORMAT Parquet")
    con.close()


def _row(resource: dict[str, Any], scope: dict[str, Any], span: dict[str, Any]) -> dict[str, Any]:
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    shared, held = plain(resource), plain(span)
    events, status = span.get("events", []), span.get("status", {})
    return {
        "Timestamp": _moment(start), "TraceId": span["traceId"], "SpanId": span["spanId"],
        "ParentSpanId": span.get("parentSpanId", ""), "SpanName": span["name"],
        "Duration": end - start, "SpanKind": span["kind"].rsplit("_", 1)[-1].capitalize(),
        "ServiceName": shared.get("service.name", ""),
        "StatusCode": status.get("code", "STATUS_CODE_UNSET").rsplit("_", 1)[-1].capitalize(),
        "StatusMessage": status.get("message", ""), "ScopeName": scope.get("name", ""),
        "ResourceAttributes": {key: str(value) for key, value in shared.items()},
        "SpanAttributes": {key: _text(value) for key, value in held.items()},
        "Events.Timestamp": [_moment(int(event["timeUnixNano"])) for event in events],
        "Events.Name": [event["name"] for event in events],
        "Events.Attributes": [{key: _text(value) for key, value in plain(event).items()} for event in events],
    }  # fmt: skip


def _moment(ns: int) -> str:
    return f"{ns // 10**9}.{ns % 10**9:09d}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    main()
