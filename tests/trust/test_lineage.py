import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from penstock.classifiers import CLASSES, ErrorClass, Verdict
from penstock.errors import UsageError
from penstock.telemetry.interceptor import Answer, Settlement
from penstock.telemetry.records import Attempt, Operation, Task
from penstock.trust import (
    AnswerFeed,
    Level,
    Lineage,
    Origin,
    carry,
    distrust,
    follow_tasks,
    follow_threads,
    lineage,
    primary_only,
    trust,
    verified,
)
from penstock.trust._lineage import MAX_ORIGINS, cell
from penstock.trust._marks import is_primary_only

FALLBACK = Origin(
    level=Level.FALLBACK, pool="openai:mini", tier=1, instead_of="openai:gpt-5", reason="wait 40 s"
)
PRIMARY = Origin(level=Level.PRIMARY, pool="openai:gpt-5", model="gpt-5")


def answer(origin: Origin = FALLBACK) -> None:
    cell().add(origin)


@pytest.fixture
def followed_threads():
    undo = follow_threads()
    yield
    undo()


def test_levels_are_declared_from_strongest_to_weakest():
    words = ["primary", "verified", "cache_fresh", "fallback", "cache_stale", "unknown"]
    assert [level.value for level in Level] == words
    for stronger, weaker in pairwise(Level):
        assert stronger.meets(weaker)
        assert not weaker.meets(stronger)


@pytest.mark.parametrize("word", ["unknown", "", "PRIMARY", "best"])
def test_a_requirement_that_demands_nothing_is_refused(word):
    with pytest.raises(UsageError, match="primary, verified"):
        Level.demanded(word)


def test_a_word_from_a_span_that_nobody_knows_is_unknown_and_none_is_primary():
    assert Level.of("gold") is Level.UNKNOWN
    assert Level.of(None) is Level.PRIMARY


def test_the_weakest_input_decides_and_is_told():
    with lineage():
        answer(PRIMARY)
        answer(FALLBACK)
        answer(PRIMARY)
        found = trust()
        assert found.level is Level.FALLBACK
        assert found.weakest == FALLBACK
        assert str(found) == ("fallback (tier 1): openai:mini answered instead of openai:gpt-5 (wait 40 s)")
        assert not found.meets("verified")
        assert found.meets("fallback")


def test_a_lower_tier_is_weaker_than_a_higher_one():
    with lineage():
        answer(Origin(level=Level.FALLBACK, pool="a", tier=1))
        answer(Origin(level=Level.FALLBACK, pool="b", tier=2))
        assert trust().weakest.pool == "b"


def test_work_without_any_answer_is_primary():
    with lineage():
        assert trust().level is Level.PRIMARY
        assert trust().weakest is None


def test_names_without_end_stay_bounded_and_the_weakest_is_kept():
    with lineage():
        answer(FALLBACK)
        for n in range(1000):
            answer(Origin(level=Level.PRIMARY, pool=f"pool-{n}"))
        assert len(trust().origins) == MAX_ORIGINS
        assert trust().level is Level.FALLBACK


async def _agent(origin: Origin) -> None:
    await asyncio.sleep(0)
    answer(origin)


def test_an_answer_in_a_child_asyncio_task_lowers_the_whole_task():
    async def main() -> None:
        with lineage():
            await asyncio.gather(_agent(PRIMARY), asyncio.create_task(_agent(FALLBACK)))
            assert trust().level is Level.FALLBACK

    asyncio.run(main())


def test_concurrent_tasks_do_not_lower_each_other():
    async def one(origin: Origin) -> Level:
        with lineage():
            await _agent(origin)
            await asyncio.sleep(0)
            return trust().level

    async def main() -> list[Level]:
        return await asyncio.gather(one(PRIMARY), one(FALLBACK), one(PRIMARY))

    assert asyncio.run(main()) == [Level.PRIMARY, Level.FALLBACK, Level.PRIMARY]


def test_to_thread_belongs_to_its_task():
    async def main() -> Level:
        with lineage():
            await asyncio.to_thread(answer)
            return trust().level

    assert asyncio.run(main()) is Level.FALLBACK


def test_a_started_thread_belongs_to_the_task_that_started_it(followed_threads):
    with lineage():
        thread = threading.Thread(target=answer)
        thread.start()
        thread.join()
        assert trust().level is Level.FALLBACK
        assert "run" not in thread.__dict__


def test_a_thread_subclass_with_its_own_run_is_followed(followed_threads):
    class Worker(threading.Thread):
        def run(self) -> None:
            answer()

    with lineage():
        worker = Worker()
        worker.start()
        worker.join()
        assert trust().level is Level.FALLBACK


def test_a_pool_worker_serves_each_submitter_and_keeps_nobodys_lineage(followed_threads):
    with ThreadPoolExecutor(1) as pool:
        with lineage():
            pool.submit(answer).result()
            assert trust().level is Level.FALLBACK
        with lineage():
            assert pool.submit(trust).result().level is Level.PRIMARY
        assert pool.submit(trust).result().level is Level.UNKNOWN


def test_a_carried_function_runs_in_its_task_on_any_thread_and_at_once():
    with lineage(), ThreadPoolExecutor(4) as pool:
        barrier = threading.Barrier(4)

        def work() -> Level:
            barrier.wait()
            answer()
            return trust().level

        carried = carry(work)
        assert {job.result() for job in [pool.submit(carried) for _ in range(4)]} == {Level.FALLBACK}
        assert trust().level is Level.FALLBACK


def test_following_threads_can_be_undone():
    before = threading.Thread.start, ThreadPoolExecutor.submit
    undo = follow_threads()
    assert threading.Thread.start is not before[0]
    undo()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == before


def test_where_tasks_are_used_a_context_without_one_is_unknown():
    with lineage():
        answer(PRIMARY)
    found = trust()
    assert found.level is Level.UNKNOWN
    assert "carry" in str(found)


def test_without_any_task_every_answer_of_the_process_counts():
    answer()
    assert trust().level is Level.FALLBACK
    with lineage():
        assert trust().level is Level.PRIMARY


def test_an_inner_lineage_starts_afresh_and_tells_the_outer_one():
    with lineage():
        answer(Origin(level=Level.CACHE_STALE, pool="kept"))
        with lineage():
            assert trust().level is Level.PRIMARY
            answer()
        assert {origin.level for origin in trust().origins} == {Level.CACHE_STALE, Level.FALLBACK}


def test_verification_covers_what_went_in_so_far_and_no_more():
    with lineage():
        answer()
        verified("Ada in accounting")
        assert trust().level is Level.VERIFIED
        assert "verified by Ada in accounting" in str(trust())
        answer()
        assert trust().level is Level.FALLBACK


def test_a_tool_can_lower_the_trust_of_its_task():
    with lineage():
        answer(PRIMARY)
        distrust("prices are from last week", level="cache_stale", source="price-tool")
        assert trust().level is Level.CACHE_STALE
        assert "price-tool" in str(trust())
        distrust("nobody knows where this is from")
        assert str(trust()) == "unknown: nobody knows where this is from"


def task(parent: Task | None = None) -> Task:
    return Task(id="t", name="t", started_ns=0, started_monotonic=0.0, parent=parent)


def test_a_sub_agents_answer_lowers_its_root_task():
    root = task()
    child = task(parent=root)
    now: list[Task] = [root]
    follow_tasks(lambda: now[0])
    answer(PRIMARY)
    now[0] = child
    answer()
    now[0] = root
    assert trust().level is Level.FALLBACK
    now[0] = task()
    assert trust().level is Level.PRIMARY


def test_a_span_around_the_payment_alone_does_not_wash_off_the_answers_before_it():
    answer()
    root = task()
    root.root = True
    follow_tasks(lambda: root)
    assert trust().level is Level.FALLBACK
    verified("Ada")
    assert trust().level is Level.VERIFIED


def attempt(**fields: object) -> Attempt:
    operation = Operation(provider="openai", operation="chat", model="gpt-5", pool="p", started_ns=0)
    base = {"provider": "openai", "host": "h", "port": 1, "pool": "p", "model": "gpt-5", "started_ns": 0}
    return Attempt(operation=operation, number=1, **{**base, **fields})


def test_a_finished_attempt_counts_for_the_task_it_began_in_wherever_it_ends():
    feed = AnswerFeed()
    with lineage() as mine:
        begun = attempt()
        feed.attempt_started(begun)
    begun.status = 200
    feed.attempt_ended(begun)
    assert mine.trust().weakest == Origin(level=Level.PRIMARY, pool="p", model="gpt-5")


@pytest.mark.parametrize("status", [429, 500, None])
def test_a_refusal_or_an_error_is_never_an_answer(status):
    feed = AnswerFeed()
    with lineage():
        begun = attempt()
        feed.attempt_started(begun)
        begun.status = status
        feed.attempt_ended(begun)
        assert trust().origins == ()


@pytest.mark.parametrize(("broken", "told"), [(False, 1), (True, 0)])
def test_a_primarys_stream_counts_when_it_is_whole_and_not_when_it_broke(inner, call_of, broken, told):
    facts = CLASSES[ErrorClass.NETWORK]
    cut = Verdict(
        error_class=ErrorClass.NETWORK,
        reason="cut",
        retryable=True,
        fault=facts.fault,
        side_effects=facts.side_effects,
    )
    transport = Lineage(inner)
    with lineage():
        ticket = transport.admit(call_of())
        ticket.wait()
        transport.answer(ticket, Answer(sent_at=0, at=0, status=200))
        transport.settle(
            ticket, Settlement(at=0, end="broken" if broken else "eof", verdict=cut if broken else None)
        )
        assert len(trust().origins) == told


def test_what_is_demanded_of_calls_follows_into_a_thread_also_outside_any_task(followed_threads):
    seen = []
    with primary_only():
        thread = threading.Thread(target=lambda: seen.append(is_primary_only()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_a_carried_coroutine_function_runs_in_its_task_to_its_end():
    async def work() -> None:
        await asyncio.sleep(0)
        answer()

    with lineage():
        carried = carry(work)
        thread = threading.Thread(target=lambda: asyncio.run(carried()))
        thread.start()
        thread.join()
        assert trust().level is Level.FALLBACK
