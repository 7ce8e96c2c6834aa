"""What is read from requests and answers, in bounded memory, and how refusals are worded."""

import json
import struct

import pytest

from penstock.providers import Anthropic, OpenAICompatible, Registry, lookup, rewrite
from penstock.providers.bodies import DOCUMENT_LIMIT, EVENT_LIMIT

OPENAI, CLAUDE = OpenAICompatible(), Anthropic()


def endpoint(path):
    return lookup("127.0.0.1", path)[1]


def read(provider, path, content_type, *chunks):
    reader = provider.reader(endpoint(path), content_type)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.outcome()


def sse(*values):
    return "".join(f"data: {v if isinstance(v, str) else json.dumps(v)}\n\n" for v in values).encode()


CHUNK = {"id": "c1", "object": "chat.completion.chunk", "model": "gpt-5", "choices": []}
LAST = {**CHUNK, "choices": [{"delta": {}, "finish_reason": "stop"}]}
USAGE = {
    **CHUNK,
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 64},
    },
}


@pytest.mark.parametrize(
    ("host", "path", "provider", "operation"),
    [
        ("api.openai.com", "/v1/chat/completions", "openai", "chat"),
        ("127.0.0.1", "/v1/embeddings", "openai", "embeddings"),
        ("127.0.0.1", "/some/prefix/v1/messages", "anthropic", "chat"),
        ("api.deepseek.com", "/chat/completions", "deepseek", "chat"),
        ("foo.openai.azure.com", "/openai/deployments/x/chat/completions", "azure", "chat"),
        ("eu.api.openai.com", "/v1/responses", "openai", "chat"),
    ],
)
def test_the_host_says_whose_call_it_is_and_the_path_where_no_host_is_known(host, path, provider, operation):
    found = lookup(host, path)
    assert (found[0].name, found[1].operation) == (provider, operation)


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("api.openai.com", "/v1/files"),
        ("api.anthropic.com", "/v1/messages/count_tokens"),
        ("api.anthropic.com", "/v1/messages/batches"),
        ("example.com", "/"),
        ("example.com", ""),
    ],
)
def test_other_traffic_is_not_ours(host, path):
    assert lookup(host, path) is None


def test_users_add_hosts_and_paths():
    registry = Registry()
    assert registry.lookup("llm.corp", "/v1/chat/completions")[0].name == "openai"
    registry.add_host(".corp", OpenAICompatible("corp"))
    registry.add_path("completions", OpenAICompatible("elsewhere"))
    assert registry.lookup("llm.corp", "/v1/chat/completions")[0].name == "corp"
    assert registry.lookup("10.0.0.1", "/v1/chat/completions")[0].name == "elsewhere"


def test_a_messages_path_without_max_tokens_is_somebody_elses():
    body = json.dumps({"model": "x", "messages": [{"role": "user", "content": "hi"}]}).encode()
    assert CLAUDE.request(endpoint("/v1/messages"), body) is None
    assert OPENAI.request(endpoint("/v1/responses"), b'{"survey": 1}') is None
    assert OPENAI.request(endpoint("/v1/responses"), b"not json") is None


def test_a_request_declares_model_stream_limits_and_size():
    body = {"model": "gpt-5", "stream": True, "max_completion_tokens": 99, "messages": [{"role": "user"}]}
    body["messages"][0]["content"] = "x y " * 100
    facts = OPENAI.request(endpoint("/v1/chat/completions"), json.dumps(body).encode())
    assert (facts.model, facts.stream, facts.max_output_tokens) == ("gpt-5", True, 99)
    assert 100 <= facts.input_tokens <= 110


def test_an_inline_image_is_not_counted_by_its_base64_length():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": [image]}]}
    facts = OPENAI.request(endpoint("/v1/chat/completions"), json.dumps(body).encode())
    assert facts.input_tokens < 2000


def test_the_prompt_prefix_stays_while_a_conversation_grows():
    def facts(*turns):
        messages = [{"role": "system", "content": "be brief"}]
        messages += [{"role": "user", "content": turn} for turn in turns]
        body = json.dumps({"model": "gpt-5", "messages": messages}).encode()
        return OPENAI.request(endpoint("/v1/chat/completions"), body)

    assert facts("a").head == facts("a", "b").head
    assert facts("a").head.system


@pytest.mark.parametrize("changed", ["tools", "system"])
def test_a_prompt_head_tells_which_part_changed(changed):
    def head(**parts):
        body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        body |= {"tools": [{"name": "find"}], "system": "be brief"} | parts
        return CLAUDE.request(endpoint("/v1/messages"), json.dumps(body).encode()).head

    other = head(**{changed: [{"type": "text", "text": "be long"}]})
    assert getattr(other, changed) != getattr(head(), changed)
    unchanged = "system" if changed == "tools" else "tools"
    assert getattr(other, unchanged) == getattr(head(), unchanged)


def test_a_long_part_that_grows_at_its_end_has_another_head():
    def tools(count):
        body = {
            "model": "gpt-5",
            "tools": [{"name": f"tool-{n}", "description": "x" * 99} for n in range(count)],
        }
        body["messages"] = [{"role": "user", "content": "hi"}]
        return OPENAI.request(endpoint("/v1/chat/completions"), json.dumps(body).encode()).head.tools

    assert tools(200) != tools(201)
    assert len(tools(200)) < 9000


def test_a_chat_document_tells_usage_model_and_why_it_ended():
    document = {**USAGE, "object": "chat.completion", "choices": [{"finish_reason": "length"}]}
    outcome = read(OPENAI, "/v1/chat/completions", "application/json", json.dumps(document).encode())
    usage = outcome.usage
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write) == (100, 7, 64, None)
    assert (outcome.model, outcome.response_id, outcome.finish_reason) == ("gpt-5", "c1", "length")
    assert outcome.complete


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
def test_a_stream_is_read_the_same_however_it_is_cut(size):
    whole = sse(CHUNK, LAST, USAGE, "[DONE]")
    pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
    outcome = read(OPENAI, "/v1/chat/completions", "text/event-stream; charset=utf-8", *pieces)
    assert (outcome.usage.input, outcome.usage.output, outcome.finish_reason) == (100, 7, "stop")
    assert outcome.complete


def test_a_stream_with_windows_line_ends_is_read():
    whole = sse(CHUNK, USAGE, "[DONE]").replace(b"\n", b"\r\n")
    outcome = read(OPENAI, "/v1/chat/completions", "text/event-stream", whole)
    assert outcome.usage.input == 100


def test_a_stream_without_its_last_event_is_incomplete():
    outcome = read(OPENAI, "/v1/chat/completions", "text/event-stream", sse(CHUNK, CHUNK))
    assert not outcome.complete
    assert outcome.usage is None


def test_an_error_inside_a_stream_is_found():
    error = {"error": {"message": "x", "code": "server_is_overloaded"}}
    outcome = read(OPENAI, "/v1/chat/completions", "text/event-stream", sse(CHUNK, error))
    assert outcome.error["code"] == "server_is_overloaded"


def test_a_flat_error_inside_a_stream_is_found():
    error = {"object": "error", "message": "Service busy", "type": "service_unavailable", "code": "3505"}
    outcome = read(OPENAI, "/v1/chat/completions", "text/event-stream", sse(CHUNK, error))
    assert outcome.error["code"] == "3505"
    assert outcome.complete


@pytest.mark.parametrize(
    ("document", "complete"), [(b'{"id":"c","choi', False), (b'{"a":1}\n{"b":2}', True), (b"busy", True)]
)
def test_a_document_that_stops_in_the_middle_is_incomplete(document, complete):
    assert read(OPENAI, "/v1/chat/completions", "application/json", document).complete is complete


def test_text_that_looks_like_a_marker_is_only_text():
    tricky = {
        **CHUNK,
        "choices": [{"delta": {"content": '{"error":{"code":"x"},"usage":{"prompt_tokens":9}}'}}],
    }
    outcome = read(OPENAI, "/v1/chat/completions", "text/event-stream", sse(CHUNK, tricky, LAST, "[DONE]"))
    assert outcome.error is None
    assert outcome.usage is None


def test_the_responses_api_tells_usage_in_its_last_event():
    last = {
        "type": "response.completed",
        "response": {
            "id": "r1",
            "model": "gpt-5",
            "status": "completed",
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"cached_tokens": 32},
                "output_tokens": 5,
            },
        },
    }
    delta = {"type": "response.output_text.delta", "delta": "hi"}
    outcome = read(OPENAI, "/v1/responses", "text/event-stream", sse(delta, last))
    assert (outcome.usage.input, outcome.usage.cache_read, outcome.usage.output) == (50, 32, 5)
    assert outcome.complete
    assert not read(OPENAI, "/v1/responses", "text/event-stream", sse(delta)).complete


def test_anthropic_counts_cached_tokens_beside_input_and_we_inside():
    start = {
        "type": "message_start",
        "message": {
            "id": "m1",
            "model": "claude-x",
            "usage": {
                "input_tokens": 36,
                "cache_read_input_tokens": 64,
                "cache_creation_input_tokens": 8,
                "output_tokens": 1,
            },
        },
    }
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 20}}
    outcome = read(CLAUDE, "/v1/messages", "text/event-stream", sse(start, delta, {"type": "message_stop"}))
    usage = outcome.usage
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write) == (108, 20, 64, 8)
    assert outcome.finish_reason == "end_turn"
    assert outcome.complete
    assert not read(CLAUDE, "/v1/messages", "text/event-stream", sse(start, delta)).complete


def test_memory_stays_bounded_and_usage_at_the_end_of_a_huge_document_is_found():
    reader = OPENAI.reader(endpoint("/v1/embeddings"), "application/json")
    reader.feed(b'{"object":"list","model":"embed-3","data":[')
    for _ in range(600):
        reader.feed(b'{"embedding":"' + b"A" * 4000 + b'"},')
        assert len(reader._buffer) <= DOCUMENT_LIMIT + 16 * 1024
    reader.feed(b'{}],"usage":{"prompt_tokens":1234,"total_tokens":1234}}')
    outcome = reader.outcome()
    assert (outcome.model, outcome.usage.input) == ("embed-3", 1234)


def test_a_stream_line_without_end_does_not_grow_for_ever():
    reader = OPENAI.reader(endpoint("/v1/chat/completions"), "text/event-stream")
    for _ in range(400):
        reader.feed(b"A" * 16_384)
        assert len(reader._rest) <= 1024 * 1024 + 16_384
    reader.feed(b"\n\n" + sse(CHUNK, USAGE, "[DONE]"))
    assert reader.outcome().usage.input == 100


def test_an_event_without_end_does_not_grow_for_ever():
    reader = OPENAI.reader(endpoint("/v1/chat/completions"), "text/event-stream")
    for _ in range(400):
        reader.feed(b"data: " + b"A" * 16_384 + b"\n")
        assert sum(map(len, reader._data)) <= 1024 * 1024
    reader.feed(b"\n" + sse(CHUNK, USAGE, "[DONE]"))
    outcome = reader.outcome()
    assert (outcome.usage.input, outcome.complete) == (100, True)


def test_a_model_that_is_no_text_does_not_hide_the_usage_of_a_huge_document():
    reader = OPENAI.reader(endpoint("/v1/embeddings"), "application/json")
    reader.feed(b'{"model":"\\q","data":["' + b"A" * 2 * DOCUMENT_LIMIT + b'"],"usage":{"prompt_tokens":7}}')
    outcome = reader.outcome()
    assert (outcome.model, outcome.usage.input) == (None, 7)


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"[1,2]", b"null", b"\xff\xfe"])
def test_answers_that_are_no_json_object_teach_nothing_and_break_nothing(body):
    assert read(OPENAI, "/v1/chat/completions", "application/json", body).usage is None


def test_a_refusal_tells_when_to_come_back_and_forbids_the_sdk_to_retry():
    for provider in (OPENAI, CLAUDE):
        headers, body = provider.refusal(12.3, "full")
        assert headers["retry-after"] == "13"
        assert headers["x-should-retry"] == "false"
        assert json.loads(body)["error"]["code"] == "penstock_backpressure"


def test_a_route_rewrites_base_url_key_and_model():
    moved = rewrite(
        "https://api.openai.com/v1/chat/completions?api-version=1",
        {"Authorization": "Bearer old", "Host": "api.openai.com", "Content-Length": "9"},
        b'{"model":"gpt-5","n":1}',
        base_url="http://127.0.0.1:9/backup/v1",
        api_key="new",
        model="gpt-5-mini",
    )
    assert moved.url == "http://127.0.0.1:9/backup/v1/chat/completions?api-version=1"
    assert moved.headers["authorization"] == "Bearer new"
    assert moved.headers["host"] == "127.0.0.1:9"
    assert json.loads(moved.body) == {"model": "gpt-5-mini", "n": 1}
    assert moved.headers["content-length"] == str(len(moved.body))


def test_a_route_keeps_anthropics_key_header():
    moved = rewrite("https://api.anthropic.com/v1/messages", {"x-api-key": "old"}, b"{}", api_key="new")
    assert moved.headers["x-api-key"] == "new"
    assert "authorization" not in moved.headers


def reader_of(content_type, url="/v1/chat/completions"):
    provider, endpoint = lookup("127.0.0.1", url)
    return provider.reader(endpoint, content_type)


def test_a_stream_without_empty_lines_is_not_gathered_in_memory():
    reader = reader_of("text/event-stream")
    line = b"data: " + 64 * 1024 * b"x" + b"\n"
    for _ in range(64):
        reader.feed(line)
    assert sum(map(len, reader._data)) <= EVENT_LIMIT
    reader.feed(b'\ndata: {"usage":{"prompt_tokens":3}}\n\ndata: [DONE]\n\n')
    assert reader.outcome().usage.input == 3


def test_a_model_that_is_no_text_leaves_the_usage_of_a_long_document():
    reader = reader_of("application/json")
    reader.feed(b'{"model":"a\\q","x":"%b","usage":{"prompt_tokens":3}}' % (DOCUMENT_LIMIT * b"y"))
    assert reader.outcome().usage.input == 3


def test_a_count_beyond_64_bits_is_none():
    reader = reader_of("application/json")
    reader.feed(b'{"usage":{"prompt_tokens":1e300,"completion_tokens":2}}')
    assert reader.outcome().usage[:2] == (None, 2)


def test_a_frame_too_long_to_keep_is_skipped_and_the_next_is_read():
    def frame(payload):
        head = b"\x0b:event-type\x07\x00\x08metadata"
        return struct.pack(">III", 16 + len(head) + len(payload), len(head), 0) + head + payload + bytes(4)

    usage = b'{"usage": {"inputTokens": 3, "outputTokens": 1}}'
    whole = frame(bytes(2 * EVENT_LIMIT)) + frame(usage)
    for size in (1 << 22, 1 << 16):
        reader = reader_of("application/vnd.amazon.eventstream", "/model/nova/converse-stream")
        for at in range(0, len(whole), size):
            reader.feed(whole[at : at + size])
        assert reader.outcome().usage.input == 3
