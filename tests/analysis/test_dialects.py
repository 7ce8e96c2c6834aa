"""Each instrumentation's spelling of the same calls: classes, tokens and calls counted once."""

# ruff: noqa: E501 - attributes read as the tables they are

import json

import pytest

from penstock.analysis import concurrency, errors, summary

S = 1_760_000_000_000_000_000
SEC = 1_000_000_000
MESSAGE = "Error code: 429 - {'error': {'message': 'Rate limit reached for requests per min (RPM): Limit 500, Used 500'}}"

# Attributes of: a good call (input 108 of which cached 64, output 12), a call answered 429, a tool that failed.
DIALECTS = {
    "otel new": (
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5",
         "gen_ai.usage.input_tokens": 108, "gen_ai.usage.output_tokens": 12,
         "gen_ai.usage.cache_read.input_tokens": 64, "gen_ai.response.finish_reasons": ["stop"]},
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5",
         "error.type": "RateLimitError"},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", "error.type": "TimeoutError"},
    ),
    "otel old": (
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-5",
         "gen_ai.usage.prompt_tokens": 108, "gen_ai.usage.completion_tokens": 12,
         "gen_ai.usage.cache_read_input_tokens": 64},
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-5"},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
    ),
    "openllmetry": (
        {"llm.request.type": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-5",
         "gen_ai.usage.prompt_tokens": 108, "gen_ai.usage.completion_tokens": 12,
         "gen_ai.usage.cache_read_input_tokens": 64, "llm.is_streaming": False},
        {"llm.request.type": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-5",
         "error.type": "RateLimitError"},
        {"traceloop.span.kind": "tool", "traceloop.entity.name": "search"},
    ),
    "openinference": (
        {"openinference.span.kind": "LLM", "llm.provider": "openai", "llm.model_name": "gpt-5",
         "llm.token_count.prompt": 108, "llm.token_count.completion": 12,
         "llm.token_count.prompt_details.cache_read": 64},
        {"openinference.span.kind": "LLM", "llm.provider": "openai", "llm.model_name": "gpt-5"},
        {"openinference.span.kind": "TOOL", "tool.name": "search"},
    ),
    "langfuse": (
        {"langfuse.observation.type": "generation", "gen_ai.system": "openai",
         "langfuse.observation.model.name": "gpt-5",
         "langfuse.observation.usage_details": json.dumps({"input": 108, "output": 12, "input_cached_tokens": 64})},
        {"langfuse.observation.type": "generation", "gen_ai.system": "openai",
         "langfuse.observation.model.name": "gpt-5", "langfuse.observation.level": "ERROR"},
        {"langfuse.observation.type": "tool", "gen_ai.tool.name": "search", "langfuse.observation.level": "ERROR"},
    ),
    "mlflow": (
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.provider": '"openai"', "mlflow.llm.model": '"gpt-5"',
         "mlflow.chat.tokenUsage": json.dumps({"input_tokens": 108, "output_tokens": 12, "cache_read_input_tokens": 64})},
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.provider": '"openai"', "mlflow.llm.model": '"gpt-5"'},
        {"mlflow.spanType": '"TOOL"', "gen_ai.tool.name": "search"},
    ),
    "vercel": (
        {"ai.operationId": "ai.generateText.doGenerate", "ai.model.provider": "openai.chat", "ai.model.id": "gpt-5",
         "ai.usage.promptTokens": 108, "ai.usage.completionTokens": 12, "ai.usage.cachedInputTokens": 64},
        {"ai.operationId": "ai.generateText.doGenerate", "ai.model.provider": "openai.chat", "ai.model.id": "gpt-5"},
        {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "search"},
    ),
    "logfire": (
        {"request_data": json.dumps({"model": "gpt-5", "stream": False}), "gen_ai.system": "openai",
         "gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 108, "gen_ai.usage.output_tokens": 12,
         "gen_ai.usage.details.cache_read_tokens": 64},
        {"request_data": json.dumps({"model": "gpt-5"}), "gen_ai.system": "openai", "gen_ai.request.model": "gpt-5"},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
    ),
    "litellm": (
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-5",
         "litellm.call_id": "c", "gen_ai.usage.input_tokens": 108, "gen_ai.usage.output_tokens": 12,
         "gen_ai.usage.cache_read.input_tokens": 64},
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-5",
         "litellm.provider.error.code": "429"},
        {"mcp.method.name": "tools/call", "gen_ai.tool.name": "search"},
    ),
    "botocore excludes cached": (
        {"rpc.service": "Bedrock Runtime", "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
         "gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 44, "gen_ai.usage.output_tokens": 12,
         "gen_ai.usage.cache_read.input_tokens": 64},
        {"rpc.service": "Bedrock Runtime", "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
         "gen_ai.request.model": "gpt-5", "http.response.status_code": 429},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
    ),
}  # fmt: skip


@pytest.fixture
def calls(make_span):
    def build(good, refused, tool):
        trace = "ab" * 16
        error = (
            "exception",
            S + SEC,
            {"exception.type": "openai.RateLimitError", "exception.message": MESSAGE},
        )
        broken = (
            "exception",
            S + SEC,
            {"exception.type": "TimeoutError", "exception.message": "search timed out"},
        )
        return [
            make_span(trace, "01" * 8, None, "agent", S, S + 9 * SEC, {}, 1),
            make_span(trace, "02" * 8, "01" * 8, "call", S, S + 2 * SEC, good),
            make_span(
                trace, "03" * 8, "01" * 8, "call", S + SEC, S + 4 * SEC, refused, 3, 2, MESSAGE, [error]
            ),
            make_span(
                trace,
                "04" * 8,
                "01" * 8,
                "tool",
                S + SEC,
                S + 2 * SEC,
                tool,
                1,
                2,
                "search timed out",
                [broken],
            ),
        ]

    return build


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("form", ["otlp", "clickhouse", "jaeger"])
def test_a_dialect_says_what_otel_says(dialect, form, calls, formats, opened):
    spans = calls(*DIALECTS[dialect])
    if form == "otlp":
        data = json.dumps(formats.request(spans)).encode() + b"\n"
    else:
        data = getattr(formats, form)(spans)
    with opened(data) as view:
        told, page, live = errors(view).data, summary(view).data, concurrency(view).data
    assert told["operations"] == {"total": 2, "failed": 1, "by_class": {"rate_limit": 1}}
    assert told["attempts"] == {"total": 2, "failed": 1, "by_class": {"rate_limit": 1}}
    assert told["tools"] == {"total": 1, "failed": 1, "by_class": {"tool": 1}}
    (group,) = told["groups"]
    assert (group["provider"], group["model"], group["pool"]) == ("openai", "gpt-5", "openai:gpt-5")
    assert (page["tokens"]["input"], page["tokens"]["output"], page["tokens"]["cache_read"]) == (108, 12, 64)
    assert told["quality"]["operations_as_attempts"] == 2
    assert (live["total"]["max"], live["total"]["p50"], live["total"]["seconds"]) == (2, 1, 4.0)
    assert [entry["tool"] for entry in told["tool_groups"]] == ["search"]


def test_one_call_seen_by_two_instrumentations_counts_once(make_span, formats, opened):
    good = DIALECTS["otel new"][0]
    other = DIALECTS["openinference"][0]
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
    good, trace = DIALECTS["otel new"][0], "ce" * 16
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
    good, trace = DIALECTS["otel new"][0], "cf" * 16
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
    assert told["attempts"] == {"total": 2, "failed": 1, "by_class": {"rate_limit": 1}}
    assert told["operations"] == {"total": 1, "failed": 0, "by_class": {}}
    assert told["groups"][0]["pool"] == "openai:gpt-5"
    assert told["quality"]["http_spans_as_attempts"] == 2


def test_a_call_that_was_never_sent_has_no_attempt(make_span, formats, opened):
    held = DIALECTS["otel new"][1] | {"penstock.attempts": 0, "penstock.error.class": "rate_limit"}
    with opened(formats.lines([make_span("da" * 16, "01" * 8, None, "chat", S, S, held, 3, 2)])) as view:
        told = errors(view).data
    assert told["attempts"]["total"] == 0
    assert told["operations"]["failed"] == 1
