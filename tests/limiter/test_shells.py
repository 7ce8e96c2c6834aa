"""One core under threads, event loops, cancellations and forks: permits are conserved."""

import asyncio
import os
import random
import signal
import threading
import time as real_time

import httpx2
import pytest
import trio

import penstock
from penstock.limiter import Limiter, LimiterSettings, LoopScheduler, PoolSettings, ThreadScheduler, _clock
from penstock.telemetry.interceptor import Answer, Call, Granted, Settlement
from tests.limiter.conftest import Time

CALL = Call(provider="o", host="h", pool="p", model="m", operation="chat")


def capped(cap: int, **knobs: object) -> Limiter:
    pool = PoolSettings(max_concurrency=cap, **knobs)  # type: ignore[arg-type]
    return Limiter(LimiterSettings(pools={"p": pool}), seed=1)


def serve(limiter: Limiter, ticket: object) -> None:
    limiter.answer(ticket, Answer(sent_at=0.0, at=0.0, status=200))
    limiter.settle(ticket, Settlement(at=0.0, end="eof"))


def test_64_threads_respect_the_cap_and_all_get_through():
    limiter = capped(5)
    live, peak, served = 0, 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal live, peak, served
        for _ in range(10):
            ticket = limiter.admit(CALL)
            assert isinstance(ticket.wait(), Granted)
            with lock:
                live += 1
                peak = max(peak, live)
            real_time.sleep(0)
            with lock:
                live -= 1
                served += 1
            serve(limiter, ticket)

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert served == 640
    assert peak <= 5
    snapshot = limiter.snapshot()["p"]
    assert (snapshot.in_flight, snapshot.queued) == (0, 0)


def test_event_loops_in_several_threads_share_one_pool():
    limiter = capped(3)
    done: list[int] = []

    async def one(n: int) -> None:
        ticket = limiter.admit(CALL)
        await ticket.wait_async()
        await asyncio.sleep(0)
        serve(limiter, ticket)
        done.append(n)

    async def many() -> None:
        await asyncio.gather(*(one(n) for n in range(25)))

    threads = [threading.Thread(target=lambda: asyncio.run(many())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 100
    assert limiter.snapshot()["p"].in_flight == 0


def test_a_cancel_at_any_await_gives_back_the_place_or_the_permit():
    """Ten thousand seeded schedules: after each, nobody is queued and nothing is live."""

    async def schedule(seed: int) -> None:
        rng = random.Random(seed)
        loop = asyncio.get_running_loop()
        limiter = Limiter(
            LimiterSettings(pools={"p": PoolSettings(max_concurrency=rng.randint(1, 2))}),
            clock=loop.time,
            scheduler=LoopScheduler(loop),
            seed=seed,
        )
        live = peak = 0

        async def one() -> None:
            nonlocal live, peak
            ticket = limiter.admit(CALL)
            try:
                await ticket.wait_async()
                live += 1
                peak = max(peak, live)
                try:
                    for _ in range(rng.randint(0, 2)):
                        await asyncio.sleep(0)
                finally:
                    live -= 1
            finally:
                limiter.settle(ticket, Settlement(at=0.0, end="cancelled"))

        tasks = [loop.create_task(one()) for _ in range(4)]
        for _ in range(rng.randint(0, 4)):
            await asyncio.sleep(0)
            rng.choice(tasks).cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        limiter.headroom("p")  # makes the pool, if everyone was cancelled before asking
        snapshot = limiter.snapshot()["p"]
        assert (snapshot.in_flight, snapshot.queued) == (0, 0), seed
        assert peak <= snapshot.cap, seed

    async def all_of_them() -> None:
        for seed in range(10_000):
            await schedule(seed)

    asyncio.run(all_of_them())


def test_a_waiter_whose_task_is_cancelled_does_not_hold_up_the_next():
    async def main() -> None:
        limiter = capped(1)
        first = limiter.admit(CALL)
        second = limiter.admit(CALL)
        third = limiter.admit(CALL)
        waiting = asyncio.ensure_future(second.wait_async())
        last = asyncio.ensure_future(third.wait_async())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        serve(limiter, first)
        assert isinstance(await last, Granted)

    asyncio.run(main())


def test_a_task_of_trio_waits_is_woken_from_any_thread_and_gives_its_place_back_when_cancelled():
    limiter = capped(1)
    first, second, third = (limiter.admit(CALL) for _ in range(3))

    async def main() -> None:
        with trio.move_on_after(0.05) as scope:
            await second.wait_async()
        assert scope.cancelled_caught
        threading.Timer(0.05, serve, (limiter, first)).start()
        assert isinstance(await third.wait_async(), Granted)

    trio.run(main)
    assert (limiter.snapshot()["p"].in_flight, limiter.snapshot()["p"].queued) == (1, 0)


def test_a_timed_wait_ends_on_the_timer_thread():
    limiter = capped(1, max_wait_seconds=0.05)
    limiter.admit(CALL)
    assert not isinstance(limiter.admit(CALL).wait(), Granted)


def test_a_forked_child_starts_without_its_parents_calls_and_still_limits():
    limiter = capped(1)
    limiter.admit(CALL)
    limiter.admit(CALL)
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child is not measured
        code = 1
        try:
            ticket = limiter.admit(CALL)
            mine = isinstance(ticket.wait(), Granted)
            late = limiter.admit(CALL)
            queued = late.admission is None
            serve(limiter, ticket)
            code = 0 if mine and queued and isinstance(late.wait(), Granted) else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert limiter.snapshot()["p"].queued == 1


def test_ten_thousand_waiters_are_served_in_order():
    limiter = Limiter(
        LimiterSettings(pools={"p": PoolSettings(max_concurrency=1, max_wait_seconds=3600.0)}), seed=1
    )
    running = limiter.admit(CALL)
    tickets = [limiter.admit(CALL) for _ in range(10_000)]
    for ticket in tickets:
        serve(limiter, running)
        while ticket.admission is None:
            limiter.pool("p")  # slow start may still space them
            real_time.sleep(0.001)
        running = ticket
    assert limiter.snapshot()["p"].queued == 0


def test_a_timer_that_fails_is_logged_and_the_next_one_rings(caplog):
    rung = threading.Event()
    scheduler = ThreadScheduler()
    scheduler.call_at(0.0, lambda: 1 / 0)
    scheduler.call_at(0.0, rung.set)
    assert rung.wait(10)
    assert "timer" in caplog.text


def test_where_no_thread_can_start_the_call_is_told_and_nothing_stays(monkeypatch):
    limiter = capped(1, max_wait_seconds=30.0)
    first = limiter.admit(CALL)
    with monkeypatch.context() as at_the_end:
        at_the_end.setattr(threading.Thread, "start", _no_thread)
        for _ in range(2):
            with pytest.raises(RuntimeError):
                limiter.admit(CALL)
    assert limiter.snapshot()["p"].queued == 0
    second = limiter.admit(CALL)
    serve(limiter, first)
    assert isinstance(second.wait(), Granted)


def _no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't create new thread at interpreter shutdown")


def test_whoever_was_let_go_is_told_also_where_the_next_alarm_cannot_be_set():
    class Closing(Time):
        closed = False

        def call_at(self, when, run):
            if self.closed:
                raise RuntimeError("Event loop is closed")
            super().call_at(when, run)

    time = Closing()
    settings = LimiterSettings(pools={"p": PoolSettings(requests_per_minute=60)})
    limiter = Limiter(settings, clock=time, scheduler=time, seed=1)
    waiting = limiter.admit(CALL)
    while waiting.admission is not None:
        waiting = limiter.admit(CALL)
    limiter.admit(CALL)  # behind it: it needs an alarm of its own
    thread = threading.Thread(target=waiting.wait, daemon=True)
    thread.start()
    while waiting.wake is None:
        real_time.sleep(0.001)
    time.closed = True
    with pytest.raises(RuntimeError, match="closed"):
        time.pass_(5)
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(waiting.admission, Granted)


def test_a_finalizer_may_end_a_call_inside_of_the_limiters_own_lock():
    """The collector runs wherever memory is asked for; a response that was dropped unread ends its call."""
    limiter = capped(1)
    dropped, waiting = limiter.admit(CALL), limiter.admit(CALL)

    def collected() -> None:
        with limiter.lock:
            limiter.settle(dropped, Settlement(at=0.0, end="collected"))
            assert waiting.admission is None

    thread = threading.Thread(target=collected, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    limiter.snapshot()
    assert isinstance(waiting.admission, Granted)
    assert limiter.snapshot()["p"].in_flight == 1


def test_a_timers_thread_ends_when_nothing_is_left_and_another_starts_when_needed(monkeypatch):
    monkeypatch.setattr(_clock, "_IDLE_SECONDS", 0.01)
    scheduler, threads = ThreadScheduler(), []
    for _ in range(2):
        rung = threading.Event()
        scheduler.call_at(0.0, lambda rung=rung: (threads.append(threading.current_thread()), rung.set()))
        assert rung.wait(10)
        threads[-1].join(10)
        assert not threads[-1].is_alive()


class TimeLimitError(Exception):
    """As a worker's soft time limit is raised: by a signal's handler, wherever the main thread stands."""


@pytest.fixture
def time_limit():
    """Raise a `TimeLimitError` in this thread shortly."""

    def strike(number: int, frame: object) -> None:
        raise TimeLimitError

    former = signal.signal(signal.SIGALRM, strike)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.2)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)


def test_a_time_limit_leaves_the_queue_as_it_was_raised_and_nothing_is_sent(tmp_path, time_limit):
    sent: list[object] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json={})

    with (
        penstock.instrument(limit="enforce", spans="off", max_concurrency=1) as runtime,
        httpx2.Client(transport=httpx2.MockTransport(answer)) as client,
    ):
        with penstock.pool("openai:m").permit():
            time_limit()
            with pytest.raises(TimeLimitError) as caught:
                client.post("https://api.openai.com/v1/chat/completions", json={"model": "m"})
            assert caught.value.__context__ is None
            time_limit()
            with pytest.raises(TimeLimitError), penstock.pool("openai:m").permit():
                pass
        assert runtime.limiter.depth("openai:m") == 0
        assert runtime.headroom("openai:m") == 1
    assert sent == []
