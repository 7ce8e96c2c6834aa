"""With an interceptor: refusals, retries, routes and served answers, as the SDK sees them."""

import asyncio
import json

import pytest

from penstock.providers import Registry
from penstock.telemetry import guard
from penstock.telemetry.interceptor import Granted, Refused, Route, Served


def served(sim):
    return len(sim.entries())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_a_refusal_is_the_sdks_own_rate_limit_error_after_no_send(hook, chat, sim, decider, sdk, stream):
    import anthropic
    import openai

    decide = decider(Refused(eta_seconds=41.2, reason="the queue is full"))
    seen = hook(interceptor=decide)
    before = served(sim)
    if sdk == "openai":
        with pytest.raises(openai.RateLimitError) as caught:
            chat.openai().chat.completions.create(**chat.request, stream=stream)
        assert caught.value.code == "penstock_backpressure"
    else:
        with pytest.raises(anthropic.RateLimitError) as caught:
            chat.anthropic().messages.create(**chat.claude, stream=stream)
        assert caught.value.body["error"]["code"] == "penstock_backpressure"
    assert caught.value.response.headers["retry-after"] == "42"
    assert served(sim) == before
    assert len(decide.calls) == 1
    assert len(decide.settlements) == 1
    (operation,) = seen.operations
    assert operation.attempts == 0
    assert operation.verdict.error_class == "rate_limit"


def test_an_async_refusal_is_the_sdks_own_rate_limit_error(hook, chat, decider):
    import openai

    hook(interceptor=decider(Refused(eta_seconds=1, reason="x")))

    async def main():
        async with chat.openai_async() as client:
            with pytest.raises(openai.RateLimitError):
                await client.chat.completions.create(**chat.request)

    asyncio.run(main())


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_429_is_absorbed_and_sent_again_below_the_sdk(hook, chat, sim, decider, stream, asynchronous):
    decide = decider(Granted(queued_seconds=0.25), retries=2)
    seen = hook(interceptor=decide)
    sim.script(chat.limited, chat.limited, chat.ok)

    async def main():
        async with chat.openai_async(max_retries=0) as client:
            answer = await client.chat.completions.create(**chat.request, stream=stream)
            if stream:
                async for _ in answer:
                    pass

    if asynchronous:
        asyncio.run(main())
    else:
        answer = chat.openai(max_retries=0).chat.completions.create(**chat.request, stream=stream)
        if stream:
            assert list(answer)
    assert seen.classes() == ["rate_limit", "rate_limit", None]
    assert [a.retry_owner for a in seen.attempts] == [None, "penstock", "penstock"]
    assert [a.queued_seconds for a in seen.attempts] == [0.25] * 3
    assert [a.verdict.limit_dimension for a in decide.answers[:2]] == ["requests_per_minute"] * 2
    assert len(decide.settlements) == 1
    assert decide.settlements[0].end == "eof"
    assert seen.operations[0].attempts == 3


def test_an_error_that_passes_reaches_the_app_whole(hook, chat, sim, decider):
    import openai

    decide = decider()
    hook(interceptor=decide)
    sim.script(chat.limited)
    with pytest.raises(openai.RateLimitError) as caught:
        chat.openai(max_retries=0).chat.completions.create(**chat.request, stream=True)
    assert "Rate limit reached" in caught.value.message
    assert caught.value.response.status_code == 429
    assert decide.answers[0].verdict.limit_dimension == "requests_per_minute"
    assert decide.settlements[0].verdict.error_class == "rate_limit"


def test_a_connection_error_can_be_absorbed(hook, chat, sim, decider):
    decide = decider(retries=1)
    seen = hook(interceptor=decide)
    sim.script({"fault": "reset"}, chat.ok)
    chat.openai(max_retries=0).chat.completions.create(**chat.request)
    assert seen.classes() == ["network", None]
    assert decide.answers[0].status is None
    assert decide.answers[0].verdict.error_class == "network"


def test_the_call_describes_the_request(hook, chat, decider):
    decide = decider()
    hook(interceptor=decide)
    client = chat.openai(timeout=7.5)
    client.chat.completions.create(**chat.request, max_completion_tokens=33)
    (call,) = decide.calls
    assert (call.provider, call.pool, call.model) == ("openai", "openai:gpt-5", "gpt-5")
    assert (call.timeout_seconds, call.max_output_tokens, call.stream) == (7.5, 33, False)
    assert json.loads(call.body)["messages"] == chat.messages
    assert "sk-test" not in repr(call)


def test_a_route_goes_elsewhere_with_other_key_and_model(hook, chat, sim, decider):
    route = Route(pool="backup", model="gpt-5-mini", base_url=f"{sim.url}/v1", api_key="other")
    decide = decider(Granted(route=route))
    seen = hook(interceptor=decide)
    answer = chat.openai().chat.completions.create(**chat.request)
    assert answer.model == "gpt-5-mini"
    (attempt,) = seen.attempts
    assert (attempt.pool, attempt.model, attempt.trust) == ("backup", "gpt-5-mini", "fallback")
    assert attempt.fallback_from == "openai:gpt-5"
    assert seen.operations[0].pool == "openai:gpt-5"
    assert seen.operations[0].fallback_from == "openai:gpt-5"


def test_the_quota_of_a_fallback_is_read_as_its_own_host_tells_it(hook, chat, sim, decider):
    hosts = Registry()
    hosts.add_host("localhost", hosts.lookup("api.groq.com", "/openai/v1/chat/completions")[0])
    there = f"{sim.url}/v1".replace("127.0.0.1", "localhost")
    decide = decider(Granted(route=Route(pool="backup", base_url=there)))
    seen = hook(interceptor=decide, registry=hosts)
    chat.openai().chat.completions.create(**chat.request)
    (attempt,) = seen.attempts
    assert attempt.quota.requests.period_seconds == 86_400
    assert decide.answers[0].quota == attempt.quota


def test_a_refused_fallback_leaves_no_mark_on_what_the_primary_then_answers(hook, chat, sim, decider):
    route = Route(pool="backup", model="gpt-5-mini", reason="pacer")
    decide = decider(Granted(route=route), Granted(), retries=1)
    seen = hook(interceptor=decide)
    sim.script(chat.limited, chat.ok)
    chat.openai(max_retries=0).chat.completions.create(**chat.request)
    assert [(a.pool, a.trust) for a in seen.attempts] == [("backup", "fallback"), ("openai:gpt-5", None)]
    (operation,) = seen.operations
    assert (operation.trust, operation.trust_reason, operation.fallback_from) == (None, None, None)


@pytest.mark.parametrize("stream", [False, True])
def test_a_served_answer_is_replayed_without_a_send(hook, chat, sim, decider, stream):
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5"}
    piece = {**chunk, "choices": [{"index": 0, "delta": {"content": "kept"}, "finish_reason": "stop"}]}
    document = {
        **chunk,
        "object": "chat.completion",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "kept"}}
        ],
    }
    if stream:
        chunks = [f"data: {json.dumps(piece)}\n\n".encode(), b"data: [DONE]\n\n"]
        headers = {"content-type": "text/event-stream"}
    else:
        chunks = [json.dumps(document).encode()]
        headers = {"content-type": "application/json"}
    decide = decider(Served(status=200, headers=headers, chunks=chunks, trust="cache_fresh"))
    seen = hook(interceptor=decide)
    before = served(sim)
    answer = chat.openai().chat.completions.create(**chat.request, stream=stream)
    text = (
        "".join(c.choices[0].delta.content for c in answer) if stream else answer.choices[0].message.content
    )
    assert text == "kept"
    assert served(sim) == before
    assert seen.operations[0].trust == "cache_fresh"
    assert seen.operations[0].attempts == 0
    assert len(decide.settlements) == 1


def test_cancelled_while_waiting_the_place_is_given_back(hook, chat, sim, decider):
    decide = decider()
    seen = hook(interceptor=decide)

    class Patient:
        async def wait_async(self):
            await asyncio.sleep(3600)

    decide.admit = lambda call: Patient()

    async def main():
        async with chat.openai_async() as client:
            task = asyncio.create_task(client.chat.completions.create(**chat.request))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    before = served(sim)
    asyncio.run(main())
    assert served(sim) == before
    assert [s.end for s in decide.settlements] == ["cancelled"]
    assert seen.operations[0].verdict.error_class == "cancelled"


@pytest.mark.parametrize("place", ["admit", "wait", "answer", "settle"])
def test_a_broken_interceptor_costs_the_app_nothing(chat, sim, decider, hook, place):
    decide = decider(RuntimeError("bug") if place == "wait" else Granted())
    if place != "wait":

        def broken(*args):
            raise RuntimeError("bug")

        setattr(decide, place, broken)
    seen = hook(interceptor=decide)
    before = served(sim)
    counted = sum(guard.errors.values())
    assert chat.openai().chat.completions.create(**chat.request).choices
    assert served(sim) == before + 1
    assert sum(guard.errors.values()) == counted + 1
    assert seen.classes() == [None]
    guard.errors.clear()
