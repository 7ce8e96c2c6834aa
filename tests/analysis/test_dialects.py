"""Each instrumentation's spelling of the same calls: classes, tokens and calls counted once."""

# ruff: noqa: E501 - attributes read as the tables they are

import json
from pathlib import Path

import pytest

from penstock.analysis import concurrency, errors, summary

S = 1_760_000_000_000_000_000
SEC = 1_000_000_000

# Attributes of: a good call (input 108 of which cached 64, output 12), a call answered 429, a tool that failed.
DIALECTS = json.loads(Path(__file__).with_name("dialect_calls.json").read_text())


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("form", ["otlp", "clickhouse", "jaeger"])
def test_a_dialect_says_what_otel_says(dialect, form, calls, formats, opened):
    spans = calls(**DIALECTS[dialect])
    if form == "otlp":
        data = json.dumps(formats.request(spans)).encode() + b"\n"
    else:
        data = getattr(formats, form)(spans)
    with opened(data) as view:
        told, page, live = errors(view).data, summary(view).data, concurrency(view).data
    assert told["operations"] == {"total": 2, "failed": 1, "cancelled": 0, "by_class": {"rate_limit": 1}}
    assert told["attempts"] == {"total": 2, "failed": 1, "cancelled": 0, "by_class": {"rate_limit": 1}}
    assert told["tools"] == {"total": 1, "failed": 1, "cancelled": 0, "by_class": {"tool": 1}}
    (group,) = told["groups"]
    assert (group["provider"], group["model"], group["pool"]) == ("openai", "gpt-5", "openai:gpt-5")
    assert (page["tokens"]["input"], page["tokens"]["output"], page["tokens"]["cache_read"]) == (108, 12, 64)
    assert told["quality"]["operations_as_attempts"] == 2
    assert (live["total"]["max"], live["total"]["p50"], live["total"]["seconds"]) == (2, 1, 4.0)
    assert [entry["tool"] for entry in told["tool_groups"]] == ["search"]


def test_one_call_seen_by_two_instrumentations_counts_once(make_span, formats, opened):
    good = DIALECTS["otel new"]["good"]
    other = DIALECTS["openinference"]["good"]
    trace = "cd" * 16
    spans = [
        make_span(trace, "01" * 8, None, "outer", S, S + 3 * SEC, other, 1),
        make_span(trace, "02" * 8, "01" * 8, "middle", S, S + 3 * SEC, {}, 1),
        make_span(trace, "03" * 8, "02" * 8, "inner", S, S + 2 * SEC, good),
    ]
    with opened(formats.lines(spans)) as view:
        told, page = errors(view).data, summary(view).data
    assert told["operations"]["total"] == 1
    assert told["attempts"]["total"] == 1
    assert page["tokens"]["input"] == 108


def test_an_agent_between_two_calls_keeps_them_apart(make_span, formats, opened):
    good, trace = DIALECTS["otel new"]["good"], "ce" * 16
    spans = [
        make_span(trace, "01" * 8, None, "chat", S, S + 3 * SEC, good),
        make_span(trace, "02" * 8, "01" * 8, "execute_tool", S, S + 3 * SEC,
                  {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ask"}, 1),
        make_span(trace, "03" * 8, "02" * 8, "chat", S, S + 2 * SEC, good),
    ]  # fmt: skip
    with opened(formats.lines(spans)) as view:
        assert errors(view).data["operations"]["total"] == 2
        assert summary(view).data["tokens"]["input"] == 216


def test_http_spans_inside_a_call_are_its_attempts(make_span, formats, opened):
    good, trace = DIALECTS["otel new"]["good"], "cf" * 16
    http = {"http.request.method": "POST", "server.address": "api.openai.com"}
    spans = [
        make_span(trace, "01" * 8, None, "chat", S, S + 5 * SEC, good),
        make_span(trace, "02" * 8, "01" * 8, "POST", S, S + SEC, http | {"http.response.status_code": 429}),
        make_span(
            trace,
            "03" * 8,
            "01" * 8,
            "POST",
            S + 2 * SEC,
            S + 5 * SEC,
            http | {"http.response.status_code": 200},
        ),
        make_span(trace, "04" * 8, "01" * 8, "GET", S, S + SEC, {"http.request.method": "GET"}),
    ]
    with opened(formats.lines(spans)) as view:
        told = errors(view).data
    assert told["attempts"] == {"total": 2, "failed": 1, "cancelled": 0, "by_class": {"rate_limit": 1}}
    assert told["operations"] == {"total": 1, "failed": 0, "cancelled": 0, "by_class": {}}
    assert told["groups"][0]["pool"] == "openai:gpt-5"
    assert told["quality"]["http_spans_as_attempts"] == 2


def test_a_call_that_was_never_sent_has_no_attempt(make_span, formats, opened):
    held = DIALECTS["otel new"]["refused"] | {"penstock.attempts": 0, "penstock.error.class": "rate_limit"}
    with opened(formats.lines([make_span("da" * 16, "01" * 8, None, "chat", S, S, held, 3, 2)])) as view:
        told = errors(view).data
    assert told["attempts"]["total"] == 0
    assert told["operations"]["failed"] == 1
