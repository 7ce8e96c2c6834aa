"""Whatever breaks inside us, the app sees what it would have seen without us.

Every place that a hook passes through is made to raise, in every kind of exception that can be ours, in
every manner of calling, over generated answers and faults; the transcript of what the app saw must be the
one of the uninstrumented run.
"""

import asyncio
import gzip
import json
import random

import httpx2
import openai
import pytest

from penstock.telemetry import guard
from penstock.telemetry.hooks import Engine, install, uninstall

PLACES = [
    "penstock.telemetry.hooks.engine.Engine.landed",
    "penstock.telemetry.hooks.engine.Engine.open",
    "penstock.telemetry.pools.PoolNamer.name_of",
    "penstock.telemetry.hooks.engine.Engine.scope",
    "penstock.telemetry.hooks.engine.Engine.start",
    "penstock.telemetry.hooks.engine.Engine._reap",
    "penstock.telemetry.hooks.httpx_stack.describe",
    "penstock.telemetry.hooks.httpx_stack._Both.tap",
    "penstock.telemetry.hooks.inside.context_api.attach",
    "penstock.telemetry.hooks.live.LiveAttempt.broke",
    "penstock.telemetry.hooks.live.LiveAttempt.closed",
    "penstock.telemetry.hooks.live.LiveAttempt.collected",
    "penstock.telemetry.hooks.live.LiveAttempt.feed",
    "penstock.telemetry.hooks.live.LiveAttempt.finished",
    "penstock.telemetry.hooks.live.LiveAttempt.head",
    "penstock.telemetry.hooks.live.LiveAttempt.moved",
    "penstock.telemetry.hooks.live.LiveAttempt._end",
    "penstock.telemetry.hooks.live.LiveAttempt._outcome",
    "penstock.telemetry.hooks.live.LiveAttempt._release",
    "penstock.telemetry.hooks.live.LiveAttempt._verdict",
    "penstock.telemetry.hooks.live.classify",
    "penstock.telemetry.hooks.live.evidence_of_response",
    "penstock.telemetry.hooks.live.log_failure",
    "penstock.telemetry.hooks.live.verdict_of_raised",
    "penstock.telemetry.hooks.outgoing._attempt",
    "penstock.telemetry.hooks.sending.Sending.answered",
    "penstock.telemetry.hooks.sending.Sending.__init__",
    "penstock.telemetry.hooks.sending.Sending.failed",
    "penstock.telemetry.hooks.sending.Sending.launch",
    "penstock.telemetry.hooks.sending.Sending.leave",
    "penstock.telemetry.hooks.sending.OperationScope",
    "penstock.telemetry.hooks.streams.StreamKinds.tap",
    "penstock.telemetry.hooks.streams._Tap._left",
    "penstock.telemetry.operations.OperationScope.attempt_ended",
    "penstock.telemetry.operations.OperationScope.attempt_started",
    "penstock.telemetry.operations.OperationScope.open",
    "penstock.telemetry.operations.OperationScope.raised",
    "penstock.telemetry.operations.OperationScope.close_one",
    "penstock.telemetry.pools.PoolNamer.name",
    "penstock.telemetry.span_starts.SpanStarts.start",
    "penstock.telemetry.span_starts.SpanStarts._learn",
    "penstock.telemetry.span_starts.SpanStarts._make",
    "penstock.telemetry.spans.SpanWriter.attempt_ended",
    "penstock.telemetry.spans.SpanWriter.attempt_started",
    "penstock.telemetry.spans.SpanWriter.operation_ended",
    "penstock.telemetry.spans.SpanWriter.operation_started",
    "penstock.telemetry.spans.adopt",
    "penstock.telemetry.spans._attempt_facts",
    "penstock.telemetry.spans.put",
    "penstock.telemetry.spans.operation_tail",
    "penstock.providers.bodies.JsonReader.feed",
    "penstock.providers.bodies.JsonReader.outcome",
    "penstock.providers.bodies.SseReader.feed",
    "penstock.providers.openai.OpenAICompatible.quota",
    "penstock.providers.openai.OpenAICompatible.reader",
    "penstock.providers.openai.OpenAICompatible.request",
    "penstock.providers.registry.Registry.lookup",
]
KINDS = [ValueError, RuntimeError, MemoryError, RecursionError, StopIteration, asyncio.CancelledError]
MODES = ["sync plain", "sync stream", "sync raw", "async plain", "async stream", "async raw"]
EACH = 6
URL = "https://api.openai.com/v1"


class Wire(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body in pieces that may break off with an error."""

    def __init__(self, pieces, error):
        self.pieces, self.error = pieces, error

    def __iter__(self):
        yield from self.pieces
        if self.error is not None:
            raise self.error

    async def __aiter__(self):
        for piece in self.pieces:
            yield piece
        if self.error is not None:
            raise self.error


def answer(seed, request):
    """Generate one answer, or a fault instead of one."""
    rng = random.Random(seed)
    fault = rng.random()
    if fault < 0.06:
        raise httpx2.ConnectError("no route", request=request)
    if fault < 0.1:
        raise httpx2.ReadTimeout("slow", request=request)
    status = rng.choice([200, 200, 200, 200, 400, 401, 404, 429, 500, 503, 529])
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5", "choices": []}
    document = {**chunk, "object": "chat.completion", "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    if status != 200:
        body = rng.choice([b"", b"<html>no</html>", b'{"error":{"code":"rate_limit_exceeded"}}', b"{"])
        kind = "application/json"
    elif json.loads(request.content).get("stream"):
        events = [json.dumps(chunk)] * rng.randrange(6) + rng.choice(
            [["[DONE]"], [], ['{"error":{"message":"x"}}'], [json.dumps(document), "[DONE]"]]
        )
        body, kind = "".join(f"data: {e}\n\n" for e in events).encode(), "text/event-stream"
    else:
        body = rng.choice([json.dumps(document).encode(), b"", b"null", b"[1]", b"\xff", b'{"usage":'])
        kind = "application/json"
    headers = {"content-type": kind, "x-request-id": f"r{seed}"}
    if rng.random() < 0.3:
        headers |= {"x-ratelimit-limit-requests": rng.choice(["5", "-1", "many"]), "retry-after": "1"}
    if rng.random() < 0.2:
        body, headers["content-encoding"] = gzip.compress(body, mtime=0), "gzip"
    size = rng.choice([1, 7, 4096])
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    broken = rng.random() < 0.1
    error = httpx2.RemoteProtocolError("cut", request=request) if broken else None
    return httpx2.Response(
        status, headers=headers, stream=Wire(pieces[: len(pieces) // 2 if broken else None], error)
    )


def saw(call):
    """Say what the app saw: a result or an exception, as plain values."""
    try:
        return ("returned", call())
    except Exception as error:  # noqa: BLE001
        return describe(error)


def describe(error):
    cause = type(error.__cause__).__name__ if error.__cause__ else None
    return ("raised", type(error).__name__, str(error), getattr(error, "status_code", None), cause)


def sync_call(mode, seed):
    transport = httpx2.MockTransport(lambda request: answer(seed, request))
    with httpx2.Client(transport=transport) as http:
        if mode == "sync raw":
            request = http.build_request(
                "POST", f"{URL}/chat/completions", json={"model": "m", "stream": True}
            )
            response = http.send(request, stream=True)
            return response.status_code, list(response.iter_raw()), dict(response.headers)
        client = openai.OpenAI(api_key="k", http_client=http, max_retries=0)
        if mode == "sync plain":
            done = client.chat.completions.create(model="m", messages=[])
            return done if isinstance(done, str) else repr(done)
        return [repr(c) for c in client.chat.completions.create(model="m", messages=[], stream=True)]


async def async_call(mode, seed):
    transport = httpx2.MockTransport(lambda request: answer(seed, request))
    async with httpx2.AsyncClient(transport=transport) as http:
        if mode == "async raw":
            request = http.build_request(
                "POST", f"{URL}/chat/completions", json={"model": "m", "stream": True}
            )
            response = await http.send(request, stream=True)
            return response.status_code, [c async for c in response.aiter_raw()], dict(response.headers)
        client = openai.AsyncOpenAI(api_key="k", http_client=http, max_retries=0)
        if mode == "async plain":
            done = await client.chat.completions.create(model="m", messages=[])
            return done if isinstance(done, str) else repr(done)
        return [
            repr(c) async for c in await client.chat.completions.create(model="m", messages=[], stream=True)
        ]


async def async_saw(mode, seed):
    try:
        return ("returned", await async_call(mode, seed))
    except Exception as error:  # noqa: BLE001
        return describe(error)


def transcripts(seeds):
    told = {}
    for mode in MODES[:3]:
        for seed in seeds:
            told[mode, seed] = saw(lambda mode=mode, seed=seed: sync_call(mode, seed))

    async def main():
        for mode in MODES[3:]:
            for seed in seeds:
                told[mode, seed] = await async_saw(mode, seed)

    asyncio.run(main())
    return told


@pytest.fixture(scope="module")
def plain():
    """What the app sees without us."""
    uninstall()
    return transcripts(range(len(KINDS) * EACH))


class Quiet:
    def attempt_started(self, attempt):
        pass

    def attempt_ended(self, attempt):
        pass

    def operation_ended(self, operation):
        pass


def differences(plain, told):
    return {key: (plain[key], value) for key, value in told.items() if plain[key] != value}


def test_the_whole_run_is_at_least_ten_thousand_answers():
    assert len(PLACES) * len(KINDS) * EACH * len(MODES) >= 10_000


def test_nothing_differs_with_healthy_hooks(plain, hook, spans):
    seen = hook(tracer_source=spans.tracer)
    assert differences(plain, transcripts(range(len(KINDS) * EACH))) == {}
    assert len(seen.attempts) == len(plain)
    assert len(seen.operations) == len(plain)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_differs_when_a_place_raises(plain, spans, monkeypatch, place):
    quiet = Quiet()
    install(Engine(attempt_sinks=[quiet], work_sinks=[quiet], tracer_source=spans.tracer))
    hit = 0
    try:
        for index, kind in enumerate(KINDS):

            def broken(*args, kind=kind, **kwargs):
                nonlocal hit
                hit += 1
                raise kind("sabotage")

            with monkeypatch.context() as patch:
                patch.setattr(place, broken)
                told = transcripts(range(index * EACH, (index + 1) * EACH))
            assert differences(plain, told) == {}, kind
    finally:
        uninstall()
        guard.errors.clear()
    assert hit or place.endswith(("collected", "answered"))


@pytest.mark.parametrize("method", ["attempt_started", "attempt_ended", "operation_ended"])
def test_nothing_differs_when_a_sink_raises(plain, spans, method):
    for index, kind in enumerate(KINDS):
        quiet = Quiet()

        def broken(*args, kind=kind):
            raise kind("sabotage")

        setattr(quiet, method, broken)
        install(Engine(attempt_sinks=[quiet], work_sinks=[quiet], tracer_source=spans.tracer))
        try:
            told = transcripts(range(index * EACH, (index + 1) * EACH))
        finally:
            uninstall()
        assert differences(plain, told) == {}, kind
    guard.errors.clear()
