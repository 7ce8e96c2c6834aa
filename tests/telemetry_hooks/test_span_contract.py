"""Spans as the contract says: names, times, parents, roles, and no text of anybody's."""

import logging

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, StatusCode

from penstock.telemetry import semconv as names
from penstock.telemetry.interceptor import Granted

CANARY = "zebra-7431"


def test_an_operation_and_its_attempts(hook, chat, sim, spans):
    seen = hook(tracer_source=spans.tracer)
    sim.script(chat.limited, chat.limited, chat.ok)
    chat.openai().chat.completions.create(**chat.request)
    (operation,) = spans.kind("operation")
    attempts = spans.kind("attempt")
    assert operation.name == "chat gpt-5"
    assert operation.kind is SpanKind.CLIENT
    assert [s.name for s in attempts] == ["attempt gpt-5"] * 3
    assert {s.parent.span_id for s in attempts} == {operation.context.span_id}
    assert [s.attributes[names.ATTEMPT_NUMBER] for s in attempts] == [1, 2, 3]
    assert [s.status.status_code for s in attempts] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]
    refused = attempts[0].attributes
    assert refused[names.ERROR_CLASS] == "rate_limit"
    assert refused[names.ERROR_GROUP] == "429"
    assert refused[names.ERROR_TYPE] == "429"
    assert refused[names.RETRY_AFTER] == 0.005
    assert refused[names.QUOTA_REQUESTS_LIMIT] == 60_000
    assert attempts[1].attributes[names.RETRY_OWNER] == "sdk"
    said = operation.attributes
    assert (said[names.ATTEMPTS], said[names.DEDUPE], said[names.POOL]) == (3, "owner", "openai:gpt-5")
    assert (said[names.OPERATION_NAME], said[names.REQUEST_MODEL]) == ("chat", "gpt-5")
    assert said[names.USAGE_OUTPUT] == 8
    assert operation.status.status_code is StatusCode.UNSET
    assert names.ERROR_CLASS not in said
    assert [(s.start_time, s.end_time) for s in attempts] == [
        (a.started_ns, a.ended_ns) for a in seen.attempts
    ]


def test_an_attempt_never_claims_the_calls_tokens(hook, chat, spans):
    hook(tracer_source=spans.tracer)
    chat.openai().chat.completions.create(**chat.request)
    (attempt,) = spans.kind("attempt")
    assert names.OPERATION_NAME not in attempt.attributes
    assert not [name for name in attempt.attributes if name.startswith("gen_ai.")]
    assert attempt.attributes[names.ATTEMPT_OUTPUT] > 0


def test_time_in_our_queue_is_a_span_beside_the_attempt(hook, chat, spans, decider):
    hook(tracer_source=spans.tracer, interceptor=decider(Granted(queued_seconds=0.5)))
    chat.openai().chat.completions.create(**chat.request)
    (queue,) = spans.kind("queue")
    (attempt,) = spans.kind("attempt")
    assert queue.end_time == attempt.start_time
    assert queue.end_time - queue.start_time == 500_000_000
    assert attempt.attributes[names.QUEUED_SECONDS] == 0.5


def test_the_attempt_is_current_while_it_is_sent(hook, spans):
    import httpx2

    hook(tracer_source=spans.tracer)
    inside = []

    def answer(request):
        inside.append(trace.get_current_span().get_span_context().span_id)
        return httpx2.Response(200, json={})

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        client.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-5"})
    (attempt,) = spans.kind("attempt")
    assert inside == [attempt.context.span_id]
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_failed_operation_says_what_failed(hook, chat, sim, spans):
    import openai

    hook(tracer_source=spans.tracer)
    sim.script(chat.limited)
    with pytest.raises(openai.RateLimitError):
        chat.openai(max_retries=0).chat.completions.create(**chat.request)
    (operation,) = spans.kind("operation")
    assert operation.status.status_code is StatusCode.ERROR
    assert operation.attributes[names.ERROR_CLASS] == "rate_limit"
    assert operation.events == ()


def test_a_stream_tells_its_time_to_first_chunk(hook, chat, spans):
    hook(tracer_source=spans.tracer)
    assert list(chat.openai().chat.completions.create(**chat.request, stream=True))
    (operation,) = spans.kind("operation")
    assert operation.attributes[names.REQUEST_STREAM] is True
    assert 0 < operation.attributes[names.RESPONSE_FIRST_CHUNK] < 60


def test_without_a_tracer_there_are_records_and_no_spans(hook, chat, spans):
    seen = hook(tracer_source=lambda: None)
    chat.openai().chat.completions.create(**chat.request)
    assert len(seen.attempts) == 1
    assert spans.all() == []


def test_unsampled_spans_cost_no_attributes_and_break_nothing(hook, chat):
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    provider = TracerProvider(sampler=ALWAYS_OFF)
    seen = hook(tracer_source=lambda: provider.get_tracer("x"))
    chat.openai().chat.completions.create(**chat.request)
    assert seen.classes() == [None]


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_own_span_is_adopted(hook, chat, sim, spans, stream):
    hook(tracer_source=spans.tracer)
    sim.script(chat.limited, chat.ok)
    client = chat.anthropic(open_telemetry={"tracer_provider": spans.provider})
    answer = client.messages.create(**chat.claude, stream=stream)
    if stream:
        assert list(answer)
    llm = [s for s in spans.all() if s.attributes.get(names.OPERATION_NAME) == "chat"]
    (native,) = llm
    assert native.name == "anthropic.messages.create"
    assert native.attributes[names.SPAN_KIND] == "operation"
    assert (native.attributes[names.ATTEMPTS], native.attributes[names.DEDUPE]) == (2, "owner")
    assert native.attributes[names.USAGE_OUTPUT] > 0
    assert names.ERROR_CLASS not in native.attributes
    attempts = spans.kind("attempt")
    assert [s.parent.span_id for s in attempts] == [native.context.span_id] * 2


def test_an_adopted_span_gets_the_class_of_the_failure(hook, chat, sim, spans):
    import anthropic

    hook(tracer_source=spans.tracer)
    sim.script(chat.limited)
    client = chat.anthropic(open_telemetry={"tracer_provider": spans.provider}, max_retries=0)
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(**chat.claude)
    (native,) = [s for s in spans.all() if s.name == "anthropic.messages.create"]
    assert native.attributes[names.ERROR_CLASS] == "rate_limit"


def test_of_three_llm_spans_of_one_call_one_owns_its_tokens(hook, chat, spans):
    hook(tracer_source=spans.tracer)
    tracer = spans.provider.get_tracer("somebody")
    llm = {names.OPERATION_NAME: "chat"}
    with (
        tracer.start_as_current_span("agent", attributes={names.OPERATION_NAME: "invoke_agent"}),
        tracer.start_as_current_span("outer", attributes={"openinference.span.kind": "LLM"}),
        tracer.start_as_current_span("middle", attributes=llm),
        tracer.start_as_current_span("helper"),
        tracer.start_as_current_span("inner", attributes=llm),
        tracer.start_as_current_span("http"),
    ):
        chat.openai().chat.completions.create(**chat.request)
    roles = {s.name: s.attributes.get(names.DEDUPE) for s in spans.all()}
    assert roles == {
        "agent": None, "outer": "outer", "middle": "inner", "helper": None, "inner": "owner", "http": None,
        "attempt gpt-5": None,
    }  # fmt: skip


def test_a_tool_between_is_a_border(hook, chat, spans):
    hook(tracer_source=spans.tracer)
    tracer = spans.provider.get_tracer("somebody")
    with (
        tracer.start_as_current_span("outer", attributes={names.OPERATION_NAME: "chat"}),
        tracer.start_as_current_span("tool", attributes={names.OPERATION_NAME: "execute_tool"}),
    ):
        chat.openai().chat.completions.create(**chat.request)
    by_name = {s.name: s for s in spans.all()}
    assert by_name["chat gpt-5"].parent.span_id == by_name["tool"].context.span_id
    assert names.DEDUPE not in by_name["outer"].attributes


def test_two_calls_under_one_llm_span_are_summed_on_it(hook, chat, sim, spans):
    hook(tracer_source=spans.tracer)
    tracer = spans.provider.get_tracer("somebody")
    with tracer.start_as_current_span("llm", attributes={names.OPERATION_NAME: "chat"}):
        for _ in range(2):
            chat.openai().chat.completions.create(**chat.request)
    (llm,) = [s for s in spans.all() if s.name == "llm"]
    assert llm.attributes[names.ATTEMPTS] == 2


def test_no_text_and_no_key_leaves_by_default(hook, chat, sim, spans, caplog):
    import openai

    hook(tracer_source=spans.tracer)
    caplog.set_level(logging.DEBUG, logger="penstock")
    body = {"error": {"message": f"bad {CANARY}", "type": CANARY, "code": CANARY, "param": CANARY}}
    sim.script({"status": 400, "body": body})
    client = chat.openai(default_headers={"x-custom": CANARY, "authorization": f"Bearer {CANARY}"})
    tool = {"type": "function", "function": {"name": CANARY, "parameters": {}}}
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(
            model="gpt-5",
            messages=[{"role": "user", "content": CANARY}],
            tools=[tool],
            extra_query={"q": CANARY},
            user=CANARY,
        )
    told = "".join(s.to_json() for s in spans.all())
    assert spans.kind("attempt")[0].attributes[names.ERROR_CLASS] == "invalid_request"
    assert CANARY not in told
    ours = [record.getMessage() for record in caplog.records if record.name == "penstock"]
    assert any("class=invalid_request" in line for line in ours)
    assert CANARY not in "".join(ours)


def test_a_failed_attempt_is_one_line_of_pairs_with_the_trace(hook, chat, sim, spans, caplog):
    hook(tracer_source=spans.tracer)
    sim.script(chat.limited, chat.ok)
    chat.openai().chat.completions.create(**chat.request)
    (line,) = [r.getMessage() for r in caplog.records if r.name == "penstock"]
    pairs = dict(word.split("=", 1) for word in line.removeprefix("attempt failed ").split(" "))
    assert (pairs["class"], pairs["status"], pairs["attempt"]) == ("rate_limit", "429", "1")
    assert int(pairs["trace_id"], 16) == spans.kind("attempt")[0].context.trace_id
