"""aiohttp: every attempt to its last byte, although `_request` returns at the head."""

import asyncio
import gc

import aiohttp
import pytest

from penstock.telemetry import collecting
from penstock.telemetry.interceptor import Granted, Refused, Route


def post(sim, chat, act, **body):
    async def main():
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{sim.url}/v1/chat/completions", json={**chat.request, **body}) as response,
        ):
            return await act(response)

    return asyncio.run(main())


def test_an_answer_is_seen_to_its_end(hook, chat, sim):
    seen = hook()
    answer = post(sim, chat, lambda r: r.json())
    assert answer["choices"]
    assert seen.ends() == ["eof"]
    (attempt,) = seen.attempts
    assert attempt.quota.requests.limit == 60_000
    assert attempt.usage.output == answer["usage"]["completion_tokens"]
    assert attempt.started_ns < attempt.first_byte_ns <= attempt.ended_ns
    assert len(seen.operations) == 1


def test_a_stream_is_live_until_its_last_byte(hook, chat, sim):
    seen = hook()
    sim.script({"status": 200, "output_tokens": 50})

    async def act(response):
        live = seen.live
        async for _ in response.content:
            pass
        return live

    assert post(sim, chat, act, stream=True, stream_options={"include_usage": True}) in (0, 1)
    assert seen.ends() == ["eof"]
    assert seen.attempts[0].usage.output == 50


def test_an_error_answer_is_classified_by_its_body(hook, chat, sim):
    seen = hook()
    sim.script(chat.limited)
    post(sim, chat, lambda r: r.read())
    assert seen.classes() == ["rate_limit"]
    assert seen.attempts[0].verdict.limit_dimension == "requests_per_minute"


def test_raise_for_status_still_raises(hook, chat, sim):
    seen = hook()
    sim.script(chat.limited)

    async def main():
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            await session.post(f"{sim.url}/v1/chat/completions", json=chat.request)

    with pytest.raises(aiohttp.ClientResponseError) as caught:
        asyncio.run(main())
    assert caught.value.status == 429
    assert seen.classes() == ["rate_limit"]


def test_a_broken_stream_is_an_error_on_a_200(hook, chat, sim):
    seen = hook()
    sim.script({"fault": "broken_stream", "output_tokens": 40, "after_chunks": 3})
    with pytest.raises(aiohttp.ClientPayloadError):
        post(sim, chat, lambda r: r.read(), stream=True)
    assert seen.ends() == ["broken"]
    assert seen.classes() == ["network"]


def test_a_stream_that_is_left_is_closed_and_no_error(hook, chat, sim):
    seen = hook()
    sim.script({"status": 200, "output_tokens": 400, "stream_seconds": 30})

    async def act(response):
        await response.content.readany()

    post(sim, chat, act, stream=True)
    assert seen.ends() == ["closed"]
    assert seen.classes() == [None]


def test_a_timeout_before_the_head_is_one(hook, chat, sim):
    seen = hook()
    sim.script({"fault": "hang"})

    async def main():
        timeout = aiohttp.ClientTimeout(total=0.2)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await session.post(f"{sim.url}/v1/chat/completions", json=chat.request)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert seen.classes() == ["timeout"]


@pytest.mark.parametrize("limit", ["total", "sock_read"])
def test_a_timeout_inside_the_body_is_one(hook, chat, stalling, limit):
    seen = hook()

    async def main():
        timeout = aiohttp.ClientTimeout(**{limit: 0.2})
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{stalling}/v1/chat/completions", json=chat.request) as response,
        ):
            await response.read()

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert seen.ends() == ["broken"]
    assert seen.classes() == ["timeout"]


def test_a_cancelled_call_is_cancelled(hook, chat, sim):
    seen = hook()
    sim.script({"fault": "hang"})

    async def main():
        async with aiohttp.ClientSession() as session:
            call = session.post(f"{sim.url}/v1/chat/completions", json=chat.request)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(call, 0.1)

    asyncio.run(main())
    assert seen.ends() == ["cancelled"]


def test_a_response_that_is_dropped_is_over_with_its_connection(hook, chat, sim):
    seen = hook()
    sim.script({"status": 200, "output_tokens": 400})

    async def main():
        async with aiohttp.ClientSession() as session:
            await session.post(f"{sim.url}/v1/chat/completions", json={**chat.request, "stream": True})
            gc.collect()
            collecting.wait(30)

    asyncio.run(main())
    gc.collect()
    collecting.wait(30)
    assert seen.live == 0
    assert len(seen.attempts) == 1


def test_other_traffic_passes_by(hook, sim):
    seen = hook()

    async def main():
        async with aiohttp.ClientSession() as session, session.get(f"{sim.url}/_sim/truth") as response:
            await response.read()

    asyncio.run(main())
    assert seen.attempts == []


def test_a_refusal_is_a_429_and_nothing_is_sent(hook, chat, sim, decider):
    decide = decider(Refused(eta_seconds=3, reason="full"))
    hook(interceptor=decide)
    before = len(sim.entries())

    async def act(response):
        with pytest.raises(aiohttp.ClientResponseError):
            response.raise_for_status()
        return response.status, response.headers["retry-after"], (await response.json())["error"]["code"]

    assert post(sim, chat, act) == (429, "3", "penstock_backpressure")
    assert len(sim.entries()) == before
    assert len(decide.settlements) == 1


def test_a_429_is_absorbed_and_a_route_followed(hook, chat, sim, decider):
    route = Route(pool="backup", model="gpt-5-mini")
    decide = decider(Granted(), Granted(route=route), retries=1)
    seen = hook(interceptor=decide)
    sim.script(chat.limited, chat.ok)
    answer = post(sim, chat, lambda r: r.json())
    assert answer["model"] == "gpt-5-mini"
    assert [a.pool for a in seen.attempts] == ["openai:gpt-5", "backup"]
    assert [s.end for s in decide.settlements] == ["eof"]


def test_httpx_over_aiohttp_is_one_attempt(hook, chat, sim):
    import httpx2

    seen = hook()

    class OverAiohttp(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request):
            async with (
                aiohttp.ClientSession() as session,
                session.post(str(request.url), data=request.content) as response,
            ):
                return httpx2.Response(response.status, content=await response.read())

    async def main():
        async with httpx2.AsyncClient(transport=OverAiohttp()) as client:
            await client.post(f"{sim.url}/v1/chat/completions", json=chat.request)

    asyncio.run(main())
    assert len(seen.attempts) == 1


def test_headers_as_pairs_and_keys_that_are_no_text_are_read(hook, chat, sim):
    seen = hook()

    async def main():
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{sim.url}/v1/chat/completions",
                json={**chat.request, "metadata": {1: "one"}},
                headers=[("authorization", "Bearer k"), ("x-stainless-retry-count", "2")],
            ) as response,
        ):
            await response.read()

    asyncio.run(main())
    assert [attempt.number for attempt in seen.attempts] == [3]
