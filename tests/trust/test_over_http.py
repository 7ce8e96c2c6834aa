"""The room behind real clients, over real HTTP, through `penstock.instrument()`."""

import asyncio
import json
import threading

import anthropic
import openai
import pytest

import penstock
from penstock.errors import TrustTooLow
from penstock.simulator import Config, profile, serve
from penstock.telemetry import metrics as m

POOLS = {
    "openai:big": {"fallback": ["openai:small"], "max_wait_seconds": 5},
    "openai:small": {"model": "small"},
}


@pytest.fixture
def client(server):
    with openai.OpenAI(api_key="sk-test", base_url=server.url, max_retries=0) as client:
        yield client


def chat(client, prompt="hello", **options):
    messages = [{"role": "user", "content": prompt}]
    return client.chat.completions.create(model="big", messages=messages, **options)


def outage(out_of_credit):
    def reply(body):
        return out_of_credit if body["model"] == "big" else {"content": "from small"}

    return reply


def test_without_a_limiter_every_answer_is_the_primarys(penstock_on, client):
    penstock_on()
    with penstock.task("t"):
        assert penstock.trust().weakest is None
        chat(client)
        assert penstock.trust().level == "primary"
        assert penstock.trust().weakest.model == "big"


def test_an_error_is_never_an_answer(penstock_on, client, server, out_of_credit):
    server.reply = lambda body: out_of_credit
    penstock_on()
    with penstock.task("t"):
        with pytest.raises(openai.RateLimitError):
            chat(client)
        assert penstock.trust().origins == ()


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallbacks_answer_lowers_the_task_and_says_who_and_why(
    penstock_on, client, server, out_of_credit, stream
):
    server.reply = outage(out_of_credit)
    runtime = penstock_on(limit="enforce", pools=POOLS)
    paid = []
    pay = penstock.irreversible(action="pay")(paid.append)
    with penstock.task("t"):
        answer = chat(client, stream=stream)
        if stream:
            next(iter(answer))  # an agent may act before the stream's end
        weakest = penstock.trust().weakest
        assert (weakest.level, weakest.tier, weakest.pool) == ("fallback", 1, "openai:small")
        assert weakest.instead_of == "openai:big"
        with pytest.raises(TrustTooLow, match="openai:small answered instead of openai:big"):
            pay(1)
        if stream:
            answer.close()
    assert paid == []
    assert runtime.telemetry.registry.value(m.IRREVERSIBLE, ("refused",)) == 1


RATE_LIMITED = (
    429,
    {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded", "type": "requests"}},
)


def test_a_recheck_waits_for_the_primary_and_no_fallback_answers_it(penstock_on, client, server):
    checks = []

    def reply(body):
        prompt = body["messages"][0]["content"]
        if body["model"] == "small":
            return {"content": "pay 999"}
        if prompt == "plan" or (checks.append(body["model"]) or len(checks) == 1):
            return RATE_LIMITED
        return {"content": "pay 12"}

    server.reply = reply
    pools = {**POOLS, "openai:big": {**POOLS["openai:big"], "wait_up_to_seconds": 0, "max_wait_seconds": 30}}
    penstock_on(limit="enforce", pools=pools)

    def verify(amount):
        return chat(client, "check").choices[0].message.content == f"pay {amount}"

    paid = []
    pay = penstock.irreversible(recheck=verify, action="pay")(paid.append)
    with penstock.task("t"):
        amount = int(chat(client, "plan").choices[0].message.content.split()[1])
        assert amount == 999
        with pytest.raises(TrustTooLow, match="the re-check did not confirm"):
            pay(amount)
        pay(12)
    assert paid == [12]
    assert set(checks) == {"big"}
    assert len(checks) == 3  # the first one was refused, and waited instead of moving


@pytest.mark.parametrize(("declared", "sends"), [(False, 1), (True, 2)])
def test_a_call_that_may_have_run_is_repeated_only_when_it_was_declared_repeatable(
    penstock_on, client, server, declared, sends
):
    def reply(body):
        return (500, {"error": {"message": "oops"}}) if len(server.bodies) == 1 else {"content": "ok"}

    server.reply = reply
    penstock_on(limit="enforce")
    with penstock.task("t"):
        if declared:
            with penstock.repeatable("summary of report 7"):
                assert chat(client).choices[0].message.content == "ok"
        else:
            with pytest.raises(openai.InternalServerError):
                chat(client)
    assert len(server.bodies) == sends


CACHE = "[trust.cache]\nttl_seconds = 60\n"


def test_a_repeated_call_is_answered_from_the_cache_and_tagged(penstock_on, client, server):
    runtime = penstock_on(trust=CACHE)
    with penstock.task("t"), penstock.cached():
        first = chat(client, temperature=0)
        raw = client.chat.completions.with_raw_response.create(
            model="big", messages=[{"role": "user", "content": "hello"}], temperature=0
        )
        assert raw.parse() == first
        assert raw.headers["x-penstock-trust"] == "cache_fresh"
        assert penstock.trust().level == "cache_fresh"
    assert len(server.bodies) == 1
    lookups = {r: runtime.telemetry.registry.value(m.CACHE_LOOKUPS, (r,)) for r in ("hit", "miss", "bypass")}
    assert lookups == {"hit": 1, "miss": 1, "bypass": 0}
    assert runtime.telemetry.registry.value(m.ANSWERS, ("openai:big", "cache_fresh")) == 1


def test_a_stream_from_the_cache_is_chunk_equal(penstock_on, client, server):
    server.reply = lambda body: {"content": "one two three four"}
    penstock_on(trust=CACHE)
    with penstock.cached():
        runs = [[chunk.to_dict() for chunk in chat(client, temperature=0, stream=True)] for _ in range(3)]
    assert len(runs[0]) == 5
    assert runs[1] == runs[0]
    assert runs[2] == runs[0]
    assert len(server.bodies) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_an_anthropic_answer_comes_back_event_by_event(penstock_on, stream):
    penstock_on(trust=CACHE)

    def message(client):
        messages = [{"role": "user", "content": "hello"}]
        made = client.messages.create(model="claude-opus-4", max_tokens=60, messages=messages, stream=stream)
        return [event.to_dict() for event in made] if stream else made.to_dict()

    with serve(Config(pools=(profile("anthropic"),))) as provider, penstock.cached(sampled=True):
        with anthropic.Anthropic(api_key="k", base_url=provider.url, max_retries=0) as client:
            first = message(client)
            assert message(client) == message(client) == first
        assert len(provider.entries()) == 1


def test_a_stream_that_the_app_drops_is_not_kept(penstock_on, client, server):
    server.reply = lambda body: {"content": "one two three four"}
    penstock_on(trust=CACHE)
    with penstock.cached():
        with chat(client, temperature=0, stream=True) as stream:
            next(iter(stream))
        assert len([*chat(client, temperature=0, stream=True)]) == 5
    assert len(server.bodies) == 2


def test_another_key_never_gets_what_the_first_one_was_told(penstock_on, client, server):
    penstock_on(trust=CACHE)
    other = openai.OpenAI(api_key="sk-other", base_url=server.url, max_retries=0)
    with penstock.cached(), other:
        chat(client, temperature=0)
        chat(other, temperature=0)
    assert len(server.bodies) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_hundred_concurrent_identical_calls_reach_the_provider_once(penstock_on, server, stream):
    asked, release = threading.Event(), threading.Event()

    def reply(body):
        asked.set()
        release.wait(10)
        return {"content": "once only"}

    server.reply = reply
    penstock_on(trust=CACHE + "every_call = true\n")

    async def one(client):
        answer = await chat(client, temperature=0, stream=stream)
        return [c.id async for c in answer] if stream else answer.choices[0].message.content

    async def main():
        async with openai.AsyncOpenAI(api_key="sk-test", base_url=server.url, max_retries=0) as client:
            calls = [asyncio.create_task(one(client)) for _ in range(100)]
            await asyncio.to_thread(asked.wait, 10)
            release.set()
            return await asyncio.gather(*calls)

    answers = asyncio.run(main())
    assert answers == [answers[0]] * 100
    assert len(server.bodies) == 1


def test_asking_the_cache_never_serves_stale_unless_the_app_said_so(
    penstock_on, client, server, out_of_credit
):
    runtime = penstock_on(trust=CACHE)
    clock = [1000.0]
    runtime.trust._cache.clock = lambda: clock[0]
    with penstock.task("t"):
        with penstock.cached(ttl_seconds=60):
            chat(client, temperature=0)
        clock[0] += 61
        server.reply = lambda body: (
            503,
            {"error": {"message": "overloaded", "code": "server_is_overloaded"}},
        )
        with penstock.cached(ttl_seconds=60), pytest.raises(openai.InternalServerError):
            chat(client, temperature=0)
    # The entry lives as long as it was asked to: stale_seconds must be said when it is kept.
    server.reply = lambda body: {"content": "kept"}
    with penstock.task("t"):
        with penstock.cached(ttl_seconds=60, stale_seconds=600):
            chat(client, "other", temperature=0)
            clock[0] += 61
            server.reply = lambda body: (503, {"error": {"message": "overloaded"}})
            stale = chat(client, "other", temperature=0)
        assert stale.choices[0].message.content == "kept"
        assert penstock.trust().level == "cache_stale"
        with pytest.raises(TrustTooLow):
            penstock.irreversible(action="pay")(lambda: None)()


def spans_of(path):
    found = []
    for line in path.read_text().splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                found += scope["spans"]
    kinds: dict[str, list[dict[str, str]]] = {}
    for span in found:
        facts = {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]}
        kinds.setdefault(facts["penstock.span.kind"], []).append(facts)
    return kinds


def test_spans_say_where_each_answer_came_from_and_what_was_done_on_it(
    penstock_on, client, server, out_of_credit, tmp_path
):
    server.reply = outage(out_of_credit)
    runtime = penstock_on(limit="enforce", pools=POOLS, spans=tmp_path / "spans.jsonl")
    with penstock.task("pay"):
        chat(client)
        with pytest.raises(TrustTooLow):
            penstock.irreversible(action="pay")(lambda: None)()
    runtime.shutdown()
    kinds = spans_of(tmp_path / "spans.jsonl")
    refused, answered = kinds["attempt"]
    assert "penstock.trust" not in refused
    assert (answered["penstock.trust"], answered["penstock.fallback_from"]) == ("fallback", "openai:big")
    assert answered["penstock.trust.reason"]
    (operation,), (task,), (guarded,) = kinds["operation"], kinds["task"], kinds["guard"]
    assert operation["penstock.trust"] == task["penstock.trust"] == guarded["penstock.trust"] == "fallback"
    assert (guarded["penstock.guard.outcome"], guarded["penstock.guard.action"]) == ("refused", "pay")
    assert guarded["penstock.guard.answered_by"] == "openai:small"


def test_a_cached_answer_is_on_its_operations_span(penstock_on, client, tmp_path):
    runtime = penstock_on(trust=CACHE, spans=tmp_path / "spans.jsonl")
    with penstock.task("t"), penstock.cached():
        chat(client, temperature=0)
        chat(client, temperature=0)
    runtime.shutdown()
    kinds = spans_of(tmp_path / "spans.jsonl")
    assert [o["penstock.trust"] for o in kinds["operation"]] == ["primary", "cache_fresh"]
    assert kinds["operation"][1]["penstock.trust.reason"] == "kept 0 s ago"
    assert len(kinds["attempt"]) == 1
    assert kinds["task"][0]["penstock.trust"] == "cache_fresh"
