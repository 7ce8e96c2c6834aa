"""OTLP as protobuf: one message a frame of the Collector's file exporter, or one message a file."""

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from penstock.analysis._raw import Origin, RawSpan, raw_span
from penstock.analysis.formats._sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span


def decode(message: bytes, offset: int, sink: Sink) -> None:
    """Add all spans of one TracesData (an ExportTraceServiceRequest has the same fields)."""
    data = TracesData()
    try:
        data.ParseFromString(message)
    except DecodeError as error:
        sink.reject(offset, f"not OTLP protobuf: {error}")
        return
    if not data.resource_spans:
        sink.reject(offset, "no spans in a protobuf message")
        return
    sink.records += 1
    for batch in data.resource_spans:
        shared = _attributes(batch.resource.attributes)
        service, instance = shared.get("service.name"), shared.get("service.instance.id")
        for scoped in batch.scope_spans:
            origin = Origin(_word(service), _word(instance), scoped.scope.name or None, sink.source, offset)
            sink.spans.extend(_span(span, origin) for span in scoped.spans)


def _span(span: "Span", origin: Origin) -> RawSpan:
    return raw_span(
        origin,
        (
            span.trace_id,
            span.span_id,
            span.parent_span_id,
        ),
        span.name or None,
        span.kind,
        (_time(span.start_time_unix_nano), _time(span.end_time_unix_nano)),
        (span.status.code, span.status.message or None),
        _attributes(span.attributes),
        [(event.name, event.time_unix_nano, _attributes(event.attributes)) for event in span.events],
        span.trace_state or None,
    )


def _time(value: int) -> int | None:
    return value if 0 < value < 2**63 else None


def _attributes(pairs: "Iterable[KeyValue]") -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in pairs:
        found.setdefault(pair.key, _value(pair.value))
    return found


def _value(value: "AnyValue") -> object:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bool_value":
            return value.bool_value
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case _:
            return None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
