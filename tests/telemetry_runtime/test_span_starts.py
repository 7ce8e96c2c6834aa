"""Spans started in one go are those that the SDK's tracer would have started."""

import itertools

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState

from penstock.telemetry.span_starts import SpanStarts

HEAD = {"a": "text", "b": 1, "c": 2.5, "d": True}


class Counting(IdGenerator):
    def __init__(self, random):
        self._ids = itertools.count(1)
        self._random = random

    def generate_span_id(self):
        return next(self._ids)

    def generate_trace_id(self):
        return next(self._ids)

    def is_trace_id_random(self):
        return self._random


class Adding(Sampler):
    """Takes every span, and has something to say of each."""

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, *_, **__):
        told = {**(attributes or {}), "sampler": name}
        return SamplingResult(Decision.RECORD_AND_SAMPLE, told, TraceState([("by", "sampler")]))

    def get_description(self):
        return "adding"


class Watching(SpanProcessor):
    def __init__(self):
        self.seen = []

    def on_start(self, span, parent_context=None):
        self.seen.append(("start", span.to_json(), trace.get_current_span(parent_context).get_span_context()))
        span.set_attribute("said at start", len(self.seen))
        span.add_event("started", timestamp=5)

    def on_end(self, span):
        self.seen.append(("end", span.to_json(), span.dropped_attributes, span.dropped_events))


ABOVE = {
    "nothing": lambda tracer: trace.INVALID_SPAN,
    "a span": lambda tracer: tracer.start_span("above", context=Context(), start_time=1),
    "a span of a caller far away": lambda tracer: NonRecordingSpan(
        SpanContext(7, 8, True, TraceFlags(TraceFlags.SAMPLED), TraceState([("k", "v")]))
    ),
    "a caller that is not sampled": lambda tracer: NonRecordingSpan(SpanContext(7, 8, True)),
    "a span below one far away": lambda tracer: tracer.start_span(
        "above",
        start_time=1,
        context=trace.set_span_in_context(
            NonRecordingSpan(SpanContext(7, 8, True, TraceFlags(1), TraceState([("k", "v")]))), Context()
        ),
    ),
}


def run(start, provider, watching, above, attributes):
    """Start and end some spans; what their processor saw of the last ones is told."""
    tracer = provider.get_tracer("t", "1")
    starts = SpanStarts(tracer) if start is SpanStarts else None
    parent = ABOVE[above](tracer)
    for _ in range(3):
        context = trace.set_span_in_context(parent, Context())
        if parent is trace.INVALID_SPAN:
            context = Context()
        if starts is not None:
            span = starts.start("one", context, parent, attributes, 5)
        else:
            span = tracer.start_span("one", context, SpanKind.CLIENT, attributes, start_time=5)
        span.set_attribute("b", 2)
        span.set_attributes({"e": ("x", "y")})
        span.add_event("heard", {"n": 1}, 6)
        span.add_link(SpanContext(1, 2, False))
        span.set_status(trace.Status(trace.StatusCode.ERROR, "no"))
        span.end(9)
    kept = {name: type(value) for name, value in getattr(span, "__dict__", {}).items()}
    return watching.seen, kept, span.get_span_context()


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("random", [False, True], ids=["counted ids", "random ids"])
@pytest.mark.parametrize(
    ("sampler", "limits"),
    [
        (None, None),
        (ALWAYS_ON, None),
        (ALWAYS_OFF, None),
        (StaticSampler(Decision.RECORD_ONLY), None),
        (ParentBased(ALWAYS_ON, local_parent_sampled=ALWAYS_OFF), None),
        (ParentBased(ALWAYS_ON, local_parent_sampled=Adding()), None),
        (ParentBased(Adding()), None),
        (ParentBasedTraceIdRatio(0.0), None),
        (TraceIdRatioBased(1.0), None),
        (Adding(), None),
        (None, SpanLimits(max_span_attributes=2)),
        (None, SpanLimits(max_span_attributes=0)),
        (None, SpanLimits(max_span_attribute_length=2)),
        (None, SpanLimits(max_events=1, max_links=0)),
    ],
)
def test_a_span_is_the_tracers_own_to_the_last_field(above, random, sampler, limits):
    def made(start):
        watching = Watching()
        provider = TracerProvider(
            sampler=sampler, span_limits=limits, id_generator=Counting(random), shutdown_on_exit=False
        )
        provider.add_span_processor(watching)
        return run(start, provider, watching, above, HEAD)

    assert made(SpanStarts) == made(None)


@pytest.mark.parametrize("odd", [{"a": object}, {"a": ["x", 1]}, {"a": None}, {"a": {"b": object}}])
def test_values_that_the_sdk_cleans_are_cleaned(odd):
    def made(start):
        watching = Watching()
        provider = TracerProvider(id_generator=Counting(False), shutdown_on_exit=False)
        provider.add_span_processor(watching)
        return run(start, provider, watching, "nothing", odd)

    assert made(SpanStarts) == made(None)


def started(starts, above=trace.INVALID_SPAN):
    return starts.start("one", trace.set_span_in_context(above, Context()), above, HEAD, 5)


@pytest.fixture
def provider():
    return TracerProvider(shutdown_on_exit=False)


def refuse(*_, **__):
    raise AssertionError("the tracer was asked")


@pytest.mark.parametrize("above", ["nothing", "a span"])
def test_only_the_first_span_of_a_sort_is_left_to_the_tracer(provider, monkeypatch, above):
    tracer = provider.get_tracer("t")
    starts, parent = SpanStarts(tracer), ABOVE[above](tracer)
    started(starts, parent)
    monkeypatch.setattr(tracer, "start_span", refuse)
    assert started(starts, parent).is_recording()


def test_a_span_below_one_that_is_recorded_and_not_sampled_is_left_to_the_sampler():
    recorded = ParentBased(StaticSampler(Decision.RECORD_ONLY), remote_parent_sampled=ALWAYS_ON)
    tracer = TracerProvider(sampler=recorded, shutdown_on_exit=False).get_tracer("t")
    starts = SpanStarts(tracer)
    sampled, unsampled = ABOVE["a span below one far away"](tracer), ABOVE["a span"](tracer)
    assert [started(starts, above).is_recording() for above in (sampled, sampled, unsampled)] == [
        True,
        True,
        False,
    ]


def test_a_tracer_that_is_turned_off_is_asked_again(provider):
    starts = SpanStarts(provider.get_tracer("t"))
    assert started(starts).is_recording()
    provider._set_tracer_configurator(tracer_configurator=lambda scope: sdk._TracerConfig(False))
    assert not started(starts).is_recording()
    provider._set_tracer_configurator(tracer_configurator=lambda scope: sdk._TracerConfig(True))
    assert started(starts).is_recording()


def test_a_resource_that_changes_with_a_fork_is_the_new_one(provider):
    starts = SpanStarts(provider.get_tracer("t"))
    started(starts)
    provider._update_resource(Resource({"process.pid": 1}))
    assert started(starts).resource.attributes["process.pid"] == 1


def test_spans_of_unknown_parts_are_left_to_the_tracer(provider, monkeypatch):
    tracer = provider.get_tracer("t")
    of_the_sdk, numbers = tracer.start_span, itertools.count()

    def newer(*args, **kwargs):
        span = of_the_sdk(*args, **kwargs)
        span._of_tomorrow = next(numbers)
        return span

    monkeypatch.setattr(tracer, "start_span", newer)
    starts = SpanStarts(tracer)
    assert [started(starts)._of_tomorrow for _ in range(3)] == [0, 1, 2]


def test_a_tracer_that_counts_its_spans_counts_each(monkeypatch):
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    reader = InMemoryMetricReader()
    provider = TracerProvider(
        shutdown_on_exit=False, meter_provider=MeterProvider([reader], shutdown_on_exit=False)
    )
    starts = SpanStarts(provider.get_tracer("t"))
    for _ in range(3):
        started(starts)
    points = {
        metric.name: sum(point.value for point in metric.data.data_points)
        for scope in reader.get_metrics_data().resource_metrics[0].scope_metrics
        for metric in scope.metrics
    }
    assert points["otel.sdk.span.started"] == 3


def test_any_other_tracer_is_asked():
    assert started(SpanStarts(trace.NoOpTracer())) is trace.INVALID_SPAN
