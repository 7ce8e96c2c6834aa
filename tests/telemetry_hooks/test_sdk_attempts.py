"""One operation an SDK call, one attempt a physical send: real clients over real HTTP."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPENAI_2 = ROOT / ".venv-openai2" / "bin" / "python"


BOTH = {"openai", "openai responses", "openai embeddings", "boto3 bedrock", "boto3 invoke"}
SDKS = {
    sys.executable: {
        *BOTH, "anthropic", "groq", "google-genai", "mistralai", "cohere", "ollama", "aiobotocore",
        "langchain", "pydantic-ai", "openai-agents",
    },
    str(OPENAI_2): {*BOTH, "litellm", "llama-index"},
}  # fmt: skip


@pytest.mark.parametrize("python", SDKS, ids=["openai 3", "openai 2"])
def test_every_cell_of_the_sdk_matrix_is_right(python):
    done = subprocess.run(
        [python, "-m", "benchmarks.sdk_matrix", "--no-other", "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=115,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )  # fmt: skip
    result = json.loads(done.stdout)
    assert {row["sdk"] for row in result["cells"]} == SDKS[python]
    assert [row for row in result["cells"] if row["wrong"]] == []
    assert result["hook_errors"] == {}
    assert {row["version"].split(".")[0] for row in result["cells"] if row["sdk"] == "openai"} == {
        "2" if python == str(OPENAI_2) else "3"
    }


def test_an_attempt_knows_number_owner_wait_and_quota(hook, chat, sim):
    seen = hook()
    sim.script(chat.limited, chat.limited, chat.ok)
    chat.openai().chat.completions.create(**chat.request)
    assert [a.number for a in seen.attempts] == [1, 2, 3]
    assert [a.retry_owner for a in seen.attempts] == [None, "sdk", "sdk"]
    assert seen.classes() == ["rate_limit", "rate_limit", None]
    assert [a.verdict.retry_after for a in seen.attempts[:2]] == [0.005, 0.005]
    assert all(a.quota.requests.limit == 60_000 for a in seen.attempts)
    assert all(a.request_id.startswith("req_") for a in seen.attempts)
    (operation,) = seen.operations
    assert (operation.attempts, operation.verdict, operation.finish_reason) == (3, None, "stop")
    assert operation.usage == seen.attempts[-1].usage
    assert operation.usage.output == 8


def test_stamps_of_one_call_follow_each_other(hook, chat, sim):
    seen = hook()
    sim.script(chat.limited, chat.ok)
    chat.openai().chat.completions.create(**chat.request)
    first, second = seen.attempts
    stamps = [
        seen.operations[0].started_ns,
        first.started_ns,
        first.first_byte_ns,
        first.ended_ns,
        second.started_ns,
        second.first_byte_ns,
        second.ended_ns,
        seen.operations[0].ended_ns,
    ]
    assert stamps == sorted(stamps)


def test_a_streamed_operation_is_over_when_its_body_is(hook, chat, sim):
    seen = hook()
    stream = chat.anthropic().messages.create(**chat.claude, stream=True)
    assert seen.live == 1
    assert seen.operations == []
    for _ in stream:
        pass
    assert seen.live == 0
    assert seen.operations[0].ended_ns == seen.attempts[0].ended_ns
    assert seen.operations[0].usage.output > 0


def test_a_raw_streamed_response_is_live_until_it_is_read(hook, chat):
    seen = hook()
    client = chat.openai()
    with client.chat.completions.with_streaming_response.create(**chat.request) as response:
        assert seen.live == 1
        response.parse()
    assert seen.ends() == ["eof"]
    raw = client.chat.completions.with_raw_response.create(**chat.request)
    assert raw.parse().choices
    assert seen.ends() == ["eof", "eof"]


def test_plain_http_calls_are_operations_of_their_own(hook, chat, sim):
    import httpx2

    seen = hook()
    body = {"model": "gpt-5", "messages": chat.messages}
    for _ in range(2):
        httpx2.post(f"{sim.url}/v1/chat/completions", json=body)
    httpx2.get(f"{sim.url}/_sim/truth")
    assert [o.attempts for o in seen.operations] == [1, 1]


def test_a_number_from_the_header_counts_where_no_loop_is_known(hook, chat, sim):
    import httpx2

    seen = hook()
    httpx2.post(f"{sim.url}/v1/chat/completions", json=chat.request, headers={"x-stainless-retry-count": "2"})
    assert seen.attempts[0].number == 3


def test_many_concurrent_calls_each_keep_their_own_operation(hook, chat, sim):
    seen = hook()
    for _ in range(20):
        sim.script(chat.limited)

    async def main():
        async with chat.openai_async(max_retries=8) as client:
            await asyncio.gather(*(client.chat.completions.create(**chat.request) for _ in range(20)))

    asyncio.run(main())
    assert len(seen.operations) == 20
    assert sum(o.attempts for o in seen.operations) == len(seen.attempts) == 40
    for operation in seen.operations:
        numbers = [a.number for a in seen.attempts if a.operation is operation]
        assert numbers == list(range(1, operation.attempts + 1))


def test_a_compressed_answer_is_decoded_once_and_read(hook):
    import gzip

    import httpx2

    seen = hook()
    usage = {"prompt_tokens": 11, "completion_tokens": 2}
    plain = json.dumps({"model": "gpt-5", "usage": usage, "choices": []}).encode()

    def answer(request):
        packed = httpx2.ByteStream(gzip.compress(plain))
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        return httpx2.Response(200, headers=headers, stream=packed)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        body = {"model": "gpt-5", "messages": []}
        got = client.post("https://api.openai.com/v1/chat/completions", json=body)
    assert got.content == plain
    assert seen.operations[0].usage.input == 11


def test_an_answer_that_was_never_on_the_wire_ends_too(hook):
    import httpx2

    seen = hook()
    transport = httpx2.MockTransport(lambda r: httpx2.Response(200, json={"usage": {"prompt_tokens": 3}}))
    with httpx2.Client(transport=transport) as client:
        client.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-5"})
    assert seen.ends() == ["eof"]
    assert seen.operations[0].usage.input == 3


def test_import_order_does_not_matter(sim):
    script = f"""
import openai
from penstock.telemetry.hooks import Engine, install, uninstall
ends = []
class Sink:
    def attempt_started(self, a): pass
    def attempt_ended(self, a): ends.append(a.end)
def call():
    client = openai.OpenAI(base_url="{sim.url}/v1", api_key="k")
    client.chat.completions.create(model="gpt-5", messages=[{{"role": "user", "content": "x"}}])
install(Engine(attempt_sinks=[Sink()])); call()
import anthropic
c = anthropic.Anthropic(base_url="{sim.url}", api_key="k")
c.messages.create(model="claude-x", max_tokens=5, messages=[{{"role": "user", "content": "x"}}])
uninstall(); call()
print(ends)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "['eof', 'eof']", done.stderr
