"""Responses, streams, finish reasons, MCP results and spans of every dialect."""

# ruff: noqa: E501 - one case a line reads as a table

import json

import pytest

from penstock.classifiers import (
    Evidence,
    SideEffects,
    SpanKind,
    classify,
    evidence_of_finish,
    evidence_of_mcp_result,
    evidence_of_response,
    evidence_of_span,
    evidence_of_stream_error,
)

OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (529, json.dumps(OVERLOADED).encode(), "overloaded"),
        (429, b'{"error": {"message": "quota", "code": "insufficient_quota"', "quota"),
        (504, b"<html><h1>504 Gateway Time-out</h1> an overloaded web server</html>", "timeout"),
        (502, "<html>502 Bad Gateway</html>", "server_error"),
        (
            200,
            {
                "error": {
                    "code": 429,
                    "message": "Provider returned error",
                    "metadata": {"raw": "x is temporarily rate-limited upstream"},
                }
            },
            "rate_limit",
        ),
        (
            200,
            {"choices": [{"finish_reason": "content_filter", "message": {"content": ""}}]},
            "content_filter",
        ),
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}],
            "auth",
        ),
        (
            400,
            {
                "message": "Access denied, please make sure your account is in good standing.",
                "code": "Arrearage",
            },
            "quota",
        ),
        (424, {"message": "the model stopped", "originalStatusCode": 500}, "server_error"),
        (500, b"\xff\xfe\x00", "server_error"),
        (None, "", "unknown"),
    ],
)
def test_a_response_is_read_whatever_its_body(status: int | None, body: object, expected: str) -> None:
    assert classify(evidence_of_response(status, {}, body)).error_class.value == expected


def test_a_refusal_before_anything_ran_had_no_side_effects() -> None:
    assert classify(evidence_of_response(429, {"retry-after": "3"}, b"")).side_effects is SideEffects.NONE
    assert classify(evidence_of_response(500, {}, b"")).side_effects is SideEffects.POSSIBLE


@pytest.mark.parametrize(
    "payload", [OVERLOADED, json.dumps(OVERLOADED), f"event: error\ndata: {json.dumps(OVERLOADED)}\n\n"]
)
def test_an_error_in_a_stream_is_read_and_its_work_was_done(payload: object) -> None:
    verdict = classify(evidence_of_stream_error(payload, provider="anthropic"))
    assert verdict.error_class.value == "overloaded"
    assert verdict.side_effects is SideEffects.CERTAIN


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("MALFORMED_FUNCTION_CALL", "model"), ("length", "model"), ("SAFETY", "content_filter"),
        ("refusal", "content_filter"), ("content_filter", "content_filter"), ("stop", "unknown"),
        ("tool_calls", "unknown"), ("end_turn", "unknown"), (None, "unknown"),
        ("model_context_window_exceeded", "context_length"),
    ],
)  # fmt: skip
def test_a_finish_reason_is_read(finish: str | None, expected: str) -> None:
    assert classify(evidence_of_finish(finish)).error_class.value == expected


@pytest.mark.parametrize(
    ("result", "expected", "reason"),
    [
        (
            {"content": [{"type": "text", "text": "MCP error -32001: Request timed out"}], "isError": True},
            "tool",
            "timeout",
        ),
        (
            {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "Invalid arguments"}},
            "model",
            "tool_args_invalid",
        ),
        (
            {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "Connection closed"}},
            "tool",
            "connection",
        ),
        (
            {
                "content": [
                    {
                        "type": "text",
                        "text": '{"status":404,"code":"object_not_found","message":"Could not find page"}',
                    }
                ]
            },
            "tool",
            "http_error",
        ),
        (
            {"isError": True, "content": [{"type": "text", "text": "Unknown tool: foo"}]},
            "model",
            "unknown_tool",
        ),
        ("boom", "tool", "exception"),
        (None, "tool", "exception"),
    ],
)
def test_an_mcp_result_is_read(result: object, expected: str, reason: str) -> None:
    verdict = classify(evidence_of_mcp_result(result))
    assert (verdict.error_class.value, verdict.reason) == (expected, reason)


def test_a_pydantic_result_is_read_without_pydantic() -> None:
    class Result:
        def model_dump(self) -> dict[str, object]:
            return {"isError": True, "content": [{"type": "text", "text": "429 Too Many Requests"}]}

    class Broken:
        def model_dump(self) -> dict[str, object]:
            raise ValueError

    assert classify(evidence_of_mcp_result(Result())).reason == "rate_limited"
    assert classify(evidence_of_mcp_result(Broken())).error_class.value == "tool"


def _exception(type_: str, message: str) -> dict[str, object]:
    return {"name": "exception", "attributes": {"exception.type": type_, "exception.message": message}}


QUOTA = "Error code: 429 - {'error': {'message': 'You exceeded your current quota', 'code': 'insufficient_quota'}}"


@pytest.mark.parametrize(
    ("attributes", "status", "events", "kind", "expected"),
    [
        (
            {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "error.type": "429"},
            None,
            [],
            "llm",
            "rate_limit",
        ),
        (
            {"gen_ai.operation.name": "chat", "error.type": "openai.RateLimitError"},
            None,
            [_exception("openai.RateLimitError", QUOTA)],
            "llm",
            "quota",
        ),
        (
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
                "error.type": "RateLimitError",
            },
            QUOTA,
            [],
            "tool",
            "tool",
        ),
        (
            {"openinference.span.kind": "LLM", "llm.provider": "anthropic"},
            {"message": "529 Overloaded"},
            [],
            "llm",
            "overloaded",
        ),
        ({"openinference.span.kind": "TOOL"}, {"description": "TimeoutError"}, [], "tool", "tool"),
        ({"traceloop.span.kind": "tool"}, "boom", [], "tool", "tool"),
        ({"traceloop.span.kind": "workflow"}, "GraphRecursionError: limit", [], "agent", "model"),
        (
            {"ai.operationId": "ai.generateText.doGenerate", "ai.response.finishReason": "length"},
            None,
            [],
            "llm",
            "model",
        ),
        ({"ai.operationId": "ai.toolCall"}, "Request failed with status code 404", [], "tool", "tool"),
        ({"mcp.method.name": "tools/call", "rpc.jsonrpc.error_code": -32001}, None, [], "tool", "tool"),
        (
            {"rpc.system": "grpc", "rpc.grpc.status_code": 4, "gen_ai.request.model": "gemini"},
            None,
            [],
            "llm",
            "timeout",
        ),
        ({"penstock.span.kind": "attempt", "http.response.status_code": 503}, None, [], "llm", "overloaded"),
        (
            {"gen_ai.operation.name": "chat", "gen_ai.response.finish_reasons": ["MALFORMED_FUNCTION_CALL"]},
            None,
            [],
            "llm",
            "model",
        ),
        ({"gen_ai.operation.name": "chat", "error.type": "_OTHER"}, None, [], "llm", "unknown"),
        (
            {"gen_ai.operation.name": "invoke_agent", "error.type": "CancelledError"},
            None,
            [],
            "agent",
            "cancelled",
        ),
        ({"http.response.status_code": 401, "gen_ai.system": "az.ai.openai"}, "", [], "unknown", "auth"),
        ({}, None, [{"name": "exception", "attributes": None}, {"name": 7}], "unknown", "unknown"),
    ],
)
def test_a_span_of_any_dialect_is_read(
    attributes: dict[str, object], status: object, events: list[dict[str, object]], kind: str, expected: str
) -> None:
    evidence = evidence_of_span(attributes, status, events)
    assert evidence.span_kind is SpanKind(kind)
    assert classify(evidence).error_class.value == expected


def test_the_last_exception_of_a_span_is_the_one_that_was_raised() -> None:
    events = [
        _exception("TimeoutError", "timed out"),
        _exception("openai.AuthenticationError", "Incorrect API key"),
    ]
    assert (
        classify(evidence_of_span({"gen_ai.operation.name": "chat"}, None, events)).error_class.value
        == "auth"
    )


def test_a_span_says_whether_an_answer_had_begun() -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "error.type": "500",
        "gen_ai.response.time_to_first_chunk": 0.3,
    }
    assert classify(evidence_of_span(attributes)).side_effects is SideEffects.CERTAIN


@pytest.mark.parametrize(
    ("asked", "fits"), [("12903", False), ("~7001", False), ("7000", True), ("~40", True)]
)
def test_what_asks_for_more_than_a_window_holds_will_never_fit(asked: str, fits: bool) -> None:
    text = f"Rate limit reached for m on tokens per minute (TPM): Limit 7000, Used 0, Requested {asked}. Retry in 50s."
    verdict = classify(evidence_of_response(429, {}, {"error": {"type": "tokens", "message": text}}))
    assert (verdict.error_class.value, verdict.retryable) == ("rate_limit", fits)


@pytest.mark.parametrize(
    ("provider", "status", "error"),
    [
        ("openai", 429, {"type": "rate_limit_error", "code": "slow_down", "message": "Slow down"}),
        ("openai", 503, {"type": "service_unavailable_error", "code": "slow_down", "message": "Slow Down"}),
        ("anthropic", 429, {"type": "rate_limit_error", "message": "This would exceed your organization's acceleration limit."}),
        ("anthropic", 429, {"type": "rate_limit_error", "details": {"error_code": "ramp_limit_exceeded"}}),
        ("dashscope", 429, {"code": "limit_burst_rate", "message": "Request rate increased too quickly."}),
    ],
)  # fmt: skip
def test_growth_that_was_too_fast_is_a_ramp_limit(
    provider: str, status: int, error: dict[str, object]
) -> None:
    verdict = classify(evidence_of_response(status, {}, {"error": error}, provider=provider))
    assert (verdict.error_class.value, verdict.reason) == ("rate_limit", "ramp")
    assert (verdict.limit_dimension, verdict.retryable) == ("ramp", True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Caused by: dev.langchain4j.exception.RateLimitException: {", "rate_limit"),
        ("com.anthropic.errors.PermissionDeniedException: 403", "auth"),
        ("dev.langchain4j.exception.ModelNotFoundException: ", "invalid_request"),
        ("curl: (92) HTTP/2 stream 0 was not closed cleanly", "network"),
        ("cURL error 28: see https://curl.se/libcurl/c/libcurl-errors.html", "timeout"),
        ("curl: (60)", "network"),
    ],
)
def test_names_of_other_languages_and_of_curl_are_known(text: str, expected: str) -> None:
    assert classify(Evidence(message=text)).error_class.value == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("psycopg2.OperationalError: could not connect to server: Connection refused", "tool"),
        (
            "pinecone-chatbot | 429 You exceeded your current quota, check your plan and billing details",
            "quota",
        ),
        (
            '[playwright-agent] 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}} from anthropic',
            "overloaded",
        ),
    ],
)
def test_a_library_named_beside_a_model_does_not_make_it_a_tools_failure(text: str, expected: str) -> None:
    assert classify(Evidence(message=text)).error_class.value == expected
