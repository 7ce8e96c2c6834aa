"""Phoenix dataframes as rows: `context.trace_id`, `attributes.llm.model_name`, …; flat or nested."""

from collections.abc import Iterator, Mapping
from typing import Final

import orjson

from penstock.analysis._raw import Event, Origin, raw_span
from penstock.analysis.formats._otlp_json import enum
from penstock.analysis.formats._sink import Sink
from penstock.analysis.moments import nanoseconds

Json = Mapping[str, object]

_CODES: Final = {"unset": 0, "ok": 1, "error": 2}
_PREFIX: Final = "attributes."


def claims(value: Json) -> bool:
    """Say whether this is a Phoenix span."""
    if "context.trace_id" in value or "context.span_id" in value:
        return True
    return isinstance(value.get("context"), Mapping) and "span_kind" in value


def read(value: Json, offset: int, sink: Sink) -> None:
    """Add the span."""
    sink.records += 1
    context = value.get("context")
    ids = context if isinstance(context, Mapping) else {}
    attributes = dict(_attributes(value))
    kind = value.get("span_kind")
    if kind and "openinference.span.kind" not in attributes:
        attributes["openinference.span.kind"] = kind
    try:
        span = raw_span(
            Origin(
                _word(attributes.get("service.name")), None, _word(value.get("scope")), sink.source, offset
            ),
            (
                value.get("context.trace_id", ids.get("trace_id")),
                value.get("context.span_id", ids.get("span_id")),
                value.get("parent_id"),
            ),
            _word(value.get("name")),
            1,
            (nanoseconds(value.get("start_time")), nanoseconds(value.get("end_time"))),
            (enum(value.get("status_code"), _CODES), _word(value.get("status_message"))),
            attributes,
            _events(value.get("events")),
        )
    except (ValueError, TypeError, OverflowError) as error:
        sink.reject(offset, f"a span is malformed: {error}")
        return
    sink.spans.append(span)


def _attributes(value: Json) -> Iterator[tuple[str, object]]:
    nested = value.get("attributes")
    if isinstance(nested, str):
        try:
            nested = orjson.loads(nested)
        except orjson.JSONDecodeError:
            nested = None
    if isinstance(nested, Mapping):
        yield from _flat("", nested)
    for key, held in value.items():
        if key.startswith(_PREFIX) and held is not None:
            if isinstance(held, Mapping):
                yield from _flat(key[len(_PREFIX) :] + ".", held)
            else:
                yield key[len(_PREFIX) :], held


def _flat(prefix: str, value: Json) -> Iterator[tuple[str, object]]:
    for key, held in value.items():
        if isinstance(held, Mapping):
            yield from _flat(f"{prefix}{key}.", held)
        elif held is not None:
            yield f"{prefix}{key}", held


def _events(value: object) -> list[Event]:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return []
    if not isinstance(value, list):
        return []
    return [
        (str(event.get("name") or ""), nanoseconds(event.get("timestamp")), dict(_flat("", held)))
        for event in value
        if isinstance(event, Mapping) and isinstance(held := event.get("attributes") or {}, Mapping)
    ]


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
