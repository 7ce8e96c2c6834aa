import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

import penstock
from penstock.errors import UsageError
from penstock.providers import Usage
from penstock.telemetry import metrics
from penstock.telemetry.interceptor import Answer, Granted, Settlement
from penstock.telemetry.registry import Registry
from penstock.trust import (
    Level,
    MemoryLedger,
    MemoryStore,
    RedisLedger,
    RedisStore,
    SqliteLedger,
    _lineage,
    distrust,
    lineage,
    trust,
)
from penstock.trust._configure import read_options
from penstock.trust._room import TrustRoom

SECRET = {"PENSTOCK_CACHE_SECRET": "a secret of enough bytes"}


def test_nothing_said_is_a_memory_ledger_no_rules_and_no_cache():
    options = read_options({}, {})
    assert isinstance(options.ledger, MemoryLedger)
    assert options.tools == {}
    assert options.cache is None


def test_a_ledger_is_a_file_or_a_redis_url(tmp_path):
    path = tmp_path / "ledger.db"
    assert isinstance(read_options({"ledger": str(path)}, {}).ledger, SqliteLedger)
    assert isinstance(read_options({"ledger": f"sqlite:{path}"}, {}).ledger, SqliteLedger)
    assert isinstance(read_options({"ledger": "redis://127.0.0.1:1/0"}, {}).ledger, RedisLedger)


def test_a_cache_table_turns_the_cache_on_where_it_is_asked_for_or_everywhere():
    asked = read_options({"cache": {}}, {}).cache
    assert isinstance(asked.store, MemoryStore)
    assert asked.default is None
    everywhere = {"every_call": True, "ttl_seconds": 5, "stale_seconds": 7, "sampled": True}
    default = read_options({"cache": everywhere}, {}).cache.default
    assert (default.ttl_seconds, default.stale_seconds, default.sampled) == (5, 7, True)
    shared = read_options({"cache": {"store": "redis://127.0.0.1:1/0"}}, SECRET).cache
    assert isinstance(shared.store, RedisStore)
    assert shared.secret == SECRET["PENSTOCK_CACHE_SECRET"].encode()
    assert "secret of enough" not in repr(shared)


def test_a_redis_that_cannot_be_reached_costs_no_more_than_one_that_does_not_answer():
    cache = read_options({"cache": {"store": "redis://127.0.0.1:1/0"}}, SECRET).cache
    told = cache.store._client.get_connection_kwargs()
    assert told["socket_connect_timeout"] == told["socket_timeout"] == 0.05


def test_rules_are_read_with_it():
    rules = read_options({"tools": {"send_money": {"requires": "verified"}}}, {}).tools
    assert rules["send_money"].requires is Level.VERIFIED


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"legder": "memory"}, "unknown option 'legder'"),
        ({"ledger": 3}, "ledger"),
        ({"ledger": "ftp://x"}, "no Redis URL"),
        ({"tools": "pay"}, "table"),
        ({"cache": True}, "table"),
        ({"cache": {"ttl": 3}}, "unknown option 'ttl'"),
        ({"cache": {"ttl_seconds": "3"}}, "number of seconds"),
        ({"cache": {"ttl_seconds": 0}}, "ttl_seconds"),
        ({"cache": {"sampled": 1}}, "true or false"),
        ({"cache": {"max_bytes": 0}}, "max_bytes"),
        ({"cache": {"max_bytes": True}}, "max_bytes"),
        ({"cache": {"store": ""}}, "store"),
        ({"cache": {"store": "redis://127.0.0.1:1/0"}}, "PENSTOCK_CACHE_SECRET"),
    ],
)
def test_a_wrong_option_is_one_clear_line(table, message):
    with pytest.raises(UsageError, match=message) as raised:
        read_options(table, {})
    assert "\n" not in str(raised.value)


def test_a_wrong_option_keeps_everything_from_starting(penstock_on):
    with pytest.raises(UsageError, match="unknown option 'tool'"):
        penstock_on(trust="[trust.tool.x]\n")
    assert penstock.runtime() is None


def test_the_facade_answers_by_call_and_still_names_the_room():
    assert penstock.trust().level == "primary"
    assert penstock.trust.Level is penstock.Level


def test_a_forked_child_does_not_wait_for_a_call_that_its_parent_leads(call_of):
    room = TrustRoom({"cache": {"every_call": True}}, None)
    try:
        leader = room.interceptor.admit(call_of())
        assert isinstance(leader.wait(), Granted)
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)  # a child that follows the parent's call would wait for ever
            os._exit(0 if isinstance(room.interceptor.admit(call_of()).wait(), Granted) else 1)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        room.close()


def test_closing_takes_every_patch_out(call_of):
    before = threading.Thread.start, ThreadPoolExecutor.submit
    room = TrustRoom({}, None)
    room.close()
    room.close()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == before


@pytest.mark.parametrize(
    "url", ["rediss+typo://user:hunter2@127.0.0.1:1/0", "redis://:hunter2/xyz@[::1]:1/0"]
)
def test_a_bad_url_is_told_without_its_password(url):
    with pytest.raises(UsageError) as refused:
        read_options({"ledger": url}, {})
    assert "hunter2" not in str(refused.value)


def test_a_url_that_an_error_quotes_loses_all_of_its_password():
    told = str(UsageError("cannot read clickhouse://me:pass@word@host:9000/db, see https://x.test/a@b"))
    assert told == "cannot read clickhouse://…@host:9000/db, see https://x.test/a@b"


def test_a_forked_child_does_not_wait_for_what_another_thread_of_its_parent_held(call_of):
    room = TrustRoom({"cache": {"every_call": True}}, None)
    store = room._cache.shelf._store
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with store._lock, room.prompt_cache._lock, _lineage._process.lock:
            held.set()
            over.wait()

    holding = threading.Thread(target=hold)
    with lineage():
        holding.start()
        held.wait()
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            distrust("second-hand")
            store.put("key", b"value", 60.0)
            room.prompt_cache.observe("p", "c", Usage(cache_read=5))
            os._exit(0 if trust().level == "unknown" and store.get("key") == b"value" else 1)
    over.set()
    holding.join()
    room.close()
    assert os.waitpid(pid, 0)[1] == 0


def test_a_finalizer_may_end_a_call_inside_of_any_lock_of_the_room(call_of):
    """The collector runs wherever memory is asked for; a response that was dropped unread ends its call."""
    room, registry = TrustRoom({"cache": {"every_call": True}}, None), Registry()
    room.count_in(registry)
    with penstock.lineage():
        leader = room.interceptor.admit(call_of(conversation="c"))
    leader.wait()
    room.interceptor.answer(leader, Answer(sent_at=0, at=0, status=200))
    dropped = Settlement(at=0, end="collected", usage=Usage(cache_read=5))

    def collected() -> None:
        locks = room._cache.flights._lock, room.prompt_cache._lock, _lineage._process.lock, registry.lock
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            room.interceptor.settle(leader, dropped)

    thread = threading.Thread(target=collected, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert registry.value(metrics.CACHE_LOOKUPS, ("miss",)) == 1
    assert isinstance(room.interceptor.admit(call_of()).wait(), Granted)
    room.close()
