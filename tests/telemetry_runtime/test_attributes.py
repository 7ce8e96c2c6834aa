"""Attributes put in at once are those that the SDK would have set, and its limits hold."""

import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import INVALID_SPAN

from penstock.telemetry.attributes import put, read

FACTS = {"a": "text", "b": 1, "c": 2.5, "d": True, "e": ("x", "y")}


def spans(limits=None):
    tracer = TracerProvider(span_limits=limits, shutdown_on_exit=False).get_tracer("t")
    return tracer.start_span("one", attributes={"a": "old"}), tracer.start_span(
        "two", attributes={"a": "old"}
    )


@pytest.mark.parametrize(
    "limits",
    [None, SpanLimits(max_span_attributes=3), SpanLimits(max_span_attribute_length=2)],
    ids=["no limit in reach", "few attributes", "short values"],
)
def test_a_span_holds_what_the_sdk_would_have_set(limits):
    ours, theirs = spans(limits)
    put(ours, FACTS)
    theirs.set_attributes(FACTS)
    assert dict(ours.attributes) == dict(theirs.attributes) == dict(read(ours))
    assert ours.dropped_attributes == theirs.dropped_attributes


def test_a_span_that_is_no_sdk_span_is_asked_by_its_own_means():
    put(INVALID_SPAN, FACTS)
    assert read(INVALID_SPAN) == {}
