"""SDKs beside openai and anthropic: their loops are one operation, their wires are understood."""

import asyncio
import binascii
import gc
import json
import struct
import subprocess
from pathlib import Path

import pytest

from penstock.telemetry import collecting

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
ROOT = Path(__file__).parents[2]
OPENAI_2 = ROOT / ".venv-openai2" / "bin" / "python"

ASK = [{"role": "user", "content": "x"}]
CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}
CHUNK = {
    **CHAT,
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}


def one_operation(seen, canned, provider, attempts, usage):
    (operation,) = seen.operations
    assert operation.provider == provider
    assert operation.attempts == len(seen.attempts) == canned.served == attempts
    assert [a.number for a in seen.attempts] == list(range(1, attempts + 1))
    assert seen.classes() == ["rate_limit"] * (attempts - 1) + [None]
    assert (operation.usage.input, operation.usage.output, operation.usage.cache_read) == usage
    assert operation.verdict is None
    return operation


@pytest.mark.parametrize("manner", ["plain", "stream", "async", "async stream"])
def test_google_genai(hook, canned, manner):
    from google import genai
    from google.genai import types

    candidate = {"content": {"parts": [{"text": "hi"}], "role": "model"}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 3, "cachedContentTokenCount": 4}
    answer = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "g"}
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"}]
    error = {"error": {"code": 429, "message": "q", "status": "RESOURCE_EXHAUSTED", "details": details}}
    seen = hook()
    canned.tell(*[canned.document(error, 429)] * 2)
    canned.tell(canned.stream(answer, answer) if "stream" in manner else canned.document(answer))
    retry = types.HttpRetryOptions(attempts=3, initial_delay=0.01, max_delay=0.02)
    client = genai.Client(
        api_key="k", http_options=types.HttpOptions(base_url=canned.url, retry_options=retry)
    )
    ask = {"model": "gemini-2.5-flash", "contents": "hi"}

    async def main():
        if manner == "async":
            await client.aio.models.generate_content(**ask)
        else:
            async for _ in await client.aio.models.generate_content_stream(**ask):
                pass
        await client.aio.aclose()

    if "async" in manner:
        asyncio.run(main())
    elif manner == "plain":
        client.models.generate_content(**ask)
    else:
        assert list(client.models.generate_content_stream(**ask))
    client.close()
    operation = one_operation(seen, canned, "gemini", 3, (10, 3, 4))
    assert (operation.model, operation.operation) == ("gemini-2.5-flash", "generate_content")
    assert seen.attempts[0].verdict.retry_after == 0.01


@pytest.mark.parametrize("manner", ["plain", "stream", "async"])
def test_mistralai(hook, canned, manner):
    from mistralai.client import Mistral
    from mistralai.client.utils import BackoffStrategy, RetryConfig

    seen = hook()
    error = {"message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"}
    canned.tell(canned.document(error, 429, **{"retry-after": "0"}))
    canned.tell(canned.stream(CHUNK, "[DONE]") if manner == "stream" else canned.document(CHAT))
    retry = RetryConfig("backoff", BackoffStrategy(10, 20, 1.5, 2000), True)
    with Mistral(api_key="k", server_url=canned.url, retry_config=retry) as client:
        if manner == "plain":
            client.chat.complete(model="m", messages=ASK)
        elif manner == "stream":
            assert list(client.chat.stream(model="m", messages=ASK))
        else:

            async def main():
                async with client:
                    await client.chat.complete_async(model="m", messages=ASK)

            asyncio.run(main())
    one_operation(seen, canned, "openai", 2, (5, 2, None))


@pytest.mark.parametrize("stream", [False, True])
def test_cohere(hook, canned, stream):
    import cohere

    usage = {"tokens": {"input_tokens": 9, "output_tokens": 2}}
    answer = {
        "id": "i",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}]},
        "usage": usage,
    }
    seen = hook()
    end = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}
    if stream:
        canned.tell(canned.stream(end))
    else:
        error = canned.document({"message": "too many"}, 429, **{"retry-after": "0.01"})
        canned.tell(error, error, canned.document(answer))
    client = cohere.ClientV2(api_key="k", base_url=canned.url)
    if stream:
        list(client.chat_stream(model="command-r", messages=ASK))
    else:
        client.chat(model="command-r", messages=ASK)
    one_operation(seen, canned, "cohere", 1 if stream else 3, (9, 2, None))


def test_groq(hook, canned):
    import groq

    seen = hook()
    error = {"error": {"message": "Rate limit reached", "type": "tokens", "code": "rate_limit_exceeded"}}
    canned.tell(canned.document(error, 429, **{"retry-after": "0.01"}), canned.document(CHAT))
    with groq.Groq(api_key="k", base_url=canned.url) as client:
        client.chat.completions.create(model="m", messages=ASK)
    one_operation(seen, canned, "openai", 2, (5, 2, None))


@pytest.mark.parametrize("stream", [False, True])
def test_ollama(hook, canned, stream):
    import ollama

    last = {
        "model": "llama3",
        "done": True,
        "done_reason": "stop",
        "message": {"role": "assistant", "content": "hi"},
        "prompt_eval_count": 7,
        "eval_count": 3,
    }
    seen = hook()
    if stream:
        lines = [json.dumps({**last, "done": False}), json.dumps(last)]
        canned.tell((200, {"content-type": "application/x-ndjson"}, "\n".join(lines).encode()))
    else:
        canned.tell(canned.document(last))
    answer = ollama.Client(host=canned.url).chat(model="llama3", messages=ASK, stream=stream)
    if stream:
        assert list(answer)
    operation = one_operation(seen, canned, "ollama", 1, (7, 3, None))
    assert operation.stream is stream


USAGE = {
    "inputTokens": 36,
    "outputTokens": 5,
    "totalTokens": 41,
    "cacheReadInputTokens": 64,
    "cacheWriteInputTokens": 8,
}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": USAGE,
    "metrics": {"latencyMs": 1},
}
TURN = [{"role": "user", "content": [{"text": "x"}]}]


def frame(payload, **headers):
    """Frame one message as AWS does."""
    packed = b"".join(
        bytes([len(name) + 1]) + b":" + name.replace("_", "-").encode() + b"\x07"
        + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(packed) + len(body), len(packed))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + packed + body
    return message + struct.pack(">I", binascii.crc32(message))


def event(kind, payload):
    return frame(payload, event_type=kind, content_type="application/json", message_type="event")


@pytest.fixture
def aws(monkeypatch, canned):
    from botocore.config import Config

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    config = Config(retries={"max_attempts": 3, "mode": "standard"})
    return {"endpoint_url": canned.url, "region_name": "us-east-1", "config": config}


THROTTLED = {"message": "Too many requests, please wait before trying again."}


@pytest.mark.parametrize("stream", [False, True])
def test_boto3_bedrock(hook, canned, aws, stream):
    import boto3

    seen = hook()
    canned.tell(canned.document(THROTTLED, 429, **{"x-amzn-errortype": "ThrottlingException"}))
    client = boto3.client("bedrock-runtime", **aws)
    if stream:
        frames = event("messageStop", {"stopReason": "end_turn"}) + event("metadata", {"usage": USAGE})
        canned.tell((200, {"content-type": "application/vnd.amazon.eventstream"}, frames))
        answer = client.converse_stream(modelId="us.amazon.nova-lite-v1:0", messages=TURN)
        assert seen.live == 1
        assert len(list(answer["stream"])) == 2
    else:
        canned.tell(canned.document(CONVERSE))
        client.converse(modelId="us.amazon.nova-lite-v1:0", messages=TURN)
    operation = one_operation(seen, canned, "bedrock", 2, (108, 5, 64))
    assert (operation.model, operation.usage.cache_write) == ("us.amazon.nova-lite-v1:0", 8)


def test_an_exception_inside_an_event_stream_is_a_verdict(hook, canned, aws):
    import boto3
    from botocore.exceptions import EventStreamError

    seen = hook()
    thrown = frame(
        {"message": "Too many tokens"},
        exception_type="throttlingException",
        content_type="application/json",
        message_type="exception",
    )
    canned.tell((200, {"content-type": "application/vnd.amazon.eventstream"}, thrown))
    client = boto3.client("bedrock-runtime", **aws)
    answer = client.converse_stream(modelId="nova", messages=TURN)
    with pytest.raises(EventStreamError):
        list(answer["stream"])
    answer["stream"].close()
    del answer
    gc.collect()
    collecting.wait(30)
    assert seen.classes() == ["rate_limit"]


def test_aiobotocore_bedrock(hook, canned, aws):
    from aiobotocore.session import get_session

    seen = hook()
    canned.tell(canned.document(THROTTLED, 429, **{"x-amzn-errortype": "ThrottlingException"}))
    canned.tell(canned.document(CONVERSE))

    async def main():
        async with get_session().create_client("bedrock-runtime", **aws) as client:
            await client.converse(modelId="nova", messages=TURN)

    asyncio.run(main())
    operation = one_operation(seen, canned, "bedrock", 2, (108, 5, 64))
    assert operation.pool == "bedrock:nova"


def test_a_refused_bedrock_call_is_a_throttling_exception(hook, canned, aws, decider):
    import boto3
    from botocore.config import Config

    from penstock.telemetry.interceptor import Refused

    hook(interceptor=decider(Refused(eta_seconds=2, reason="full")))
    aws["config"] = Config(retries={"total_max_attempts": 1})
    client = boto3.client("bedrock-runtime", **aws)
    with pytest.raises(client.exceptions.ThrottlingException):
        client.converse(modelId="nova", messages=TURN)
    assert canned.served == 0


LITELLM = """
import asyncio, json, sys
from penstock.telemetry.hooks import Engine, install
told = []
class Sink:
    def attempt_started(self, a): pass
    def attempt_ended(self, a):
        told.append([a.number, a.status, a.verdict.error_class.value if a.verdict else None])
    def operation_ended(self, o): told.append(["operation", o.provider, o.attempts])
sink = Sink()
install(Engine(attempt_sinks=[sink], work_sinks=[sink]))
import litellm
ask = dict(model="openai/m", api_base=sys.argv[1] + "/v1", api_key="k")
ask["messages"] = [{"role": "user", "content": "x"}]
litellm.completion(**ask)
async def main():
    async for _ in await litellm.acompletion(**ask, stream=True):
        pass
asyncio.run(main())
print(json.dumps(told))
"""


def test_litellm_by_httpx_and_by_aiohttp(canned):
    error = {"error": {"message": "Rate limit reached", "type": "tokens", "code": "rate_limit_exceeded"}}
    refused = canned.document(error, 429, **{"retry-after-ms": "5", "retry-after": "0"})
    canned.tell(refused, refused, canned.document(CHAT), refused, canned.stream(CHUNK, "[DONE]"))
    done = subprocess.run(
        [OPENAI_2, "-W", "ignore", "-c", LITELLM, canned.url],
        capture_output=True,
        text=True,
        timeout=100,
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": "/usr/bin:/bin"},
    )
    assert json.loads(done.stdout.strip().splitlines()[-1]) == [
        [1, 429, "rate_limit"],
        [2, 429, "rate_limit"],
        [3, 200, None],
        ["operation", "openai", 3],
        [1, 429, "rate_limit"],
        [2, 200, None],
        ["operation", "openai", 2],
    ], done.stderr
