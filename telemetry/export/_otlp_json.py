"""Spans as OTLP/JSON: one `{"resourceSpans": […]}` object a span.

The protobuf JSON mapping with OTLP's exceptions: 64-bit integers are strings, ids are lower-case hex,
enums are numbers. https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import math
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind

from penstock.telemetry.export._content import may_keep

Json = dict[str, object]
_KINDS: Final = {
    SpanKind.INTERNAL: 1, SpanKind.SERVER: 2, SpanKind.CLIENT: 3, SpanKind.PRODUCER: 4, SpanKind.CONSUMER: 5,
}  # fmt: skip
_SPECIAL: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


def encode(span: ReadableSpan) -> bytes:
    """Encode one span as one line, newline included. Attributes with content are left out."""
    scope = span.instrumentation_scope
    scoped: Json = {
        "scope": {"name": scope.name, "version": scope.version or ""} if scope else {},
        "spans": [_span(span)],
    }
    resource = {"attributes": _attributes(span.resource.attributes)}
    line = {"resourceSpans": [{"resource": resource, "scopeSpans": [scoped]}]}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS, default=str)


def _span(span: ReadableSpan) -> Json:
    context = span.context
    assert context is not None
    out: Json = {
        "traceId": format(context.trace_id, "032x"),
        "spanId": format(context.span_id, "016x"),
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.start_time or 0),
        "endTimeUnixNano": str(span.end_time or 0),
        "attributes": _attributes(span.attributes or {}),
        "status": {"code": span.status.status_code.value},
        "flags": int(context.trace_flags),
    }
    if span.parent is not None:
        out["parentSpanId"] = format(span.parent.span_id, "016x")
    if context.trace_state:
        out["traceState"] = context.trace_state.to_header()
    if span.events:
        out["events"] = [_event(event) for event in span.events]
    if span.links:
        out["links"] = [_link(link) for link in span.links]
    return out


def _event(event: Event) -> Json:
    return {
        "timeUnixNano": str(event.timestamp),
        "name": event.name,
        "attributes": _attributes(event.attributes or {}),
    }


def _link(link: Link) -> Json:
    context: SpanContext = link.context
    return {
        "traceId": format(context.trace_id, "032x"),
        "spanId": format(context.span_id, "016x"),
        "attributes": _attributes(link.attributes or {}),
    }


def _attributes(attributes: Mapping[str, object]) -> list[Json]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items() if may_keep(key)]


def _value(value: object) -> Json:
    encoder = _ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value)
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": [{"key": str(k), "value": _value(v)} for k, v in value.items()]}}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {} if value is None else {"stringValue": str(value)}


def _double(value: float) -> Json:
    if math.isfinite(value):
        return {"doubleValue": value}
    return {"doubleValue": _SPECIAL.get(value, "NaN")}


# By exact type: a bool is an int, and a str a sequence.
_ENCODERS: Final[Mapping[type, Callable[..., Json]]] = {
    str: lambda value: {"stringValue": value},
    bool: lambda value: {"boolValue": value},
    int: lambda value: {"intValue": str(value)},
    float: _double,
    bytes: lambda value: {"bytesValue": b64encode(value).decode()},
}
