"""OTLP as JSON: the Collector's batches, one span a line, Tempo's answers, loose spellings of all of them."""

from collections.abc import Iterable, Mapping
from typing import Final

from penstock.analysis._raw import Event, Origin, raw_span
from penstock.analysis.formats._sink import Sink

Json = Mapping[str, object]

_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_CODES: Final = {"unset": 0, "ok": 1, "error": 2}
_BATCHES: Final = ("resourceSpans", "resource_spans", "ResourceSpans", "batches")
_SCOPES: Final = (
    "scopeSpans",
    "scope_spans",
    "ScopeSpans",
    "instrumentationLibrarySpans",
    "instrumentation_library_spans",
)
_DIGITS: Final = tuple("012345")
_OTHER_SIGNALS: Final = {"resourceMetrics": "metrics", "resourceLogs": "logs", "resourceProfiles": "profiles"}


def claims(value: Json) -> bool:
    """Say whether a JSON object is OTLP."""
    if any(key in value for key in (*_BATCHES, *_SCOPES)):
        return True
    if "trace" in value and isinstance(inner := value["trace"], Mapping):
        return claims(inner)
    return _is_span(value)


def other_signal(value: Json) -> str | None:
    """Name the signal when this is OTLP, but not traces."""
    return next((signal for key, signal in _OTHER_SIGNALS.items() if key in value), None)


def read(value: Json, offset: int, sink: Sink) -> None:
    """Add all spans of one OTLP object."""
    sink.records += 1
    if "trace" in value and isinstance(inner := value["trace"], Mapping):
        value = inner
    if _is_span(value):
        _read_span(value, Origin(None, None, None, sink.source, offset), sink)
        return
    batches = _first(value, _BATCHES)
    for batch in _mappings([value] if batches is None else batches, offset, sink):
        shared = _shared(batch.get("resource", batch.get("Resource")), offset, sink)
        service, instance = _word(shared.get("service.name")), _word(shared.get("service.instance.id"))
        for scoped in _mappings(_first(batch, _SCOPES) or (), offset, sink):
            scope = scoped.get("scope", scoped.get("Scope", scoped.get("instrumentationLibrary")))
            name = _word(scope.get("name", scope.get("Name"))) if isinstance(scope, Mapping) else None
            origin = Origin(service, instance, name, sink.source, offset)
            for span in _mappings(scoped.get("spans", scoped.get("Spans")) or (), offset, sink):
                _read_span(span, origin, sink)


def _shared(resource: object, offset: int, sink: Sink) -> dict[str, object]:
    """Read what a batch says of its process; where that is malformed, its spans are kept without it."""
    try:
        return attributes(resource) if isinstance(resource, Mapping) else {}
    except (ValueError, TypeError, OverflowError) as error:
        sink.reject(offset, f"a resource is malformed: {error}")
        return {}


def attributes(holder: Json) -> dict[str, object]:
    """Read a list of key and AnyValue; the first of a repeated key wins. A plain object is taken as it is."""
    pairs = holder.get("attributes", holder.get("Attributes"))
    if isinstance(pairs, Mapping):
        return dict(pairs)
    found: dict[str, object] = {}
    if isinstance(pairs, list):
        for pair in pairs:
            if isinstance(pair, Mapping):
                key = pair.get("key", pair.get("Key"))
                if isinstance(key, str) and key not in found:
                    found[key] = any_value(pair.get("value", pair.get("Value")))
    return found


def any_value(value: object) -> object:
    """Read an AnyValue in camelCase, snake_case or as Go dumps it (`{"Value":{"StringValue":…}}`)."""
    if not isinstance(value, Mapping):
        return value
    for key, held in value.items():
        match key:
            case "stringValue" | "boolValue" | "string_value" | "bool_value" | "StringValue" | "BoolValue":
                return held
            case "intValue" | "int_value" | "IntValue":
                return _integer(held)
            case "doubleValue" | "double_value" | "DoubleValue":
                return float(held) if isinstance(held, str | int) else held
            case "arrayValue" | "array_value" | "ArrayValue":
                return [any_value(item) for item in _values(held)]
            case "kvlistValue" | "kvlist_value" | "KvlistValue":
                return attributes({"attributes": _values(held)})
            case "bytesValue" | "bytes_value" | "BytesValue":
                return held
            case "Value":
                return any_value(held)
    return None


def _read_span(span: Json, origin: Origin, sink: Sink) -> None:
    try:
        status = _first(span, ("status", "Status"))
        code, message = (
            (status.get("code"), status.get("message")) if isinstance(status, Mapping) else (0, None)
        )
        start = _integer(_first(span, ("startTimeUnixNano", "start_time_unix_nano", "StartTimeUnixNano")))
        end = _integer(_first(span, ("endTimeUnixNano", "end_time_unix_nano", "EndTimeUnixNano")))
        sink.spans.append(
            raw_span(
                origin,
                (
                    _first(span, ("traceId", "trace_id", "TraceId")),
                    _first(span, ("spanId", "span_id", "SpanId")),
                    _first(span, ("parentSpanId", "parent_span_id", "ParentSpanId")),
                ),
                _word(_first(span, ("name", "Name"))),
                enum(_first(span, ("kind", "Kind")), _KINDS),
                (start or None, end or None),
                (enum(code, _CODES), _word(message)),
                attributes(span),
                events(_first(span, ("events", "Events"))),
                _word(_first(span, ("traceState", "trace_state", "TraceState"))),
            )
        )
    except (ValueError, TypeError, OverflowError) as error:
        sink.reject(origin.record, f"a span is malformed: {error}")


def events(told: object) -> list[Event]:
    """Read a list of name, time and attributes."""
    if not isinstance(told, list):
        return []
    return [
        (
            str(_first(event, ("name", "Name")) or ""),
            _integer(_first(event, ("timeUnixNano", "time_unix_nano", "TimeUnixNano"))),
            attributes(event),
        )
        for event in told
        if isinstance(event, Mapping)
    ]


def enum(value: object, names: Mapping[str, int]) -> int:
    """Read a number, or a name such as `SPAN_KIND_CLIENT`, `Client` or `STATUS_CODE_ERROR`."""
    if value.__class__ is int and 0 <= value <= 5:
        return value
    if value is None or value == "":
        return 0
    if isinstance(value, str):
        word = value.rsplit("_", 1)[-1].rsplit(".", 1)[-1].lower()
        return names.get(word, int(value) if value in _DIGITS else 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 5:
        raise ValueError(f"kind or status {value!r}")
    return int(value)


def _integer(value: object) -> int | None:
    """64-bit integers are strings by the specification; numbers occur."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise ValueError(f"integer expected, got {type(value).__name__}")
    number = int(value)
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"{number} does not fit in 64 bits")
    return number if number < 2**63 else None


def _values(held: object) -> list[object]:
    values = held.get("values", held.get("Values")) if isinstance(held, Mapping) else held
    return values if isinstance(values, list) else []


def _mappings(values: object, offset: int, sink: Sink) -> Iterable[Json]:
    if not isinstance(values, list | tuple):
        sink.reject(offset, f"a list was expected, not {type(values).__name__}")
        return
    for value in values:
        if isinstance(value, Mapping):
            yield value
        else:
            sink.reject(offset, f"an object was expected, not {type(value).__name__}")


def _first(value: Json, keys: tuple[str, ...]) -> object:
    for key in keys:
        if key in value:
            return value[key]
    return None


def _is_span(value: Json) -> bool:
    return ("spanId" in value and "traceId" in value and "startTimeUnixNano" in value) or (
        "span_id" in value and "trace_id" in value and "start_time_unix_nano" in value
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
