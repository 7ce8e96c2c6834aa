"""Which spans describe one call: those it is made in, and those that somebody keeps open beside it."""

import contextvars
import gc
import weakref

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider

from penstock.telemetry import semconv as names
from penstock.telemetry.adoption import adopt, announce, answered, span_ending, span_started

LLM = {names.OPERATION_NAME: "chat"}


@pytest.fixture
def alone():
    """Run a test in a context of its own, so that its open spans are nobody else's."""
    return contextvars.copy_context().run


@pytest.fixture
def start():
    """Start a span as an instrumentor does; `within` makes its parent current first."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("somebody")

    def begin(name, attributes=None, within=None):
        if within is not None:
            context.attach(trace.set_span_in_context(within))
        span = tracer.start_span(name, attributes=attributes)
        span_started(span, None)
        return span

    return begin


def role(span):
    return span.attributes.get(names.DEDUPE)


def adopted(stage):
    return adopt(trace.get_current_span(), stage.operation())


def test_an_llm_span_that_is_never_current_is_adopted(alone, start, stage):
    def call():
        request = start("POST /ask")
        start("beside", within=request)
        kept = start("chat", LLM)
        assert adopted(stage) is kept
        assert adopted(stage) is None  # it describes one call; the next has a span of its own

    alone(call)


def test_a_span_that_has_ended_or_is_below_another_describes_no_call_of_ours(alone, start, stage):
    def call():
        request = start("POST /ask")
        start("chat", LLM, within=request).end()
        start("chat", LLM, within=start("job"))
        context.attach(trace.set_span_in_context(request))
        assert adopted(stage) is None

    alone(call)


def test_of_several_spans_of_one_call_the_newest_owns_it(alone, start, stage):
    def call():
        outer = start("outer", LLM)
        kept = start("kept", LLM, within=outer)
        inner = start("inner", LLM)
        context.attach(trace.set_span_in_context(inner))
        assert adopted(stage) is inner
        assert (role(outer), role(kept)) == ("outer", "inner")

    alone(call)


def test_announced_spans_are_taken_call_by_call(alone, start, stage):
    def call():
        elsewhere = contextvars.copy_context()
        first, second = ([elsewhere.run(start, "run") for _ in range(2)] for _ in range(2))
        announce(second, "second")
        announce(first, "first")
        assert adopted(stage) is first[1]
        assert [role(span) for span in (*first, *second)] == ["outer", None, None, None]
        assert adopted(stage) is second[1]
        assert role(second[0]) == "outer"

    alone(call)


@pytest.mark.timeout(30)
def test_a_span_announced_again_after_a_newer_one_leads_into_no_circle(alone, start, stage):
    def call():
        first, second = start("first", LLM), start("second", LLM)
        announce([first], "run")
        announce([second, first], "run")
        assert adopted(stage) is second
        first.end()
        second.end()
        start("third").end()  # walks over what is open
        assert adopted(stage) is None

    alone(call)


def test_a_span_written_after_its_call_is_known_by_the_answer(alone, start):
    def call():
        answered("chatcmpl-mine")
        late, other = (
            start("chat", {**LLM, names.RESPONSE_ID: f"chatcmpl-{id}"}) for id in ("mine", "other")
        )
        for span in (late, other):
            span_ending(span)
        assert (role(late), role(other)) == ("outer", None)

    alone(call)


def test_an_adopted_span_tells_how_its_last_operation_went(alone, start, stage, rate_limited):
    def call():
        span = start("chat", LLM)
        context.attach(trace.set_span_in_context(span))
        first, second = stage.operation(attempts=1, verdict=rate_limited), stage.operation(attempts=1)
        assert adopt(span, first) is adopt(span, second) is span
        span_ending(span)
        assert span.attributes[names.ATTEMPTS] == 2
        assert names.ERROR_CLASS not in span.attributes

    alone(call)


def test_spans_that_overlap_for_ever_are_not_kept(alone, start):
    def call():
        first = start("0")
        gone = weakref.ref(first)
        before = first
        for number in range(1, 50):
            span = start(str(number))
            before.end()
            before = span
        del first
        gc.collect()
        assert gone() is None

    alone(call)
