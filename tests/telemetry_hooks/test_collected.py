"""What the garbage collector ends is told, whatever the thread is doing in which it runs."""

import asyncio
import gc
import threading

import pytest

from penstock.telemetry import collecting
from penstock.telemetry import metrics as m
from penstock.telemetry.desk import Desk, close_desk, open_desk
from penstock.telemetry.interceptor import Granted
from penstock.telemetry.metering import Metering
from penstock.telemetry.registry import Registry
from penstock.telemetry.tasks import agent_run
from penstock.telemetry.tools import tool


def in_a_cycle(held):
    """Drop something so that only the collector can end it."""
    cycle = [held]
    cycle.append(cycle)


def collect_under(lock):
    """Collect in a thread that holds a lock, and tell whether it came back."""

    def collect():
        with lock:
            gc.collect()

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(30)
    collecting.wait(30)
    return not thread.is_alive()


class Locked:
    """Decides under a lock, as the limiter does."""

    def __init__(self, decide):
        self.decide, self.lock = decide, threading.Lock()
        self.admit, self.answer = decide.admit, decide.answer

    def settle(self, ticket, settlement):
        with self.lock:
            self.decide.settle(ticket, settlement)


@pytest.mark.parametrize("read", [0, 1])
def test_a_dropped_stream_is_settled_though_its_thread_is_deciding(hook, chat, sim, decider, read):
    locked = Locked(decider(Granted()))
    seen = hook(interceptor=locked)
    sim.script({"status": 200, "output_tokens": 400})
    stream = chat.openai().chat.completions.create(**chat.request, stream=True)
    for _ in range(read):
        next(stream)
    in_a_cycle(stream)
    del stream
    assert collect_under(locked.lock)
    assert seen.live == 0
    (settlement,) = locked.decide.settlements
    assert settlement.end in ("closed", "collected")


def test_a_coroutine_dropped_with_its_loop_gives_its_place_back(hook, chat, decider):
    locked = Locked(decider(Granted()))
    hook(interceptor=locked)

    async def never(*_, **__):
        await asyncio.get_running_loop().create_future()

    async def call():
        client = chat.openai_async()
        client._client._transport.handle_async_request = never
        await client.chat.completions.create(**chat.request)

    loop = asyncio.new_event_loop()
    task = loop.create_task(call())
    task._log_destroy_pending = False
    loop.run_until_complete(asyncio.sleep(0.1))
    loop.close()
    in_a_cycle(task)
    del task
    assert collect_under(locked.lock)
    assert [settlement.end for settlement in locked.decide.settlements] == ["cancelled"]


@pytest.fixture
def registry():
    made = Registry()
    desk = Desk(lambda: None, [Metering(made)])
    open_desk(desk)
    collecting.watch()
    yield made
    collecting.unwatch()
    close_desk(desk)


def test_a_dropped_generator_of_a_tool_is_counted_though_its_thread_reads_metrics(registry):
    @tool
    def lines():
        yield 1
        yield 2

    begun = lines()
    next(begun)
    in_a_cycle(begun)
    del begun
    assert collect_under(registry.lock)
    assert registry.value(m.TOOLS, ("lines", "ok")) == 1


def test_a_dropped_run_of_an_agent_is_counted_though_its_thread_reads_metrics(registry):
    class Stream:
        def __init__(self):
            self.run = agent_run("agent")

        def __del__(self):
            self.run.end(None)

    in_a_cycle(Stream())
    assert collect_under(registry.lock)
    assert registry.value(m.TASKS, ("ok",)) == 1


def test_what_is_told_where_no_thread_can_be_started_is_told_at_once(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    told = []
    collecting.apart(told.append, 1)
    assert told == [1]
