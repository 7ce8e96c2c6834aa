"""However a call ends, it ends once, and nothing stays in flight."""

import asyncio
import contextlib
import gc
import json
import os
import threading
import weakref

import pytest

from penstock.telemetry import collecting
from penstock.telemetry.hooks import Engine, install


def test_a_stream_that_is_dropped_ends_when_it_is_collected(hook, chat):
    seen = hook()
    stream = chat.openai().chat.completions.create(**chat.request, stream=True)
    next(iter(stream))
    assert seen.live == 1
    del stream
    gc.collect()
    collecting.wait(30)
    assert seen.live == 0
    assert seen.ends()[0] in ("closed", "collected", "eof")


def test_a_response_that_is_dropped_unread_is_collected(hook, sim, chat):
    import httpx2

    seen = hook()
    with httpx2.Client() as client:
        request = client.build_request("POST", f"{sim.url}/v1/chat/completions", json=chat.request)
        response = client.send(request, stream=True)
        assert seen.live == 1
        del response
        gc.collect()
        collecting.wait(30)
    assert seen.ends() == ["collected"]
    assert seen.classes() == [None]


def test_a_body_that_never_moves_is_reaped(hook, chat, sim):
    seen = hook(max_age_seconds=0.0)
    held = chat.openai().chat.completions.create(**chat.request, stream=True)
    chat.openai().chat.completions.create(**chat.request)
    assert "collected" in seen.ends()
    held.close()
    assert len(seen.attempts) == 2


def test_closing_from_another_thread_ends_once(hook, chat, sim):
    seen = hook()
    sim.script({"status": 200, "output_tokens": 400})
    stream = chat.openai().chat.completions.create(**chat.request, stream=True)
    threads = [threading.Thread(target=stream.response.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen.attempts) == 1


@pytest.mark.parametrize("steps", range(1, 40, 3))
def test_a_task_cancelled_at_any_await_leaves_nothing_behind(hook, chat, sim, steps):
    seen = hook()
    sim.script(chat.limited, {"status": 200, "output_tokens": 60, "delay_seconds": 0.05})

    async def call():
        async with (
            chat.openai_async(max_retries=2) as client,
            await client.chat.completions.create(**chat.request, stream=True) as stream,
        ):
            async for _ in stream:
                pass

    async def main():
        task = asyncio.create_task(call())
        for _ in range(steps):
            await asyncio.sleep(0)
            if task.done():
                break
        await asyncio.sleep(0.002 * steps)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    gc.collect()
    collecting.wait(30)
    assert seen.live == 0
    assert len(seen.operations) <= 1


def test_a_fork_under_load_starts_with_nothing_in_flight(chat, hook):
    seen = hook()
    engine = Engine(attempt_sinks=[seen], work_sinks=[seen])
    install(engine)
    streams = [chat.openai().chat.completions.create(**chat.request, stream=True) for _ in range(5)]
    assert engine.live == 5
    verdicts = []
    for _ in range(200):
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                for stream in streams:
                    stream.response.stream.__del__()
                code = 0 if engine.live == 0 and not seen.attempts else 2
            os._exit(code)
        verdicts.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert verdicts == [0] * 200
    assert engine.live == 5
    for stream in streams:
        stream.close()
    assert engine.live == 0


SPENT = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}


def one_chunk(document):
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(document), document)


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_refused_stream_that_is_closed_unread_is_known_by_what_came_with_its_head(
    hook, canned, chat, framing, asynchronous
):
    import httpx2

    seen = hook()
    body, headers = json.dumps(SPENT).encode(), {"content-type": "application/json"}
    if framing == "chunks":
        body, headers = one_chunk(body), {**headers, "transfer-encoding": "chunked"}
    canned.tell((429, headers, body))
    url = f"{canned.url}/v1/chat/completions"

    async def send():
        async with (
            httpx2.AsyncClient() as client,
            client.stream("POST", url, json={**chat.request, "stream": True}) as response,
        ):
            assert response.status_code == 429

    if asynchronous:
        asyncio.run(send())
    else:
        with httpx2.stream("POST", url, json={**chat.request, "stream": True}) as response:
            assert response.status_code == 429
    assert seen.classes() == ["quota"]
    assert seen.attempts[0].first_byte_ns is None
    assert seen.ends() == ["closed"]


def test_an_exception_is_freed_with_its_last_name_and_not_by_the_collector(hook, chat):
    import httpx2

    class AppError(Exception):
        pass

    def fail(request):
        raise AppError

    hook()
    gc.disable()
    try:
        with httpx2.Client(transport=httpx2.MockTransport(fail)) as client:
            try:
                client.post("https://api.openai.com/v1/chat/completions", json=chat.request)
            except AppError as error:
                kept = weakref.ref(error)
        assert kept() is None
    finally:
        gc.enable()


def test_a_coroutine_that_is_closed_where_it_ran_leaves_nothing_set(hook, chat):
    import httpx2

    seen = hook()

    async def never(request):
        await pending

    loop = asyncio.new_event_loop()
    pending = loop.create_future()
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(never))
    call = client.post("https://api.openai.com/v1/chat/completions", json=chat.request)
    call.send(None)
    call.close()
    loop.close()
    chat.openai().chat.completions.create(**chat.request)
    assert seen.ends() == ["cancelled", "eof"]
    assert seen.classes() == ["cancelled", None]
    assert [operation.verdict and operation.verdict.error_class for operation in seen.operations] == [
        "cancelled",
        None,
    ]


@pytest.mark.parametrize("begun_in", ["the SDK's loop", "a send"])
def test_a_task_that_outlives_the_call_it_began_in_makes_calls_of_its_own(hook, chat, begun_in):
    import openai

    seen = hook()
    url = f"{chat.openai().base_url}chat/completions"
    begun = []

    async def calls():
        await over.wait()
        async with openai.DefaultAsyncHttpxClient() as client:
            for _ in range(2):
                await client.post(url, json=chat.request)

    async def begin(*_):
        begun.append(asyncio.create_task(calls()))

    class Client(openai.AsyncOpenAI):
        async def _prepare_options(self, options):
            await begin()
            return options

    async def main():
        if begun_in == "a send":
            async with openai.DefaultAsyncHttpxClient(event_hooks={"response": [begin]}) as client:
                await client.post(url, json=chat.request)
        else:
            async with Client(base_url=str(chat.openai().base_url), api_key="k") as client:
                await client.chat.completions.create(**chat.request)
        over.set()
        await asyncio.gather(*begun)

    over = asyncio.Event()
    asyncio.run(main())
    assert [attempt.number for attempt in seen.attempts] == [1, 1, 1]
    assert [operation.attempts for operation in seen.operations] == [1, 1, 1]


def test_a_stream_is_known_in_whatever_case_its_type_is_written(hook, canned, chat):
    import httpx2

    seen = hook()
    status, _, body = canned.stream({"usage": {"prompt_tokens": 3}}, "[DONE]")
    canned.tell((status, {"content-type": "Text/Event-Stream; charset=UTF-8"}, body))
    httpx2.post(f"{canned.url}/v1/chat/completions", json={**chat.request, "stream": True})
    assert seen.attempts[0].usage.input == 3
