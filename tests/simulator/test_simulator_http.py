"""The real SDKs talk to the simulator as to the provider."""

import http.client
import json
import re
import threading
import time

import anthropic
import httpx2
import openai
import pytest

from penstock.errors import UsageError
from penstock.simulator import Config, Distribution, Workload, read_scenario, serve

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "parameters": {
                "type": "object",
                "properties": {"word": {"type": "string"}, "times": {"type": "integer"}},
                "required": ["word", "times"],
            },
        },
    }
]
GO = re.compile(r"(\d+h)?(\d+m)?(\d+(\.\d+)?)m?s")


def say(text="hello"):
    return [{"role": "user", "content": text}]


def openai_of(sim, **keys):
    return openai.OpenAI(base_url=f"{sim.url}/v1", api_key="any", **keys)


def anthropic_of(sim, **keys):
    return anthropic.Anthropic(base_url=sim.url, api_key="any", **keys)


def test_openai_reads_answers_usage_and_quota_headers(simulator):
    with openai_of(simulator) as client:
        raw = client.chat.completions.with_raw_response.create(model="m", messages=say("sim:tokens=40"))
    answer, headers = raw.parse(), raw.headers
    assert answer.usage.completion_tokens == 40
    assert answer.choices[0].finish_reason == "stop"
    assert headers["x-ratelimit-limit-requests"] == "500"
    assert headers["x-ratelimit-remaining-requests"] == "82"
    assert GO.fullmatch(headers["x-ratelimit-reset-requests"])
    assert headers["x-request-id"].startswith("req_")


def test_openai_streams_with_usage_only_when_asked(simulator):
    with openai_of(simulator) as client:
        bare = list(client.chat.completions.create(model="m", messages=say(), stream=True, max_tokens=20))
        told = list(
            client.chat.completions.create(
                model="m", messages=say(), stream=True, max_tokens=20, stream_options={"include_usage": True}
            )
        )
    assert all(chunk.usage is None for chunk in bare)
    assert "".join(c.choices[0].delta.content or "" for c in bare)
    assert (told[-1].choices, told[-1].usage.completion_tokens) == ([], 20)
    assert told[-2].choices[0].finish_reason == "length"


def test_openai_calls_a_tool_with_arguments_that_fit(simulator):
    with openai_of(simulator) as client:
        whole = client.chat.completions.create(model="m", messages=say("sim:tool"), tools=TOOLS)
        with client.chat.completions.stream(model="m", messages=say("sim:tool"), tools=TOOLS) as stream:
            streamed = stream.get_final_completion()
        none = client.chat.completions.create(model="m", messages=say(), tools=TOOLS)
    for answer in (whole, streamed):
        call = answer.choices[0].message.tool_calls[0]
        assert call.function.name == "look_up"
        assert set(json.loads(call.function.arguments)) == {"word", "times"}
        assert answer.choices[0].finish_reason == "tool_calls"
    assert none.choices[0].message.tool_calls is None


def test_embeddings_come_one_for_each_input(simulator):
    with openai_of(simulator) as client:
        vectors = client.embeddings.create(model="e", input=["one", "two"]).data
    assert [vector.index for vector in vectors] == [0, 1]
    assert len(vectors[0].embedding) == 256


def test_anthropic_reads_answers_streams_and_tools(simulator):
    tool = {"name": "look_up", "input_schema": TOOLS[0]["function"]["parameters"]}
    with anthropic_of(simulator) as client:
        raw = client.messages.with_raw_response.create(model="c", max_tokens=30, messages=say("sim:tokens=9"))
        with client.messages.stream(
            model="c", max_tokens=30, messages=say("sim:tool"), tools=[tool]
        ) as stream:
            called = stream.get_final_message()
    answer, headers = raw.parse(), raw.headers
    assert (answer.usage.output_tokens, answer.stop_reason) == (9, "end_turn")
    assert headers["anthropic-ratelimit-requests-limit"] == "500"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", headers["anthropic-ratelimit-requests-reset"])
    assert called.stop_reason == "tool_use"
    assert set(called.content[0].input) == {"word", "times"}


def test_a_prompt_seen_before_is_read_from_the_cache(simulator):
    long = "penstock " * 1500
    with openai_of(simulator) as client:
        first = client.chat.completions.create(model="m", messages=say(long)).usage
        again = client.chat.completions.create(model="m", messages=[*say(long), *say("more")]).usage
        other = client.chat.completions.create(model="m2", messages=say(long)).usage
    assert first.prompt_tokens_details.cached_tokens == 0
    assert 0 < again.prompt_tokens - again.prompt_tokens_details.cached_tokens < 300
    assert other.prompt_tokens_details.cached_tokens == 0
    marked = [
        {"role": "user", "content": [{"type": "text", "text": long, "cache_control": {"type": "ephemeral"}}]}
    ]
    with anthropic_of(simulator) as client:
        wrote = client.messages.create(model="c", max_tokens=5, messages=marked).usage
        read = client.messages.create(model="c", max_tokens=5, messages=marked).usage
        unmarked = client.messages.create(model="c", max_tokens=5, messages=say(long)).usage
    assert wrote.cache_creation_input_tokens > 1024 > wrote.cache_read_input_tokens
    assert read.cache_read_input_tokens == wrote.cache_creation_input_tokens
    assert unmarked.cache_read_input_tokens == 0


def test_each_pool_refuses_by_its_own_quota_in_its_own_words(fast):
    pools = (fast("openai", requests_per_minute=6), fast("anthropic", requests_per_minute=6))
    with serve(Config(pools=pools)) as sim:
        with openai_of(sim, max_retries=0) as client:
            client.chat.completions.create(model="m", messages=say())
            with pytest.raises(openai.RateLimitError) as refused:
                client.chat.completions.create(model="m", messages=say())
        with anthropic_of(sim, max_retries=0) as other:
            other.messages.create(model="c", max_tokens=5, messages=say())
            with pytest.raises(anthropic.RateLimitError) as elsewhere:
                other.messages.create(model="c", max_tokens=5, messages=say())
    assert refused.value.code == "rate_limit_exceeded"
    assert refused.value.type == "requests"
    assert "Limit 6, Used 6, Requested 1. Please try again in" in refused.value.message
    assert 1 <= int(refused.value.response.headers["retry-after"]) <= 10
    assert elsewhere.value.body["error"]["type"] == "rate_limit_error"
    assert "6 requests per minute" in elsewhere.value.body["error"]["message"]
    assert elsewhere.value.body["request_id"] == elsewhere.value.response.headers["request-id"]


@pytest.mark.parametrize(
    ("keys", "kind", "status", "code"),
    [
        ({"tokens_per_minute": 100}, "too_large", 429, "rate_limit_exceeded"),
        ({"tokens_per_minute": 100, "headers": "groq"}, "too_large", 413, "rate_limit_exceeded"),
        ({"slope_percent_per_15s": 10, "requests_per_minute": 10}, "slope", 429, "slow_down"),
    ],
)
def test_other_refusals_have_their_own_code(fast, post, keys, kind, status, code):
    body = {"model": "m", "messages": say("x" * 600)}
    with serve(Config(pools=(fast(bucket_seconds=60, **keys),))) as sim:
        for _ in range(4):
            got, _, answer = post(sim.url, "/v1/chat/completions", body)
        assert sim.entries()[-1].kind == kind
    assert (got, json.loads(answer)["error"]["code"]) == (status, code)


def test_scripted_outcomes_come_in_order_then_the_quota_rules_again(simulator):
    simulator.script(
        {"status": 429, "headers": {"retry-after": "0"}, "times": 2}, {"status": 200, "text": "there"}
    )
    with openai_of(simulator) as client:
        answer = client.chat.completions.create(model="m", messages=say())
        client.chat.completions.create(model="m", messages=say())
    assert answer.choices[0].message.content == "there"
    seen = [(entry.status, entry.retry, entry.scripted) for entry in simulator.entries()]
    assert seen == [(429, 0, True), (429, 1, True), (200, 2, True), (200, 0, False)]


def test_scripted_outcomes_wait_for_their_model_or_header(simulator, post):
    script = [{"status": 418, "model": "tea"}, {"status": 503, "header": {"X-Case": "7"}}]
    assert post(simulator.url, "/_sim/script", script)[0] == 200
    body = {"model": "coffee", "messages": say()}
    assert post(simulator.url, "/v1/chat/completions", body)[0] == 200
    assert post(simulator.url, "/v1/chat/completions", body, {"x-case": "7"})[0] == 503
    assert post(simulator.url, "/v1/chat/completions", {**body, "model": "tea"})[0] == 418


@pytest.mark.parametrize("fault", ["reset", "broken_stream", "in_band_error", "hang"])
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_faults_reach_the_client_as_its_sdks_errors(simulator, fault, vendor):
    simulator.script({"fault": fault, "after_chunks": 2})
    call = _openai_stream if vendor == "openai" else _anthropic_stream
    with pytest.raises((openai.APIError, anthropic.APIError, httpx2.RemoteProtocolError)) as failed:
        call(simulator)
    name = type(failed.value).__name__
    expected = {
        "reset": {"APIConnectionError"},
        "broken_stream": {"APIConnectionError", "RemoteProtocolError"},
        "in_band_error": {"APIError", "APIStatusError"},
        "hang": {"APITimeoutError"},
    }
    assert name in expected[fault]
    wait_until(lambda: simulator.truth().in_flight == 0)
    assert simulator.entries()[-1].kind == fault


def _openai_stream(sim):
    with openai_of(sim, max_retries=0, timeout=0.5) as client:
        list(client.chat.completions.create(model="m", messages=say(), stream=True))


def _anthropic_stream(sim):
    with anthropic_of(sim, max_retries=0, timeout=0.5) as client:
        list(client.messages.create(model="c", max_tokens=40, messages=say(), stream=True))


def wait_until(true):
    give_up = time.monotonic() + 10
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def test_a_pool_is_broken_and_restored_live(simulator, post):
    body = {"model": "m", "messages": say()}

    def status():
        return post(simulator.url, "/v1/chat/completions", body)[0]

    fault = {"pool": "openai", "outage_seconds": 60}
    assert post(simulator.url, "/_sim/fault", fault)[0] == 200
    assert status() == 503
    simulator.fault(restore=True)
    assert status() == 200
    assert post(simulator.url, "/_sim/fault", {"pool": "nobody"})[0] == 400
    told = post(simulator.url, "/_sim/fault", {"rpm": 3})
    assert told[0] == 400
    assert b"unknown key 'rpm'" in told[2]


def test_a_scenario_over_http_serves_its_pools_by_name_and_model(post):
    scenario = read_scenario(
        """
        [[pools]]
        latency_seconds = { distribution = "constant", mean = 0 }
        [[pools]]
        name = "backup"
        headers = "anthropic"
        latency_seconds = { distribution = "constant", mean = 0 }
        """
    )
    body = {"model": "m", "messages": say()}
    with serve(Config.of(scenario)) as sim:
        post(sim.url, "/v1/chat/completions", body)
        post(sim.url, "/backup/v1/chat/completions", body)
        post(sim.url, "/v1/chat/completions", {**body, "model": "backup"})
        post(sim.url, "/v1/messages", {**body, "max_tokens": 3})
        assert [entry.pool for entry in sim.entries()] == ["primary", "backup", "backup", "backup"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", b"{", 400),
        ("/v1/chat/completions", b"[1]", 400),
        ("/v1/chat/completions", {"model": "m"}, 400),
        ("/v1/chat/completions", {"messages": say()}, 400),
        ("/v1/messages", {"model": "m", "messages": say()}, 400),
        ("/v1/embeddings", {"model": "m"}, 400),
        ("/v1/nothing", {}, 404),
        ("/_sim/script", b"{", 400),
        ("/_sim/script", [{"status": 429, "retry_after": 3}], 400),
    ],
)
def test_bad_requests_get_an_error_document(simulator, post, path, body, status):
    got, headers, answer = post(simulator.url, path, body)
    assert got == status
    assert headers["content-type"] == "application/json"
    assert json.loads(answer)["error"]
    assert simulator.truth().attempts == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"tools": TOOLS, "tool_choice": {"function": "look_up"}}),
        ("/v1/chat/completions", {"tools": TOOLS, "tool_choice": {"function": {}}}),
        ("/v1/chat/completions", {"tools": [{"function": {"name": "f", "parameters": {"properties": [1]}}}]}),
        ("/v2/chat", {"max_tokens": -5}),
        ("/v2/chat", {"tools": [{"function": {"name": "f", "parameters": {"properties": {"a": 5}}}}]}),
        ("/api/chat", {"options": {"num_predict": -1}, "stream": False}),
        ("/api/chat", {"tools": [{"function": {"name": "f", "parameters": [1]}}], "stream": False}),
    ],
)
def test_what_no_schema_allows_is_answered_all_the_same(fast, post, path, body):
    with serve(Config(pools=(fast("openai"), fast("cohere"), fast("ollama")), tool_call_share=1.0)) as sim:
        status, _, _ = post(sim.url, path, {"model": "m", "messages": say(), **body})
        assert status == 200
        assert sim.truth().output_tokens > 0


def test_the_truth_counts_every_request_and_the_log_holds_them(simulator, post, tmp_path):
    with openai_of(simulator) as client:
        for _ in range(3):
            client.chat.completions.create(model="m", messages=say())
    simulator.script({"status": 429})
    post(simulator.url, "/v1/chat/completions", {"model": "m", "messages": say()})
    wait_until(lambda: simulator.truth().in_flight == 0)
    told = json.loads(post(simulator.url, "/_sim/truth", b"", method="GET")[2])
    assert (told["attempts"], told["accepted"], told["rate_limited"]) == (4, 3, 1)
    assert (told["live"]["max"], told["pools"]["openai"]["attempts"]) == (1, 4)
    assert sum(told["accepted_per_second"]) == 3
    lines = post(simulator.url, "/_sim/log", b"", method="GET")[2].splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["status"] for entry in entries] == [200, 200, 200, 429]
    assert all(entry["began_ns"] <= entry["head_ns"] <= entry["ended_ns"] for entry in entries)


def test_live_calls_are_those_between_request_and_last_byte(fast, post):
    slow = fast(latency_seconds=Distribution("constant", 0.3))
    body = {"model": "m", "messages": say()}
    with serve(Config(pools=(slow,))) as sim:
        threads = [
            threading.Thread(target=post, args=(sim.url, "/v1/chat/completions", body)) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: sim.truth().in_flight == 0)
        assert (sim.truth().live.max, sim.truth().live.p50) == (5, 5)


def test_a_client_that_leaves_frees_its_slot(fast, post):
    slow = fast(latency_seconds=Distribution("constant", 60.0), concurrency=1)
    body = {"model": "m", "messages": say()}
    with serve(Config(pools=(slow,))) as sim:
        with (
            openai_of(sim, max_retries=0, timeout=0.2) as client,
            pytest.raises(openai.APITimeoutError),
        ):
            client.chat.completions.create(model="m", messages=say())
        wait_until(lambda: sim.truth().in_flight == 0)
        assert sim.entries()[0].end == "closed"
        sim.fault(latency_seconds={"distribution": "constant", "mean": 0})
        assert post(sim.url, "/v1/chat/completions", body)[0] == 200


def test_closing_does_not_wait_for_calls_that_hang(fast, post):
    def hear_nothing():
        with pytest.raises(http.client.HTTPException):
            post(sim.url, "/v1/chat/completions", {"model": "m", "messages": say()})

    with serve(Config(pools=(fast(),))) as sim:
        sim.script({"fault": "hang"})
        caller = threading.Thread(target=hear_nothing)
        caller.start()
        wait_until(lambda: sim.truth().in_flight == 1)
        began = time.monotonic()
    caller.join()
    assert time.monotonic() - began < 1.5


def test_a_taken_port_is_said_in_one_line(simulator):
    port = int(simulator.url.rsplit(":", 1)[1])
    with (
        pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}: it is in use"),
        serve(Config(port=port)),
    ):
        pass


def test_answers_are_as_long_as_the_workload_says(post, fast):
    scenario = read_scenario("[workload]\noutput_tokens = { distribution = 'constant', mean = 77 }")
    assert isinstance(scenario.workload, Workload)
    config = Config(pools=(fast(),), output_tokens=scenario.workload.output_tokens)
    with serve(config) as sim:
        answer = post(sim.url, "/v1/chat/completions", {"model": "m", "messages": say()})[2]
    assert json.loads(answer)["usage"]["completion_tokens"] == 77
