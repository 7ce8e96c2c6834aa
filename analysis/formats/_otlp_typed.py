"""The fast way through OTLP/JSON: what the specification writes, decoded straight into structs.

Anything else (other spellings, values out of range) is left to `_otlp_json`, which is the reference:
both give the same rows for what both can read.
"""

from typing import Annotated, Final

import msgspec

from penstock.analysis._raw import Event, Origin, RawSpan
from penstock.analysis.formats._otlp_json import enum
from penstock.analysis.formats._sink import Sink

_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_CODES: Final = {"unset": 0, "ok": 1, "error": 2}
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Scalar(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    stringValue: str | None = None  # noqa: N815 - OTLP's own spelling, here and below
    boolValue: bool | None = None  # noqa: N815
    intValue: _Int64 | None = None  # noqa: N815
    doubleValue: float | None = None  # noqa: N815
    bytesValue: str | None = None  # noqa: N815


class _Array(msgspec.Struct, gc=False):
    values: list[_Scalar] = []


class _Value(_Scalar, gc=False, forbid_unknown_fields=True):
    arrayValue: _Array | None = None  # noqa: N815


class _Pair(msgspec.Struct, gc=False):
    key: str
    value: _Value


class _Event(msgspec.Struct, gc=False):
    name: str = ""
    timeUnixNano: _Int64 = 0  # noqa: N815
    attributes: list[_Pair] = []


class _Status(msgspec.Struct, gc=False):
    code: int | str = 0
    message: str | None = None


class _Span(msgspec.Struct, gc=False):
    traceId: str  # noqa: N815
    spanId: str  # noqa: N815
    startTimeUnixNano: _Int64  # noqa: N815
    name: str | None = None
    parentSpanId: str | None = None  # noqa: N815
    endTimeUnixNano: _Int64 = 0  # noqa: N815
    kind: int | str = 0
    status: _Status | None = None
    attributes: list[_Pair] = []
    events: list[_Event] = []
    traceState: str | None = None  # noqa: N815


class _Scope(msgspec.Struct, gc=False):
    name: str | None = None


class _ScopeSpans(msgspec.Struct, gc=False):
    spans: list[_Span]
    scope: _Scope | None = None


class _Resource(msgspec.Struct, gc=False):
    attributes: list[_Pair] = []


class _ResourceSpans(msgspec.Struct, gc=False):
    scopeSpans: list[_ScopeSpans]  # noqa: N815
    resource: _Resource | None = None


class _Traces(msgspec.Struct, gc=False):
    resourceSpans: list[_ResourceSpans]  # noqa: N815


_UNSET: Final = _Status()
_DECODER: Final = msgspec.json.Decoder(_Traces, strict=False)  # lax: 64-bit integers travel as text


def read_line(line: bytes, offset: int, sink: Sink) -> bool:
    """Add the spans of one line; False, with nothing added, when it is not of the plain shape."""
    try:
        traces = _DECODER.decode(line)
        spans: list[RawSpan] = []
        for batch in traces.resourceSpans:
            shared = _attributes(batch.resource.attributes) if batch.resource else {}
            service, instance = shared.get("service.name"), shared.get("service.instance.id")
            for scoped in batch.scopeSpans:
                origin = Origin(
                    service if isinstance(service, str) and service else None,
                    instance if isinstance(instance, str) and instance else None,
                    (scoped.scope.name or None) if scoped.scope else None,
                    sink.source,
                    offset,
                )
                spans += [_span(span, origin) for span in scoped.spans]
    except (msgspec.DecodeError, ValueError, UnicodeDecodeError, RecursionError):
        return False
    sink.records += 1
    sink.spans += spans
    return True


def _span(span: _Span, origin: Origin) -> RawSpan:
    status = span.status or _UNSET
    pairs = span.attributes
    return RawSpan(
        origin,
        (span.traceId, span.spanId, span.parentSpanId),
        span.name or None,
        enum(span.kind, _KINDS),
        span.startTimeUnixNano or None,
        span.endTimeUnixNano or None,
        enum(status.code, _CODES),
        status.message or None,
        tuple([pair.key for pair in pairs]),
        tuple([_plain(pair.value) if (text := pair.value.stringValue) is None else text for pair in pairs]),
        [_event(event) for event in span.events],
        span.traceState or None,
    )


def _event(event: _Event) -> Event:
    return event.name, event.timeUnixNano, _attributes(event.attributes)


def _attributes(pairs: list[_Pair]) -> dict[str, object]:
    return {pair.key: _plain(pair.value) for pair in reversed(pairs)}


def _plain(value: _Scalar) -> object:
    if (number := value.intValue) is not None:
        return number
    for held in (value.stringValue, value.boolValue, value.doubleValue, value.bytesValue):
        if held is not None:
            return held
    array = getattr(value, "arrayValue", None)
    return array and [_plain(item) for item in array.values]
