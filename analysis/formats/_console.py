"""OpenTelemetry Python's console exporter: indented objects, one after another."""

from collections.abc import Mapping
from typing import Final

from penstock.analysis._raw import Event, Origin, raw_span
from penstock.analysis.formats._otlp_json import enum
from penstock.analysis.formats._sink import Sink
from penstock.analysis.moments import nanoseconds

Json = Mapping[str, object]

_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_CODES: Final = {"unset": 0, "ok": 1, "error": 2}


def claims(value: Json) -> bool:
    """Say whether this is a console span."""
    context = value.get("context")
    return (
        isinstance(context, Mapping)
        and "trace_id" in context
        and "start_time" in value
        and "span_kind" not in value
    )


def read(value: Json, offset: int, sink: Sink) -> None:
    """Add the span. Its times have microseconds; `end_time` is null while it runs."""
    sink.records += 1
    context, status, resource = (_mapping(value.get(key)) for key in ("context", "status", "resource"))
    shared = _mapping(resource.get("attributes"))
    scope = _mapping(value.get("instrumentation_scope")) or _mapping(value.get("instrumentation_info"))
    try:
        span = raw_span(
            Origin(_word(shared.get("service.name")), _word(shared.get("service.instance.id")),
                   _word(scope.get("name")), sink.source, offset),
            (
                context.get("trace_id"),
                context.get("span_id"),
                value.get("parent_id"),
            ),
            _word(value.get("name")),
            enum(value.get("kind"), _KINDS),
            (nanoseconds(value.get("start_time")), nanoseconds(value.get("end_time"))),
            (enum(status.get("status_code"), _CODES), _word(status.get("description"))),
            _mapping(value.get("attributes")),
            events(value.get("events")),
        )  # fmt: skip
    except (ValueError, TypeError, OverflowError) as error:
        sink.reject(offset, f"a span is malformed: {error}")
        return
    sink.spans.append(span)


def events(value: object) -> list[Event]:
    """Read a list of name, timestamp, attributes."""
    if not isinstance(value, list):
        return []
    return [
        (str(event.get("name") or ""), nanoseconds(event.get("timestamp")), _mapping(event.get("attributes")))
        for event in value
        if isinstance(event, Mapping)
    ]


def _mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
