"""Rows of ClickHouse's `otel_traces`: every attribute is text, a missing one reads ''."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from penstock.analysis._raw import Event, Origin, raw_span
from penstock.analysis.formats._otlp_json import enum
from penstock.analysis.formats._sink import Sink
from penstock.analysis.moments import nanoseconds

Json = Mapping[str, object]

_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_CODES: Final = {"unset": 0, "ok": 1, "error": 2}
_WRAPPED: Final = 1 << 63


def claims(value: Json) -> bool:
    """Say whether this is a row of `otel_traces`."""
    return "TraceId" in value and "SpanId" in value and "Timestamp" in value


def read(value: Json, offset: int, sink: Sink) -> None:
    """Add the row's span. A negative duration has wrapped around 64 bits."""
    sink.records += 1
    try:
        start = _timestamp(value["Timestamp"])
        duration = value.get("Duration")
        length = None if duration is None else int(duration)  # type: ignore[call-overload]
        if length is not None and length >= _WRAPPED:
            length -= 1 << 64
        resource = pairs(value.get("ResourceAttributes"))
        span = raw_span(
            Origin(
                _word(value.get("ServiceName")) or _word(resource.get("service.name")),
                _word(resource.get("service.instance.id")), _word(value.get("ScopeName")),
                sink.source, offset,
            ),
            (
                value.get("TraceId"),
                value.get("SpanId"),
                value.get("ParentSpanId"),
            ),
            _word(value.get("SpanName")),
            enum(value.get("SpanKind"), _KINDS),
            (start, None if start is None or length is None else start + length),
            (enum(value.get("StatusCode"), _CODES), _word(value.get("StatusMessage"))),
            {key: held for key, held in pairs(value.get("SpanAttributes")).items() if held != ""},
            _events(value),
            _word(value.get("TraceState")),
        )  # fmt: skip
    except (ValueError, TypeError, OverflowError) as error:
        sink.reject(offset, f"a span is malformed: {error}")
        return
    sink.spans.append(span)


def pairs(value: object) -> dict[str, object]:
    """Read a Map as JSON has it (an object) or as Arrow has it (a list of pairs)."""
    if isinstance(value, Mapping):
        return dict(value)
    return dict(value) if isinstance(value, list) else {}


def _events(value: Json) -> list[Event]:
    names, times, held = (
        value.get(f"Events.{part}", _nested(value, part)) for part in ("Name", "Timestamp", "Attributes")
    )
    if not (isinstance(names, list) and isinstance(times, list) and isinstance(held, list)):
        return []
    return [
        (str(name), _timestamp(when), pairs(attributes))
        for name, when, attributes in zip(names, times, held, strict=False)
    ]


def _nested(value: Json, part: str) -> object:
    events = value.get("Events")
    if isinstance(events, list):
        return [event.get(part) for event in events if isinstance(event, Mapping)]
    return None


def _timestamp(value: object) -> int | None:
    """Read nanoseconds, a date and time, or text with up to nine decimals (UTC)."""
    if isinstance(value, int):
        return value
    return nanoseconds(value if isinstance(value, datetime) else str(value))


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
