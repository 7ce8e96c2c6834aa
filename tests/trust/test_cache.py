import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
import redis

from penstock.classifiers import CLASSES, ErrorClass, Verdict
from penstock.errors import UsageError
from penstock.telemetry.interceptor import Answer, Granted, Next, Refused, Route, Served, Settlement
from penstock.trust import (
    Level,
    Lineage,
    MemoryStore,
    RedisStore,
    ResponseCache,
    Validity,
    cached,
    lineage,
    trust,
)
from penstock.trust._answers import _mac, unseal

SECRET = b"a secret of enough bytes"
JSON = {"content-type": "application/json", "set-cookie": "s=1", "x-ratelimit-remaining-requests": "3"}
BODY = b'{"id":"1"}'


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def looked() -> list[str]:
    return []


@pytest.fixture
def cache(inner, clock, looked):
    return ResponseCache(inner, secret=SECRET, clock=clock, on_lookup=looked.append)


def verdict(error_class: ErrorClass = ErrorClass.SERVER_ERROR) -> Verdict:
    facts = CLASSES[error_class]
    return Verdict(
        error_class=error_class,
        reason="test",
        retryable=facts.retryable,
        fault=facts.fault,
        side_effects=facts.side_effects,
    )


def provide(cache, ticket, admission, *, body=(BODY,), end="eof", status=200, headers=None, failed=None):
    """Act as the hook does once it was granted: send, pass the body by, settle."""
    assert isinstance(admission, Granted)
    told = cache.answer(
        ticket, Answer(sent_at=0, at=0, status=status, headers=headers or JSON, verdict=failed)
    )
    if told is Next.RETRY:
        return told
    for piece in body:
        if admission.tap is not None:
            admission.tap(piece)
    cache.settle(ticket, Settlement(at=0, end=end, verdict=failed))
    return told


def ask(cache, call, **answer):
    """Call; returns what was served, or None when the provider was asked."""
    ticket = cache.admit(call)
    admission = ticket.wait()
    if isinstance(admission, Served):
        cache.settle(ticket, Settlement(at=0, end="eof"))
        return admission
    provide(cache, ticket, admission, **answer)
    return None


def test_nothing_is_cached_unless_asked(cache, inner, call_of, looked):
    for _ in range(2):
        assert ask(cache, call_of()) is None
    assert len(inner.calls) == 2
    assert looked == []


def test_a_second_identical_call_is_answered_from_the_cache(cache, inner, clock, call_of, looked):
    with cached(ttl_seconds=60):
        assert ask(cache, call_of()) is None
        clock.now += 59
        served = ask(cache, call_of())
    assert (served.status, b"".join(served.chunks), served.trust) == (200, BODY, "cache_fresh")
    assert served.reason == "kept 59 s ago"
    # Old quota headers would mislead the pacer, and cookies are someone's.
    assert served.headers == {"content-type": "application/json", "x-penstock-trust": "cache_fresh"}
    assert len(inner.calls) == 1
    assert looked == ["miss", "hit"]


def test_the_order_and_spacing_of_json_make_no_difference(cache, call_of):
    with cached():
        ask(cache, call_of(body=b'{"model":"m","temperature":0,"messages":[1]}'))
        again = call_of(body=b'{ "temperature": 0, "messages": [1], "model": "m" }')
        assert ask(cache, again) is not None


def test_past_its_ttl_an_answer_is_gone(cache, clock, call_of, looked):
    with cached(ttl_seconds=60):
        ask(cache, call_of())
        clock.now += 61
        assert ask(cache, call_of()) is None
    assert looked == ["miss", "miss"]


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "b"},
        {"credential": "sk-other"},
        {"host": "eu.api.openai.com"},
        {"provider": "azure"},
        {"model": "gpt-5-mini"},
        {"operation": "text_completion"},
        {"body": b'{"model":"gpt-5","temperature":0,"messages":["other prompt"]}'},
        {"body": b'{"model":"gpt-5","temperature":0,"messages":[],"tools":[{"name":"pay","v":2}]}'},
        {"body": b'{"model":"gpt-5","temperature":0,"messages":[],"stream":true}'},
        {"body": b'{"model":"gpt-5","temperature":0,"messages":[],"max_tokens":5}'},
    ],
)
def test_whatever_the_answer_depends_on_makes_another_answer(cache, call_of, other):
    with cached():
        ask(cache, call_of())
        assert ask(cache, call_of(**other)) is None
        assert ask(cache, call_of()) is not None


def test_a_changed_prompt_version_document_schema_or_tenant_never_hits(cache, call_of):
    versions = {"prompt": "v1", "docs": b"digest-1", "tool_schema": 1}
    document = ["first"]
    with cached(valid_if={**versions, "file": lambda: document[0]}):
        ask(cache, call_of())
        assert ask(cache, call_of()) is not None
        document[0] = "second"
        assert ask(cache, call_of()) is None
        document[0] = "first"
    for changed in ({"prompt": "v2"}, {"docs": b"digest-2"}, {"tool_schema": 2}, {"new": "x"}):
        with cached(valid_if={**versions, **changed, "file": "first"}):
            assert ask(cache, call_of()) is None
    with cached(valid_if={**versions, "file": "first"}, tenant="acme"):
        assert ask(cache, call_of()) is None
    with cached(valid_if={**versions, "file": "first"}):
        assert ask(cache, call_of()) is not None


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[]}',
        b'{"messages":[],"temperature":0.2}',
        b'{"contents":[],"generationConfig":{"temperature":1}}',
        b'{"messages":[],"inferenceConfig":{}}',
    ],
)
def test_sampled_requests_are_cached_only_when_asked(cache, call_of, looked, body):
    with cached():
        ask(cache, call_of(body=body))
        assert ask(cache, call_of(body=body)) is None
    with cached(sampled=True):
        ask(cache, call_of(body=body))
        assert ask(cache, call_of(body=body)) is not None
    assert looked == ["bypass", "bypass", "miss", "hit"]


@pytest.mark.parametrize(
    "fields",
    [
        {"body": b"not json"},
        {"body": b""},
        {"body": b"[1]"},
        {"body": b'{"temperature":0,"conversation":"c1"}'},
        {"body": b'{"temperature":0,"background":true}'},
        {"operation": "realtime"},
        {"primary_only": True},
    ],
)
def test_what_cannot_be_repeated_safely_goes_past_the_cache(cache, call_of, looked, fields):
    with cached():
        assert ask(cache, call_of(**fields)) is None
        assert ask(cache, call_of(**fields)) is None
    assert looked == ["bypass", "bypass"]


def test_embeddings_are_not_sampled(cache, call_of):
    with cached():
        ask(cache, call_of(operation="embeddings", body=b'{"input":"x"}'))
        assert ask(cache, call_of(operation="embeddings", body=b'{"input":"x"}')) is not None


@pytest.mark.parametrize(
    "answer",
    [
        {"end": "broken"},
        {"end": "closed"},
        {"end": "cancelled"},
        {"end": "collected"},
        {"status": 201},
        {"status": 429, "failed": verdict(ErrorClass.RATE_LIMIT)},
        {"status": 200, "failed": verdict(ErrorClass.OVERLOADED)},
        {"body": (b'{"id":',)},
        {"body": (b'"an error page"',)},
        {"body": (b"x" * 2_000_000,)},
        {"body": ()},
    ],
)
def test_only_whole_good_answers_are_kept(cache, call_of, answer):
    with cached():
        ask(cache, call_of(), **answer)
        assert ask(cache, call_of()) is None


def test_a_stream_comes_back_chunk_by_chunk_as_it_came(cache, call_of):
    pieces = (b"data: {", b'"a":1}\n\n', b"data: [DO", b"NE]\n\n")
    with cached():
        ask(cache, call_of(stream=True), body=pieces, headers={"content-type": "text/event-stream"})
        assert ask(cache, call_of(stream=True)).chunks == pieces


def test_a_fallbacks_answer_is_shared_under_its_own_name_and_never_kept(cache, inner, call_of):
    inner.admissions = [Granted(route=Route(pool="openai:mini", reason="outage"))]
    with cached():
        leader, follower = cache.admit(call_of()), cache.admit(call_of())
        admission = leader.wait()
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(follower.wait)
            while not cache.flights._followers.get(leader._key):
                pass
            provide(cache, leader, admission)
            served = following.result(5)
        assert (served.trust, served.pool, served.reason) == ("fallback", "openai:mini", "outage")
        cache.settle(follower, Settlement(at=0, end="eof"))
        assert ask(cache, call_of()) is None


def test_a_hundred_threads_with_one_question_ask_the_provider_once(cache, inner, call_of, looked):
    barrier = threading.Barrier(100)

    def one() -> bytes:
        with cached():
            barrier.wait()
            served = ask(cache, call_of())
        return BODY if served is None else b"".join(served.chunks)

    with ThreadPoolExecutor(100) as pool:
        answers = [job.result(30) for job in [pool.submit(one) for _ in range(100)]]
    assert answers == [BODY] * 100
    assert len(inner.calls) == 1
    assert looked.count("miss") == 1
    assert looked.count("hit") + looked.count("coalesced") == 99


def test_a_hundred_coroutines_with_one_question_ask_the_provider_once(cache, inner, call_of, looked):
    async def one() -> Served | None:
        with cached():
            ticket = cache.admit(call_of())
            admission = await ticket.wait_async()
            await asyncio.sleep(0)
            if isinstance(admission, Granted):
                provide(cache, ticket, admission)
                return None
            cache.settle(ticket, Settlement(at=0, end="eof"))
            return admission

    async def main() -> list[Served | None]:
        return await asyncio.gather(*(one() for _ in range(100)))

    answers = asyncio.run(main())
    assert answers.count(None) == 1
    assert {served.chunks for served in answers if served} == {(BODY,)}
    assert len(inner.calls) == 1
    assert looked.count("coalesced") == 99


def test_when_the_leader_fails_every_follower_goes_its_own_way(cache, inner, call_of):
    async def main() -> None:
        with cached():
            tickets = [cache.admit(call_of()) for _ in range(4)]
            leader = await tickets[0].wait_async()
            followers = [asyncio.create_task(ticket.wait_async()) for ticket in tickets[1:]]
            await asyncio.sleep(0)
            provide(cache, tickets[0], leader, status=500, failed=verdict())
            assert all(isinstance(a, Granted) for a in await asyncio.gather(*followers))

    asyncio.run(main())
    assert len(inner.calls) == 4


def test_when_the_leader_is_cancelled_one_follower_leads_the_rest(cache, inner, call_of):
    async def main() -> None:
        with cached():
            tickets = [cache.admit(call_of()) for _ in range(4)]
            await tickets[0].wait_async()
            followers = [asyncio.create_task(ticket.wait_async()) for ticket in tickets[1:]]
            await asyncio.sleep(0)
            cache.settle(tickets[0], Settlement(at=0, end="cancelled"))
            heir = await followers[0]
            provide(cache, tickets[1], heir)
            assert [type(a) for a in await asyncio.gather(*followers[1:])] == [Served, Served]

    asyncio.run(main())
    assert len(inner.calls) == 2


def test_a_follower_that_gives_up_leaves_no_trace(cache, call_of):
    async def main() -> None:
        with cached():
            leader, quitter, patient = (cache.admit(call_of()) for _ in range(3))
            admission = await leader.wait_async()
            leaving = asyncio.create_task(quitter.wait_async())
            staying = asyncio.create_task(patient.wait_async())
            await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            cache.settle(quitter, Settlement(at=0, end="cancelled"))
            provide(cache, leader, admission)
            assert isinstance(await staying, Served)

    asyncio.run(main())
    assert cache.flights._followers == {}


def test_following_is_bounded_by_the_clients_own_timeout(cache, inner, call_of):
    with cached():
        leader = cache.admit(call_of())
        leader.wait()
        assert isinstance(cache.admit(call_of(timeout_seconds=0.01)).wait(), Granted)
        assert isinstance(cache.admit(call_of(deadline=0.0)).wait(), Granted)

        async def main() -> None:
            assert isinstance(await cache.admit(call_of(timeout_seconds=0.01)).wait_async(), Granted)

        asyncio.run(main())
    assert len(inner.calls) == 4


def stale_after_an_hour(cache, clock, call_of):
    ask(cache, call_of())
    clock.now += 3601


def test_stale_is_not_served_unless_asked(cache, inner, clock, call_of):
    with cached(ttl_seconds=3600):
        stale_after_an_hour(cache, clock, call_of)
        inner.admissions = [Refused(eta_seconds=1, reason="queue_full")]
        assert isinstance(cache.admit(call_of()).wait(), Refused)


def test_a_stale_answer_stands_in_for_a_refusal_and_says_so(cache, inner, clock, call_of, looked):
    with cached(ttl_seconds=3600, stale_seconds=600):
        stale_after_an_hour(cache, clock, call_of)
        inner.admissions = [Refused(eta_seconds=1, reason="queue_full")]
        served = ask(cache, call_of())
    assert (served.trust, served.headers["x-penstock-trust"]) == ("cache_stale", "cache_stale")
    assert looked == ["miss", "stale"]


def test_a_stale_answer_stands_in_for_an_error_and_gives_the_permit_back_first(
    cache, inner, clock, call_of, looked
):
    with cached(ttl_seconds=3600, stale_seconds=600):
        stale_after_an_hour(cache, clock, call_of)
        ticket = cache.admit(call_of())
        told = provide(cache, ticket, ticket.wait(), status=500, failed=verdict())
        assert told is Next.RETRY
        assert len(inner.settled) == 2
        assert ticket.wait().trust == "cache_stale"
        cache.settle(ticket, Settlement(at=0, end="eof"))
    assert looked == ["miss", "stale"]


def test_a_stale_answer_never_hides_an_error_that_is_the_apps_own(cache, clock, call_of):
    with cached(ttl_seconds=3600, stale_seconds=600):
        stale_after_an_hour(cache, clock, call_of)
        ticket = cache.admit(call_of())
        told = provide(cache, ticket, ticket.wait(), status=401, failed=verdict(ErrorClass.AUTH))
        assert told is Next.PASS


def test_a_stale_answer_gives_way_to_a_fresh_one(cache, clock, call_of, looked):
    with cached(ttl_seconds=3600, stale_seconds=600):
        stale_after_an_hour(cache, clock, call_of)
        assert ask(cache, call_of()) is None
        assert ask(cache, call_of()).trust == "cache_fresh"
        clock.now += 10_000
        assert ask(cache, call_of()) is None
    assert looked == ["miss", "miss", "hit", "miss"]


@pytest.fixture
def cache_over(inner):
    """Make caches, and let what they still write be written before the next test empties the store."""
    made = []

    def make(secret=SECRET, **named):
        made.append(ResponseCache(inner, secret=secret, **named))
        return made[-1]

    yield make
    for cache in made:
        cache.close()


@pytest.fixture(params=["memory", "redis"])
def store(request):
    if request.param == "memory":
        return MemoryStore()
    return RedisStore(request.getfixturevalue("redis_client"))


def entries(store) -> dict[str, bytes]:
    if isinstance(store, MemoryStore):
        return dict(store._values)
    client = store._client
    return {key.decode().removeprefix("penstock:cache:"): client.get(key) for key in client.keys("*")}


def test_no_key_and_no_prompt_stands_in_the_store_in_clear(cache_over, store, call_of):
    cache = cache_over(store=store)
    body = b'{"temperature":0,"messages":["the secret prompt"]}'
    with cached(valid_if={"doc": "secret document"}, tenant="secret tenant"):
        ask(cache, call_of(body=body, credential="sk-secret"))
    cache.close()
    (key,) = entries(store)
    assert len(key) == 64
    whole = key.encode() + entries(store)[key]
    assert b"secret" not in whole
    other = cache_over(store=store, secret=b"another secret of enough bytes")
    with cached(valid_if={"doc": "secret document"}, tenant="secret tenant"):
        assert ask(other, call_of(body=body, credential="sk-secret")) is None
    other.close()
    assert len(entries(store)) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[:10],
        lambda raw: b"",
        lambda raw: raw[:-2] + b"X}",
        lambda raw: b"\0" * 32 + raw[32:],
        lambda raw: raw + b"more",
    ],
)
def test_a_poisoned_or_truncated_entry_is_dropped_and_asked_anew(cache_over, store, call_of, looked, spoil):
    cache = cache_over(store=store, on_lookup=looked.append)
    with cached():
        ask(cache, call_of())
        cache.close()
        ((key, raw),) = entries(store).items()
        store.put(key, spoil(raw), 60)
        assert cache.shelf.find(key) is None
        assert store.get(key) is None
        assert ask(cache, call_of()) is None
        cache.close()
        assert ask(cache, call_of()).chunks == (BODY,)
    assert looked == ["miss", "miss", "hit"]


def test_an_entry_moved_under_another_key_is_dropped(cache_over, store, call_of):
    cache = cache_over(store=store)
    with cached():
        ask(cache, call_of())
        cache.close()
        (mine,) = entries(store).values()
        other = call_of(tenant="b")
        ask(cache, other)
        cache.close()
        for key in entries(store):
            store.put(key, mine, 60)
        assert ask(cache, other) is None


@pytest.mark.parametrize("other", [{"colour": "green"}, {"sizes": None}, {"sizes": ["1"]}])
def test_an_entry_that_another_version_sealed_is_no_answer(other):
    head = orjson.dumps({"at": 1.0, "status": 200, "headers": {}, "sizes": [1], **other})
    payload = len(head).to_bytes(4, "big") + head + b"x"
    assert unseal(SECRET, "key", _mac(SECRET, "key", payload) + payload) is None


def test_a_redis_entry_lives_as_long_as_it_may_be_served(cache_over, redis_client, call_of):
    cache = cache_over(store=RedisStore(redis_client))
    with cached(ttl_seconds=60, stale_seconds=30):
        ask(cache, call_of())
    cache.close()
    (key,) = redis_client.keys("*")
    assert 80_000 < redis_client.pttl(key) <= 90_000


@pytest.mark.parametrize("seconds", [float("inf"), 1e15])
def test_a_redis_entry_may_live_for_ever(cache_over, redis_client, call_of, seconds):
    cache = cache_over(store=RedisStore(redis_client))
    with cached(ttl_seconds=seconds):
        ask(cache, call_of())
        cache.close()
        assert ask(cache, call_of()) is not None


def test_two_processes_share_through_redis_and_async_lookups_leave_the_loop(cache_over, redis_url, call_of):
    async def ask_async(cache):
        with cached():
            ticket = cache.admit(call_of())
            admission = await ticket.wait_async()
            if isinstance(admission, Granted):
                provide(cache, ticket, admission)
                cache.close()
            return admission

    clients = [redis.Redis.from_url(redis_url) for _ in range(2)]
    clients[0].flushall()
    first, second = (cache_over(store=RedisStore(client)) for client in clients)
    assert isinstance(asyncio.run(ask_async(first)), Granted)
    assert isinstance(asyncio.run(ask_async(second)), Served)
    for client in clients:
        client.close()


def test_a_dead_redis_costs_one_failure_and_the_calls_go_on(cache_over, call_of, caplog):
    class Dead:
        commands = 0

        def get(self, key):
            self.commands += 1
            raise redis.ConnectionError("down")

        set = delete = get

    dead = Dead()
    clock = Clock()
    cache = cache_over(store=RedisStore(dead, clock=clock))
    with cached():
        for _ in range(3):
            assert ask(cache, call_of()) is None
            cache.close()
        assert dead.commands == 1
        clock.now += 6
        ask(cache, call_of())
        cache.close()
    assert dead.commands == 2


def test_the_memory_store_is_bounded_by_bytes_and_drops_what_was_used_least(call_of):
    store = MemoryStore(max_bytes=100)
    store.put("a", b"x" * 40, 60)
    store.put("b", b"x" * 40, 60)
    store.get("a")
    store.put("c", b"x" * 40, 60)
    assert store.get("b") is None
    assert store.get("a") is not None
    store.put("huge", b"x" * 101, 60)
    assert store.get("huge") is None
    assert store.get("a") is not None


def test_what_the_cache_serves_is_in_the_lineage_before_the_app_reads_it(cache, clock, call_of):
    transport = Lineage(cache)
    with cached(), lineage():
        ticket = transport.admit(call_of())
        provide(transport, ticket, ticket.wait())
        assert trust().level is Level.PRIMARY
        transport.admit(call_of()).wait()
        assert trust().level is Level.CACHE_FRESH
        assert "kept 0 s ago" in str(trust())


def test_a_fallbacks_answer_is_in_the_lineage_at_its_head_and_its_429_is_not(inner, call_of):
    transport = Lineage(inner)
    route = Route(pool="openai:mini", model="mini", tier=2, reason="wait 40 s")
    with lineage():
        inner.admissions = [Granted(route=route)] * 2
        refused = transport.admit(call_of())
        refused.wait()
        transport.answer(refused, Answer(sent_at=0, at=0, status=429, verdict=verdict(ErrorClass.RATE_LIMIT)))
        assert trust().origins == ()
        ticket = transport.admit(call_of())
        ticket.wait()
        transport.answer(ticket, Answer(sent_at=0, at=0, status=200))
        assert str(trust()) == ("fallback (tier 2): openai:mini answered instead of openai:gpt-5 (wait 40 s)")


def test_a_short_secret_and_an_endless_ttl_are_refused(inner):
    with pytest.raises(UsageError, match="16"):
        ResponseCache(inner, secret=b"short")
    for wrong in ({"ttl_seconds": 0}, {"stale_seconds": -1}, {"ttl_seconds": float("nan")}):
        with pytest.raises(UsageError):
            Validity(**wrong)


def test_a_fingerprint_that_is_no_plain_value_is_refused_where_it_is_written():
    with pytest.raises(UsageError, match="docs"), cached(valid_if={"docs": object()}):
        pytest.fail("entered")


def test_a_fingerprint_that_cannot_be_told_now_goes_past_the_cache(cache, call_of, looked):
    def gone() -> str:
        raise FileNotFoundError

    with cached(valid_if={"file": gone}):
        assert ask(cache, call_of()) is None
        assert ask(cache, call_of()) is None
    assert looked == ["bypass", "bypass"]
