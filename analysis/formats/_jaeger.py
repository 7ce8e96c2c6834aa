"""Jaeger's JSON: `{"data":[{"traceID", "spans", "processes"}]}`, microseconds, status and kind in tags."""

from collections.abc import Mapping
from typing import Final

from penstock.analysis._raw import Event, Origin, RawSpan, raw_span
from penstock.analysis.formats._sink import Sink

Json = Mapping[str, object]

_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_CODES: Final = {"OK": 1, "ERROR": 2}


def claims(value: Json) -> bool:
    """Say whether this is a Jaeger answer, or one of its traces."""
    if "spans" in value and ("traceID" in value or "processes" in value):
        return True
    data = value.get("data")
    return isinstance(data, list) and (not data or (isinstance(data[0], Mapping) and claims(data[0])))


def read(value: Json, offset: int, sink: Sink) -> None:
    """Add all spans of one answer or trace."""
    if "spans" not in value:
        sink.records += 1
        for trace in _list(value.get("data")):
            if isinstance(trace, Mapping):
                read(trace, offset, sink)
        return
    sink.records += 1
    processes = _mapping(value.get("processes"))
    for span in _list(value.get("spans")):
        if not isinstance(span, Mapping):
            sink.reject(offset, "a span is no object")
            continue
        process = _mapping(span.get("process")) or _mapping(processes.get(str(span.get("processID"))))
        try:
            sink.spans.append(_span(span, process, Origin(
                _word(process.get("serviceName")), _word(_tags(process).get("service.instance.id")),
                _word(_tags(span).get("otel.scope.name", _tags(span).get("otel.library.name"))),
                sink.source, offset,
            )))  # fmt: skip
        except (ValueError, TypeError, OverflowError) as error:
            sink.reject(offset, f"a span is malformed: {error}")


def _span(span: Json, process: Json, origin: Origin) -> RawSpan:
    tags = _tags(span)
    start, duration = span.get("startTime"), span.get("duration")
    start_ns = None if start is None else int(start) * 1_000  # type: ignore[call-overload]
    end_ns = None if start_ns is None or duration is None else start_ns + int(duration) * 1_000  # type: ignore[call-overload]
    code = _CODES.get(str(tags.pop("otel.status_code", "")), 0)
    if str(tags.pop("error", "")).lower() == "true":
        code = 2
    kind = _KINDS.get(str(tags.pop("span.kind", "")).lower(), 0)
    return raw_span(
        origin,
        (span.get("traceID"), span.get("spanID"), _parent(span)),
        _word(span.get("operationName")),
        kind,
        (start_ns, end_ns),
        (code, _word(tags.pop("otel.status_description", None))),
        tags,
        [_event(log) for log in _list(span.get("logs")) if isinstance(log, Mapping)],
    )


def _parent(span: Json) -> object:
    for reference in _list(span.get("references")):
        if isinstance(reference, Mapping) and reference.get("refType") == "CHILD_OF":
            return reference.get("spanID")
    return span.get("parentSpanID")


def _event(log: Json) -> Event:
    fields = _pairs(log.get("fields"))
    when = log.get("timestamp")
    name = str(fields.get("event", ""))
    return name, int(when) * 1_000 if isinstance(when, int | str) else None, fields


def _tags(holder: Json) -> dict[str, object]:
    return _pairs(holder.get("tags"))


def _pairs(tags: object) -> dict[str, object]:
    found: dict[str, object] = {}
    for tag in _list(tags):
        if isinstance(tag, Mapping) and isinstance(key := tag.get("key"), str):
            found.setdefault(key, tag.get("value"))
    return found


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
