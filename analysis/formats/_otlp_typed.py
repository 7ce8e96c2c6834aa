"""The fast way through OTLP/JSON: what the specification writes, decoded straight into structs.

Anything else (other spellings, values out of range) is left to `_otlp_json`, which is the reference:
both give the same rows for what both can read. Nothing here looks at an attribute by itself unless it
must: spans are taken apart column by column, in the interpreter's own loops.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec
import orjson

from penstock.analysis._raw import Event, Origin, RawSpan, Rows, Told
from penstock.analysis.formats import _otlp_json
from penstock.analysis.formats._otlp_json import enum
from penstock.analysis.formats._otlp_text import by_shape
from penstock.analysis.formats._sink import Sink

_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_CODES: Final = {"unset": 0, "ok": 1, "error": 2}
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Enum = Annotated[int, msgspec.Meta(ge=0, le=5)] | str
_NONE: Final = msgspec.Raw(b"[]")


class _Status(msgspec.Struct, gc=False, frozen=True):
    code: _Enum = 0
    message: str | None = None


class _Span(msgspec.Struct, gc=False):
    traceId: str  # noqa: N815 - OTLP's own spelling, here and below
    spanId: str  # noqa: N815
    startTimeUnixNano: _Int64  # noqa: N815
    name: str | None = None
    parentSpanId: str | None = None  # noqa: N815
    endTimeUnixNano: _Int64 = 0  # noqa: N815
    kind: _Enum = 0
    status: _Status = _Status()
    attributes: msgspec.Raw = _NONE
    events: msgspec.Raw = _NONE
    traceState: str | None = None  # noqa: N815
    origin: Any = None  # set by what reads it, whatever the file says


class _Scope(msgspec.Struct, gc=False):
    name: str | None = None


class _ScopeSpans(msgspec.Struct, gc=False):
    spans: list[_Span]
    scope: _Scope | None = None


class _Resource(msgspec.Struct, gc=False):
    attributes: msgspec.Raw = _NONE


class _ResourceSpans(msgspec.Struct, gc=False):
    scopeSpans: list[_ScopeSpans]  # noqa: N815
    resource: _Resource | None = None


class _Traces(msgspec.Struct, gc=False):
    resourceSpans: list[_ResourceSpans]  # noqa: N815


class _Text(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    stringValue: str  # noqa: N815


class _Pair(msgspec.Struct, gc=False):
    key: str
    value: _Text


class _Event(msgspec.Struct, gc=False):
    """An event that tells text alone, as an exception does."""

    name: str
    timeUnixNano: _Int64  # noqa: N815
    attributes: list[_Pair] = []


_EVENTS: Final = msgspec.json.Decoder(list[_Event], strict=False)
_DECODER: Final = msgspec.json.Decoder(_Traces, strict=False)  # lax: 64-bit integers travel as text
_ENOUGH: Final = 4_096
_PARTS: Final = tuple(
    map(
        attrgetter,
        (
            "origin", "traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano",
            "endTimeUnixNano", "status.code", "status.message", "traceState",
        ),
    )
)  # fmt: skip


class Typed:
    """Reads lines into a sink, many spans at once."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._spans: list[_Span] = []

    def read_line(self, line: bytes | memoryview, offset: int) -> bool:
        """Add the spans of one line; False, with nothing added, when it is not of the plain shape."""
        try:
            traces = _DECODER.decode(line)
            shared = [
                _attributes(batch.resource.attributes) if batch.resource else {}
                for batch in traces.resourceSpans
            ]
        except (msgspec.DecodeError, ValueError, TypeError, OverflowError, RecursionError):
            return False
        for batch, held in zip(traces.resourceSpans, shared, strict=True):
            service, instance = held.get("service.name"), held.get("service.instance.id")
            for scoped in batch.scopeSpans:
                origin = Origin(
                    service if isinstance(service, str) and service else None,
                    instance if isinstance(instance, str) and instance else None,
                    (scoped.scope.name or None) if scoped.scope else None,
                    self._sink.source,
                    offset,
                )
                for span in scoped.spans:
                    span.origin = origin
                self._spans += scoped.spans
        self._sink.records += 1
        if len(self._spans) >= _ENOUGH:
            self.flush()
        return True

    def flush(self) -> None:
        """Hand over the spans that are held."""
        spans, self._spans = self._spans, []
        events = self._events(spans)
        spans = [span for span in spans if span.events is _NONE or id(span) in events]
        groups, odd = by_shape([bytes(span.attributes) for span in spans])
        for group in groups:
            held = [spans[row] for row in group.rows]
            told = {row: events[id(span)] for row, span in enumerate(held) if span.events is not _NONE}
            self._sink.add(Rows(group.keys, group.values, _told(held), told))
        for span in map(spans.__getitem__, odd):
            self._alone(span, events.get(id(span), []))

    def _events(self, spans: list[_Span]) -> dict[int, Sequence[Event]]:
        """Read events of spans, by identity; a span with unreadable ones is rejected."""
        found: dict[int, Sequence[Event]] = {}
        for span in spans:
            if span.events is not _NONE:
                try:
                    found[id(span)] = _events(span.events)
                except (ValueError, TypeError, OverflowError) as error:
                    self._reject(span, error)
        return found

    def _reject(self, span: _Span, error: Exception) -> None:
        self._sink.reject(span.origin.record, f"a span is malformed: {error}")

    def _alone(self, span: _Span, events: Sequence[Event]) -> None:
        try:
            held = _attributes(span.attributes)
        except (ValueError, TypeError, OverflowError) as error:
            self._reject(span, error)
            return
        self._sink.spans.append(RawSpan(
            span.origin, (span.traceId, span.spanId, span.parentSpanId), span.name or None,
            enum(span.kind, _KINDS), span.startTimeUnixNano or None, span.endTimeUnixNano or None,
            enum(span.status.code, _CODES), span.status.message or None,
            tuple(held), tuple(held.values()), events, span.traceState,
        ))  # fmt: skip


def _events(text: msgspec.Raw) -> list[Event]:
    try:
        told = _EVENTS.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _otlp_json.events(orjson.loads(bytes(text)))
    return [
        (
            event.name,
            event.timeUnixNano,
            {pair.key: pair.value.stringValue for pair in event.attributes[::-1]},
        )
        for event in told
    ]


def _told(spans: Sequence[_Span]) -> Told:
    origins, traces, ids, parents, names, kinds, starts, ends, codes, messages, states = (
        list(map(part, spans)) for part in _PARTS
    )
    return Told(
        origins, traces, ids, parents, _said(names), _numbers(kinds, _KINDS), _said(starts),
        _said(ends), _numbers(codes, _CODES), _said(messages), states,
    )  # fmt: skip


def _numbers(words: list[Any], names: Mapping[str, int]) -> list[int]:
    """Read kinds or status codes, of which there are few."""
    few = {word: enum(word, names) for word in set(words)}
    return words if all(word == number for word, number in few.items()) else [few[word] for word in words]


def _said(values: list[Any]) -> list[Any]:
    """Take nothing for what is empty or zero."""
    return values if all(values) else [value or None for value in values]


def _attributes(text: msgspec.Raw) -> dict[str, object]:
    return {} if text is _NONE else _otlp_json.attributes({"attributes": orjson.loads(bytes(text))})
