"""Every SDK reads the simulator as it reads its provider: answers, streams, tools, refusals."""

import asyncio
import json
from dataclasses import replace

import boto3
import cohere
import ollama
import openai
import pytest
from botocore.config import Config as AwsConfig
from botocore.exceptions import ClientError, EventStreamError
from google import genai
from google.genai import errors, types
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from penstock.simulator import PROFILES, Config, Distribution, profile, serve

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

SAY = "Say where the water goes. sim:tokens=40"
ASK = [{"role": "user", "content": SAY}]
SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}, "times": {"type": "integer"}},
    "required": ["word", "times"],
}
FUNCTION = {"type": "function", "function": {"name": "look_up", "description": "d", "parameters": SCHEMA}}
CALL = [{"role": "user", "content": "sim:tool"}]


@pytest.fixture(scope="module")
def houses():
    """Every provider at one address, each with a quota of its own."""
    quick = Distribution("constant", 0.005)
    pools = [
        replace(profile(name, rpm=60_000), latency_seconds=quick, rejection_seconds=0.0) for name in PROFILES
    ]
    with serve(Config(pools=tuple(pools), tool_call_share=0.0)) as sim:
        yield sim


@pytest.fixture
def gemini(houses):
    options = types.HttpOptions(
        base_url=f"{houses.url}/gemini", retry_options=types.HttpRetryOptions(attempts=1)
    )
    with genai.Client(api_key="k", http_options=options) as client:
        yield client.models


@pytest.fixture
def bedrock(houses):
    config = AwsConfig(retries={"total_max_attempts": 1})
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=f"{houses.url}/bedrock",
        region_name="us-east-1",
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="y",
        config=config,
    )


@pytest.fixture
def mistral(houses):
    with Mistral(api_key="k", server_url=f"{houses.url}/mistral") as client:
        yield client


@pytest.fixture
def command(houses):
    return cohere.ClientV2(api_key="k", base_url=f"{houses.url}/cohere")


@pytest.fixture
def llama(houses):
    return ollama.Client(host=f"{houses.url}/ollama")


@pytest.fixture
def responses(houses):
    with openai.OpenAI(base_url=f"{houses.url}/openai/v1", api_key="k", max_retries=0) as client:
        yield client.responses


def test_responses_answer_plain_and_streamed(responses):
    whole = responses.create(model="gpt-5", input=SAY)
    events = list(responses.create(model="gpt-5", input=ASK, stream=True, max_output_tokens=20))
    assert (whole.status, whole.usage.output_tokens) == ("completed", 40)
    assert whole.output_text
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.incomplete"
    assert (last.response.incomplete_details.reason, last.response.usage.output_tokens) == (
        "max_output_tokens",
        20,
    )
    assert last.response.output_text == text
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_responses_call_a_tool(responses):
    tool = {"type": "function", "name": "look_up", "parameters": SCHEMA, "strict": False}
    whole = responses.create(model="gpt-5", input="sim:tool", tools=[tool])
    with responses.stream(model="gpt-5", input="sim:tool", tools=[tool]) as stream:
        streamed = stream.get_final_response()
    for answer in (whole, streamed):
        (call,) = answer.output
        assert (call.type, call.name) == ("function_call", "look_up")
        assert set(json.loads(call.arguments)) == {"word", "times"}


def test_gemini_answers_plain_streamed_and_with_a_tool(gemini):
    ask = {"model": "gemini-2.5-flash", "contents": SAY}
    whole = gemini.generate_content(**ask)
    limited = types.GenerateContentConfig(max_output_tokens=20)
    chunks = list(gemini.generate_content_stream(**ask, config=limited))
    assert (whole.usage_metadata.candidates_token_count, whole.model_version) == (40, "gemini-2.5-flash")
    assert whole.candidates[0].finish_reason == "STOP"
    assert "".join(chunk.text for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == "MAX_TOKENS"
    assert chunks[-1].usage_metadata.candidates_token_count == 20

    def look_up(word: str, times: int) -> str:
        """Look a word up."""
        return word * times

    by_hand = types.AutomaticFunctionCallingConfig(disable=True)
    offered = types.GenerateContentConfig(tools=[look_up], automatic_function_calling=by_hand)
    (call,) = gemini.generate_content(
        model="gemini-2.5-flash", contents="sim:tool", config=offered
    ).function_calls
    assert (call.name, set(call.args)) == ("look_up", {"word", "times"})


def test_gemini_embeds(gemini):
    several = gemini.embed_content(model="gemini-embedding-001", contents=["one", "two"])
    assert [len(vector.values) for vector in several.embeddings] == [256, 256]


def test_gemini_streams_an_array_without_alt_sse(houses, post):
    path = "/gemini/v1beta/models/g:streamGenerateContent"
    _, headers, body = post(houses.url, path, {"contents": [{"parts": [{"text": SAY}]}]})
    assert headers["content-type"] == "application/json"
    assert json.loads(body)[-1]["candidates"][0]["finishReason"] == "STOP"


def test_a_gemini_refusal_names_its_quota_and_the_wait(houses, gemini):
    houses.script({"status": 429, "kind": "requests", "retry_after_seconds": 17.2})
    with pytest.raises(errors.ClientError) as refused:
        gemini.generate_content(model="gemini-2.5-flash", contents="x")
    failure, _, retry = refused.value.details["error"]["details"]
    assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert "PerMinute" in failure["violations"][0]["quotaId"]
    assert retry == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "18s"}
    assert "Please retry in 17.2" in refused.value.message
    assert "retry-after" not in refused.value.response.headers


TURN = [{"role": "user", "content": [{"text": SAY}]}]
NOVA = "us.amazon.nova-lite-v1:0"


def test_bedrock_converses_plain_and_by_event_stream(bedrock):
    whole = bedrock.converse(modelId=NOVA, messages=TURN)
    assert (whole["stopReason"], whole["usage"]["outputTokens"]) == ("end_turn", 40)
    answer = bedrock.converse_stream(modelId=NOVA, messages=TURN, inferenceConfig={"maxTokens": 20})
    events = list(answer["stream"])
    kinds = [next(iter(event)) for event in events]
    assert kinds[0] == "messageStart"
    assert kinds[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    assert events[-2]["messageStop"]["stopReason"] == "max_tokens"
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 20


def test_bedrock_calls_a_tool(bedrock):
    tools = {"tools": [{"toolSpec": {"name": "look_up", "inputSchema": {"json": SCHEMA}}}]}
    turn = [{"role": "user", "content": [{"text": "sim:tool"}]}]
    whole = bedrock.converse(modelId=NOVA, messages=turn, toolConfig=tools)
    (content,) = whole["output"]["message"]["content"]
    assert set(content["toolUse"]["input"]) == {"word", "times"}
    stream = bedrock.converse_stream(modelId=NOVA, messages=turn, toolConfig=tools)["stream"]
    deltas = [event["contentBlockDelta"]["delta"] for event in stream if "contentBlockDelta" in event]
    assert set(json.loads("".join(delta["toolUse"]["input"] for delta in deltas))) == {"word", "times"}


def test_bedrock_invokes_a_claude_plain_and_by_event_stream(bedrock):
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 20, "messages": ASK})
    whole = bedrock.invoke_model(modelId="anthropic.claude-x", body=body)
    document = json.loads(whole["body"].read())
    assert (document["stop_reason"], document["usage"]["output_tokens"]) == ("max_tokens", 20)
    assert whole["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-output-token-count"] == "20"
    stream = bedrock.invoke_model_with_response_stream(modelId="anthropic.claude-x", body=body)["body"]
    events = [json.loads(event["chunk"]["bytes"]) for event in stream]
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
    assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 20


@pytest.mark.parametrize(
    ("kind", "status", "code", "text"),
    [
        ("requests", 429, "ThrottlingException", "Too many requests"),
        ("tokens", 429, "ThrottlingException", "Too many tokens, please"),
        ("exhausted", 429, "ThrottlingException", "Too many tokens per day"),
        ("overloaded", 503, "ServiceUnavailableException", "Bedrock is unable"),
        ("outage", 424, "ModelErrorException", "unexpected error"),
    ],
)
def test_bedrock_refuses_by_exceptions(houses, bedrock, kind, status, code, text):
    houses.script({"status": status, "kind": kind})
    with pytest.raises(ClientError, match=text) as refused:
        bedrock.converse(modelId=NOVA, messages=TURN)
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    ("kind", "code"), [("requests", "throttlingException"), (None, "internalServerException")]
)
def test_bedrock_breaks_a_stream_by_an_exception_in_it(houses, bedrock, kind, code):
    houses.script({"fault": "in_band_error", "after_chunks": 3, **({"kind": kind} if kind else {})})
    stream = bedrock.converse_stream(modelId=NOVA, messages=TURN)["stream"]
    with pytest.raises(EventStreamError) as broken:
        list(stream)
    assert broken.value.response["Error"]["Code"] == code


def test_mistral_answers_streams_and_calls_a_tool(mistral):
    whole = mistral.chat.complete(model="mistral-small", messages=ASK)
    chunks = list(mistral.chat.stream(model="mistral-small", messages=ASK, max_tokens=20))
    called = mistral.chat.complete(model="mistral-small", messages=CALL, tools=[FUNCTION])
    assert whole.usage.completion_tokens == 40
    assert "".join(c.data.choices[0].delta.content or "" for c in chunks if c.data.choices)
    assert chunks[-1].data.usage.completion_tokens == 20
    assert called.choices[0].message.tool_calls[0].function.name == "look_up"
    vectors = mistral.embeddings.create(model="mistral-embed", inputs=["one", "two"]).data
    assert [vector.index for vector in vectors] == [0, 1]


def test_mistral_refuses_in_one_flat_document_and_tells_its_minute(houses, mistral, post):
    houses.script({"status": 429})
    with pytest.raises(SDKError) as refused:
        mistral.chat.complete(model="mistral-small", messages=ASK)
    document = json.loads(refused.value.body)
    assert (document["type"], document["code"]) == ("rate_limited", "1300")
    body = {"model": "m", "messages": ASK}
    _, headers, _ = post(houses.url, "/mistral/v1/chat/completions", body)
    assert headers["x-ratelimit-limit-req-minute"] == "60000"
    assert "mistral-correlation-id" in headers


def test_cohere_answers_streams_and_calls_a_tool(command):
    whole = command.chat(model="command-a", messages=ASK)
    events = list(command.chat_stream(model="command-a", messages=ASK, max_tokens=20))
    called = command.chat(model="command-a", messages=CALL, tools=[FUNCTION])
    assert (whole.finish_reason, whole.usage.tokens.output_tokens) == ("COMPLETE", 40)
    assert "".join(e.delta.message.content.text for e in events if e.type == "content-delta")
    assert events[-1].delta.finish_reason == "MAX_TOKENS"
    assert called.message.tool_calls[0].function.name == "look_up"
    vectors = command.embed(
        model="embed-v4", texts=["one", "two"], input_type="search_query", embedding_types=["float"]
    )
    assert len(vectors.embeddings.float_) == 2


@pytest.mark.parametrize(
    ("kind", "text"), [("requests", "API calls / minute"), ("exhausted", "calls / month")]
)
def test_a_cohere_refusal_tells_the_keys_limit_and_no_headers(houses, command, kind, text):
    houses.script({"status": 429, "kind": kind})
    with pytest.raises(cohere.TooManyRequestsError) as refused:
        command.chat(model="command-a", messages=ASK, request_options={"max_retries": 0})
    assert text in refused.value.body["message"]
    assert "x-trial-endpoint-call-remaining" not in refused.value.headers


def test_ollama_chats_generates_and_embeds(llama):
    whole = llama.chat(model="llama3", messages=ASK)
    lines = list(llama.chat(model="llama3", messages=ASK, stream=True, options={"num_predict": 20}))
    written = llama.generate(model="llama3", prompt=SAY)
    called = llama.chat(model="llama3", messages=CALL, tools=[FUNCTION])
    assert (whole.done_reason, whole.eval_count) == ("stop", 40)
    assert [line.done for line in lines] == [*[False] * (len(lines) - 1), True]
    assert (lines[-1].done_reason, lines[-1].eval_count) == ("length", 20)
    assert written.response
    assert called.message.tool_calls[0].function.name == "look_up"
    assert len(llama.embed(model="llama3", input=["one", "two"]).embeddings) == 2


def test_ollama_has_no_quota_but_a_full_queue(fast):
    pool = fast("ollama", concurrency=1)
    with serve(Config(pools=(pool,))) as sim:

        async def both():
            client = ollama.AsyncClient(host=sim.url)
            held = asyncio.create_task(client.chat(model="llama3", messages=ASK))
            try:
                with pytest.raises(ollama.ResponseError, match="maximum pending requests") as refused:
                    await asyncio.gather(*(client.chat(model="llama3", messages=ASK) for _ in range(20)))
            finally:
                await asyncio.gather(held, return_exceptions=True)  # any of them may be the one let in
                await client._client.aclose()
            return refused.value.status_code

        assert asyncio.run(both()) == 503


def test_an_ollama_stream_may_end_in_an_error_line(houses, llama):
    houses.script({"fault": "in_band_error", "after_chunks": 2})
    with pytest.raises(ollama.ResponseError, match="runner process"):
        list(llama.chat(model="llama3", messages=ASK, stream=True))


@pytest.mark.parametrize(
    ("house", "kind", "status", "wanted"),
    [
        ("groq", "tokens", 429, "on tokens per minute (TPM): Limit"),
        ("groq", "exhausted", 429, "on tokens per day (TPD): Limit"),
        ("groq", "too_large", 413, "please reduce your message size"),
        ("deepseek", "concurrency", 429, "exceeds your concurrency limit of 1"),
        ("deepseek", "exhausted", 402, "Insufficient Balance"),
        ("vllm", "outage", 500, "EngineCore encountered an issue"),
        ("azure", "tokens", 429, "exceeded token rate limit of your current OpenAI S0 pricing tier"),
        ("openai", "exhausted", 429, "insufficient_quota"),
    ],
)
def test_houses_that_speak_openais_wire_have_their_own_words(houses, post, house, kind, status, wanted):
    houses.script({"status": status, "kind": kind})
    got, _, body = post(houses.url, f"/{house}/v1/chat/completions", {"model": "m", "messages": ASK})
    assert got == status
    assert wanted in body.decode()


def test_deepseek_and_mistral_stream_their_usage_unasked(houses, post):
    body = {"model": "m", "messages": ASK, "stream": True}
    for house, told in (
        ("deepseek", "prompt_cache_hit_tokens"),
        ("mistral", "completion_tokens"),
        ("openai", ""),
    ):
        _, _, answer = post(houses.url, f"/{house}/v1/chat/completions", body)
        usage = [json.loads(line[6:])["usage"] for line in answer.splitlines() if b'"usage":{' in line]
        assert [told in found for found in usage] == ([True] if told else [])


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/gemini/v1beta/models/g:generateContent", ("error", "message")),
        ("/bedrock/model/nova/converse", ("message",)),
        ("/cohere/v2/chat", ("message",)),
        ("/ollama/api/chat", ("error",)),
        ("/openai/v1/responses", ("error", "message")),
        ("/mistral/v1/chat/completions", ("message",)),
    ],
)
def test_a_bad_request_is_answered_in_the_wires_own_shape(houses, post, path, where):
    status, _, body = post(houses.url, path, {})
    said = json.loads(body)
    for name in where:
        said = said[name]
    assert status == 400
    assert isinstance(said, str)
