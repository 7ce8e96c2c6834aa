import asyncio
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from penstock.errors import OutcomeUnknown, UsageError
from penstock.trust import Codec, MemoryLedger, RedisLedger, SqliteLedger, State, irreversible, resolve
from penstock.trust._ledger import ended, new_claim


def test_a_key_is_claimed_once_then_done_and_stays_so(ledger):
    claim = new_claim()
    assert ledger.find("k") is None
    assert ledger.begin("k", claim) is None
    assert ledger.find("k") == claim
    assert ledger.begin("k", new_claim()) == claim
    ledger.end("k", ended(claim, b"\x00result"))
    found = ledger.begin("k", new_claim())
    assert (found.state, found.result, found.owner, found.at) == (
        State.DONE,
        b"\x00result",
        claim.owner,
        claim.at,
    )
    assert ledger.find("other") is None


def test_a_freed_key_can_be_claimed_again(ledger):
    ledger.begin("k", new_claim())
    ledger.end("k", None)
    assert ledger.begin("k", new_claim()) is None


def test_of_many_threads_one_runs(ledger):
    runs = []
    barrier = threading.Barrier(8)

    @irreversible(key="k", ledger=ledger, action="work")
    def work() -> str:
        runs.append(1)
        return "done"

    def attempt() -> str:
        barrier.wait()
        try:
            return work()
        except OutcomeUnknown:
            return "unknown"

    with ThreadPoolExecutor(8) as pool:
        results = [job.result() for job in [pool.submit(attempt) for _ in range(8)]]
    assert len(runs) == 1
    assert set(results) <= {"done", "unknown"}
    assert "done" in results


def _claim(path: str, barrier: object, won: object) -> None:
    ledger = SqliteLedger(path)
    barrier.wait()
    for n in range(20):
        if ledger.begin(f"k{n}", new_claim()) is None:
            with won.get_lock():
                won.value += 1


def test_of_many_processes_one_claims_each_key(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    barrier, won = context.Barrier(2), context.Value("i", 0)
    path = str(tmp_path / "ledger.db")
    workers = [context.Process(target=_claim, args=(path, barrier, won)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert won.value == 20


def test_begun_and_never_finished_is_unknown_and_says_who_and_when(ledger):
    runs = []

    @irreversible(key="{n}", ledger=ledger, action="pay")
    def pay(n: int) -> None:
        runs.append(n)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        pay(1)
    with pytest.raises(OutcomeUnknown, match=r"pay:1 was begun at \d{4}-.* by process \d+ on ") as raised:
        pay(1)
    assert (raised.value.key, raised.value.done) == ("pay:1", False)
    assert runs == [1]


def test_a_person_who_looked_it_up_settles_an_unknown_outcome(ledger):
    @irreversible(key="{n}", ledger=ledger, action="pay")
    def pay(n: int) -> str:
        raise TimeoutError

    for n in (1, 2):
        with pytest.raises(TimeoutError):
            pay(n)
    resolve(ledger, "pay:1", done=True, result="receipt")
    resolve(ledger, "pay:2", done=False)
    resolve(ledger, "pay:1", done=False)  # settled already
    resolve(ledger, "pay:3", done=True)
    assert pay(1) == "receipt"
    with pytest.raises(TimeoutError):
        pay(2)


def test_an_error_that_proves_nothing_happened_frees_the_key(ledger):
    answers = [ConnectionRefusedError(), "sent"]

    @irreversible(key="k", ledger=ledger, not_done=(ConnectionRefusedError,))
    def send() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ConnectionRefusedError):
        send()
    assert send() == "sent"
    assert send() == "sent"


@dataclass
class Receipt:
    number: int


@pytest.mark.parametrize("result", [Receipt(1), (1, 2), {1: 2}, object(), b"x"])
def test_a_result_that_a_replay_could_not_give_back_is_said_to_be_done_and_not_kept(ledger, result):
    work = irreversible(key="k", ledger=ledger, action="work")(lambda: result)
    assert work() is result
    with pytest.raises(OutcomeUnknown, match=r"was done .* codec") as raised:
        work()
    assert raised.value.done


def test_a_codec_keeps_what_json_cannot(ledger):
    codec = Codec(encode=lambda r: str(r.number).encode(), decode=lambda raw: Receipt(int(raw)))
    work = irreversible(key="k", ledger=ledger, codec=codec)(lambda: Receipt(7))
    assert work() == work() == Receipt(7)


@pytest.mark.parametrize("result", [None, False, 0, "", [], {"a": [1.5, None, "ü"]}])
def test_plain_results_come_back_equal_and_of_the_same_type(ledger, result):
    runs = []

    @irreversible(key="k", ledger=ledger, action="work")
    def work() -> object:
        runs.append(1)
        return result

    assert work() == result
    assert work() == result
    assert type(work()) is type(result)
    assert runs == [1]


def test_cancelled_while_claiming_leaves_no_claim_behind(tmp_path):
    started, release = threading.Event(), threading.Event()

    class Slow(SqliteLedger):
        def begin(self, key, claim):
            known = super().begin(key, claim)
            started.set()
            release.wait(10)
            return known

    slow = Slow(tmp_path / "l.db")

    @irreversible(key="k", ledger=slow)
    async def work() -> None:
        pytest.fail("ran")

    async def main() -> None:
        running = asyncio.create_task(work())
        await asyncio.to_thread(started.wait, 10)
        running.cancel()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert slow.find("k") is None


def test_cancelled_while_working_is_unknown(ledger):
    async def main() -> None:
        working = asyncio.Event()

        @irreversible(key="k", ledger=ledger, action="work")
        async def work() -> None:
            working.set()
            await asyncio.sleep(3600)

        running = asyncio.create_task(work())
        await working.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(OutcomeUnknown):
            await work()

    asyncio.run(main())


def test_a_claim_whose_reply_was_lost_is_known_as_our_own(redis_client, redis_url):
    class LosesReply(redis.Redis):
        def set(self, *args, **kwargs):
            super().set(*args, **kwargs)
            return super().set(*args, **kwargs)  # what the client's own retry does

    client = LosesReply.from_url(redis_url)
    assert RedisLedger(client).begin("k", new_claim()) is None
    client.close()


def test_done_entries_expire_where_asked_and_claims_never_do(redis_client):
    ledger = RedisLedger(redis_client, keep_seconds=60)
    claim = new_claim()
    ledger.begin("k", claim)
    assert redis_client.ttl("penstock:ledger:k") == -1
    ledger.end("k", ended(claim, b"1"))
    assert 0 < redis_client.ttl("penstock:ledger:k") <= 60


def test_a_client_that_decodes_is_refused(redis_url):
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    with pytest.raises(UsageError, match="decode_responses"):
        RedisLedger(client)
    client.close()


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path):
    path = tmp_path / "ledger.db"
    path.write_text("not a database, but long enough to look like one " * 50)
    with pytest.raises(UsageError, match=r"ledger\.db") as raised:
        SqliteLedger(path)
    assert "\n" not in str(raised.value)
    with pytest.raises(UsageError, match="missing"):
        SqliteLedger(tmp_path / "missing" / "ledger.db")


@pytest.mark.parametrize("path", [":memory:", ""])
def test_a_file_that_is_none_is_refused_before_any_work(path):
    with pytest.raises(UsageError, match="name a writable SQLite file"):
        SqliteLedger(path)


def test_without_a_ledger_of_its_own_work_uses_the_settings_ledger():
    runs = []

    @irreversible(key="only-here-once")
    def work() -> None:
        runs.append(1)

    work()
    work()
    assert runs == [1]
    assert MemoryLedger().find("work:only-here-once") is None
