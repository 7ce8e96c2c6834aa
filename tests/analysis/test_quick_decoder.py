"""The quick way through OTLP/JSON gives what the reference gives, whatever the spans and however written."""

import json

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.analysis.formats import _json, _otlp_typed
from penstock.analysis.formats._sink import Sink

NS = 1_760_000_000_000_000_000
TEXT = st.text(alphabet='ab"\\{}[]:,\n é\U0001f600', max_size=8) | st.just('","') | st.just('"}},{"key":"x')
KEYS = st.sampled_from(
    [
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "gen_ai.usage.input_tokens",
        "error.type",
        "a",
        'b"',
        "é",
    ]
)
SCALARS = st.one_of(
    TEXT.map(lambda held: {"stringValue": held}),
    st.integers(-(2**63), 2**63 - 1).map(lambda held: {"intValue": str(held)}),
    st.integers(-(2**63), 2**64 - 1).map(lambda held: {"intValue": held}),
    st.floats(allow_nan=False).map(lambda held: {"doubleValue": held}),
    st.sampled_from([{"doubleValue": "NaN"}, {"doubleValue": 3}, {"intValue": "1e3"}, {"intValue": "x"}]),
    st.booleans().map(lambda held: {"boolValue": held}),
    st.sampled_from([{}, {"stringValue": None}, {"bytesValue": "AAEC"}, {"unknownValue": 1}]),
)
LISTS = st.lists(SCALARS, max_size=3).map(lambda held: {"arrayValue": {"values": held}})
VALUES = st.one_of(
    SCALARS,
    LISTS,
    st.lists(st.tuples(KEYS, SCALARS), max_size=2).map(
        lambda held: {"kvlistValue": {"values": [{"key": key, "value": value} for key, value in held]}}
    ),
)
PAIRS = st.tuples(KEYS, VALUES).map(lambda held: {"key": held[0], "value": held[1]})
TEXTS = st.tuples(KEYS, TEXT).map(lambda held: {"key": held[0], "value": {"stringValue": held[1]}})
ODD_PAIRS = st.sampled_from(
    [{"key": "a"}, {"value": {"stringValue": "x"}, "key": "a"}, {"key": "a", "value": 1, "c": 2}]
)
SPANS = st.fixed_dictionaries(
    {
        "traceId": st.just("ab" * 16),
        "startTimeUnixNano": st.sampled_from([str(NS), NS, "0"]),
        "attributes": st.lists(st.one_of(PAIRS, PAIRS, PAIRS, ODD_PAIRS), max_size=4),
    },
    optional={
        "parentSpanId": st.sampled_from(["", "01" * 8]),
        "name": TEXT,
        "kind": st.sampled_from([0, 3, 7, "SPAN_KIND_CLIENT", "4", "17", "odd"]),
        "endTimeUnixNano": st.sampled_from([str(NS + 5), 0]),
        "status": st.sampled_from([{}, {"code": 2, "message": "no"}, {"code": "STATUS_CODE_ERROR"}]),
        "traceState": st.just("ot=th:8"),
        "events": st.lists(
            st.fixed_dictionaries(
                {"name": st.just("exception"), "attributes": st.lists(st.one_of(TEXTS, PAIRS), max_size=2)},
                optional={"timeUnixNano": st.sampled_from([str(NS), NS, "0", "x", None])},
            ),
            max_size=2,
        ),
        "origin": st.just("told by the file"),
    },
)
REPEATED = st.tuples(st.lists(SPANS, min_size=1, max_size=4), st.integers(1, 20))


def written(spans, style):
    """Write a line; ids tell the spans apart."""
    named = [{**span, "spanId": f"{i + 1:016x}"} for i, span in enumerate(spans)]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "app"}}]}
    batch = {"resource": resource, "scopeSpans": [{"scope": {"name": "s"}, "spans": named}]}
    if style == "spaced":
        return json.dumps({"resourceSpans": [batch]}).encode()
    return orjson.dumps({"resourceSpans": [batch]})


def quick(line):
    sink = Sink(0)
    typed = _otlp_typed.Typed(sink)
    taken = typed.read_line(line, 0)
    typed.flush()
    return sink, taken


def slow(line):
    sink = Sink(0)
    _json.take(orjson.loads(line), 0, sink)
    return sink


def rows(sink):
    held = [{**row, "attrs": json.loads(row["attrs"] or "{}")} for row in sink.table().to_pylist()]
    return sorted(held, key=lambda row: (row["span_id"] or "", json.dumps(row, default=str)))


def same(line):
    told, taken = quick(line)
    if not taken:
        assert told.count == told.bad_count == 0
        return
    reference = slow(line)
    assert rows(told) == rows(reference)
    assert told.bad_count == reference.bad_count


@settings(max_examples=120, deadline=None)
@given(held=REPEATED, style=st.sampled_from(["compact", "spaced"]))
def test_spans_of_any_shape_read_the_same(held, style):
    spans, times = held
    same(written(spans * times, style))


@settings(max_examples=120, deadline=None)
@given(
    held=REPEATED,
    at=st.floats(0, 1),
    cut=st.integers(0, 6),
    more=st.sampled_from([b"", b'"', b"}", b"{", b",", b"\\", b"9"]),
)
def test_damaged_text_is_never_read_as_something_else(held, at, cut, more):
    spans, times = held
    line = written(spans * times, "compact")
    place = int(at * len(line))
    damaged = line[:place] + more + line[place + cut :]
    try:
        orjson.loads(damaged)
    except orjson.JSONDecodeError:
        assert not quick(damaged)[1]
        return
    same(damaged)


def test_the_recordings_take_the_quick_way(recorded, formats):
    for line in formats.lines(recorded(1, calls=80).spans, 50).splitlines():
        told, taken = quick(line)
        assert taken
        assert told.spans == []
        assert rows(told) == rows(slow(line))
