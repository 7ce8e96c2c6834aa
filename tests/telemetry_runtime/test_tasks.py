"""Tasks are carried, nested, timed and reported, in sync and async code, as `with` and as decorator."""

import asyncio
import contextlib
import contextvars
import sys
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags

from penstock.classifiers import ErrorClass
from penstock.telemetry import guard
from penstock.telemetry import semconv as names
from penstock.telemetry.desk import Desk, close_desk, open_desk
from penstock.telemetry.records import Operation
from penstock.telemetry.roots import TraceRoots
from penstock.telemetry.tasks import current_task, task
from penstock.telemetry.tools import tool


class Sink:
    def __init__(self):
        self.tasks, self.tools = [], []

    def operation_ended(self, operation):
        pass

    def tool_ended(self, call):
        self.tools.append(call)

    def task_ended(self, task):
        self.tasks.append(task)


class Office:
    def __init__(self):
        self.sink, self.exporter = Sink(), InMemorySpanExporter()
        self.roots = TraceRoots(self.sink.task_ended)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.roots)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("app")
        self.desk = Desk(lambda: self.tracer, (self.sink,), self.roots.task)

    @property
    def spans(self):
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def office():
    office = Office()
    open_desk(office.desk)
    yield office
    close_desk(office.desk)
    office.provider.shutdown()


def test_a_task_is_current_inside_and_gone_outside(office):
    with task("invoice", priority="interactive", tenant="acme", id="i-1") as mine:
        assert current_task() is mine
        assert (mine.id, mine.name, mine.priority, mine.tenant) == ("i-1", "invoice", "interactive", "acme")
    assert current_task() is None
    assert office.sink.tasks == [mine]
    assert mine.ended_ns >= mine.started_ns


def test_a_task_works_without_a_runtime():
    with task("alone") as mine:
        assert current_task() is mine


def test_an_inner_task_keeps_what_it_inherits(office):
    with task("outer", priority="batch", tenant="acme", deadline_seconds=10) as outer:
        with task("inner", deadline_seconds=1000) as inner:
            assert (inner.parent, inner.priority, inner.tenant) == (outer, "batch", "acme")
            assert inner.started_monotonic == outer.started_monotonic
            assert inner.deadline == outer.deadline
        with task("urgent", priority="interactive", deadline_seconds=0.5) as urgent:
            assert urgent.priority == "interactive"
            assert urgent.deadline < outer.deadline


def test_async_children_and_copied_contexts_belong_to_the_task(office):
    async def main():
        async with task("agent") as mine:
            assert await asyncio.gather(*(asyncio.to_thread(current_task) for _ in range(3))) == [mine] * 3
            seen = []
            context = contextvars.copy_context()
            thread = threading.Thread(target=context.run, args=(lambda: seen.append(current_task()),))
            thread.start()
            thread.join()
            assert seen == [mine]

    asyncio.run(main())


def test_one_scope_entered_at_the_same_time_is_several_tasks(office):
    scope = task("agent")

    async def run():
        async with scope as mine:
            await asyncio.sleep(0)
            assert current_task() is mine
            return mine

    async def main():
        return await asyncio.gather(*(run() for _ in range(3)))

    tasks = asyncio.run(main())
    assert len({t.id for t in tasks}) == 3
    assert len(office.sink.tasks) == 3


def test_a_decorated_function_is_a_task_a_call(office):
    @task("sync")
    def double(x):
        return x * 2, current_task().name

    @task("async")
    async def triple(x):
        return x * 3, current_task().name

    assert double(2) == (4, "sync")
    assert asyncio.run(triple(2)) == (6, "async")
    assert double.__name__ == "double"
    assert [t.name for t in office.sink.tasks] == ["sync", "async"]


def test_a_task_span_tells_what_the_task_did(office):
    with task("agent", id="a-1") as mine:
        mine.operations, mine.attempts, mine.live_peak = 3, 5, 2
        office.tracer.start_span("inside").end()
    span = office.spans["task agent"]
    assert dict(span.attributes) == {
        names.SPAN_KIND: "task", names.TASK_ID: "a-1", names.TASK_NAME: "agent",
        names.TASK_OPERATIONS: 3, names.TASK_ATTEMPTS: 5, names.TASK_FANOUT_PEAK: 2,
    }  # fmt: skip
    assert office.spans["inside"].parent.span_id == span.context.span_id
    assert (span.start_time, span.end_time) == (mine.started_ns, mine.ended_ns)


def test_a_failure_is_classified_and_passes_untouched(office):
    error = TimeoutError("secret prompt")
    with pytest.raises(TimeoutError) as caught, task("agent") as mine:
        raise error
    assert caught.value is error
    assert mine.verdict.error_class is ErrorClass.TIMEOUT
    span = office.spans["task agent"]
    assert span.attributes[names.ERROR_CLASS] == "timeout"
    assert span.attributes[names.ERROR_TYPE] == "TimeoutError"
    assert "secret" not in span.to_json()


def test_the_root_span_is_the_task_where_nobody_named_one(office):
    with office.tracer.start_as_current_span("POST /ask") as root:
        with office.tracer.start_as_current_span("step"):
            mine = current_task()
            mine.operations = 2
            office.roots.operation_ended(
                Operation(provider="p", operation="chat", model="m", pool="p:m", started_ns=0, task=mine)
            )
        assert current_task() is mine
    assert mine.id == format(root.get_span_context().trace_id, "032x")
    assert office.sink.tasks == [mine]
    assert office.spans["POST /ask"].attributes[names.TASK_OPERATIONS] == 2
    assert office.roots._traces == {}


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_a_trace_that_comes_in_twice_at_a_time_is_one_task(office, first_ends_first):
    caller = SpanContext(trace_id=7, span_id=9, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    incoming = trace.set_span_in_context(NonRecordingSpan(caller))
    roots = [office.tracer.start_span(name, context=incoming) for name in ("POST /one", "POST /two")]
    tasks = []
    for number, root in enumerate(roots, 1):
        with trace.use_span(root, end_on_exit=False):
            tasks.append(current_task())
            tasks[-1].operations = number
            office.roots.operation_ended(
                Operation(provider="p", operation="chat", model="m", pool="p:m", started_ns=0, task=tasks[-1])
            )
    first, last = roots if first_ends_first else reversed(roots)
    first.set_status(StatusCode.ERROR, "429 Too Many Requests")
    first.end()
    assert office.sink.tasks == []
    last.end()
    assert tasks[0] is tasks[1]
    assert office.sink.tasks == tasks[:1]
    assert tasks[0].verdict.error_class is ErrorClass.RATE_LIMIT
    assert office.spans["POST /one"].attributes[names.TASK_OPERATIONS] == 2
    assert office.roots._traces == {}


def test_a_root_without_model_calls_is_no_task(office):
    with office.tracer.start_as_current_span("GET /health"):
        current_task()
    assert office.sink.tasks == []


def test_a_single_call_is_no_task(office):
    kind = {names.SPAN_KIND: names.KIND_OPERATION}
    with office.tracer.start_as_current_span("chat gpt-5", attributes=kind):
        assert current_task() is None


@tool
def add(a, b):
    if b < 0:
        raise ConnectionError("429 Too Many Requests: secret")
    return a + b


@tool(name="fetch")
async def fetch_page(url):
    await asyncio.sleep(0)
    if url is None:
        raise asyncio.CancelledError
    return url


@tool
def count(n):
    got = []
    try:
        for i in range(n):
            got += [(yield i)]
    except ValueError:
        yield "caught"
    return got


@tool
async def stream(n):
    try:
        for i in range(n):
            yield i
    except ValueError:
        yield "caught"


def test_a_tool_call_is_one_span_and_one_record(office):
    assert add(1, 2) == 3
    span = office.spans["execute_tool add"]
    assert span.attributes[names.SPAN_KIND] == "tool"
    assert span.attributes[names.OPERATION_NAME] == "execute_tool"
    assert span.attributes[names.TOOL_NAME] == "add"
    assert [(call.name, call.verdict) for call in office.sink.tools] == [("add", None)]


def test_a_tool_failure_is_class_tool_whatever_it_says(office):
    with pytest.raises(ConnectionError, match="429"), task("agent") as mine:
        add(1, -1)
    (call,) = office.sink.tools
    assert call.verdict.error_class is ErrorClass.TOOL
    assert call.task is mine
    assert mine.verdict.error_class is ErrorClass.TOOL
    span = office.spans["execute_tool add"]
    assert span.attributes[names.ERROR_CLASS] == "tool"
    assert span.events == ()
    assert "secret" not in span.to_json()


def test_a_cancelled_tool_did_not_fail(office):
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(fetch_page(None))
    assert office.sink.tools[0].verdict.error_class is ErrorClass.CANCELLED
    assert asyncio.run(fetch_page("u")) == "u"
    assert [call.name for call in office.sink.tools] == ["fetch", "fetch"]


def test_generator_tools_keep_send_throw_close_and_return(office):
    numbers = count(2)
    assert next(numbers) == 0
    assert numbers.send("a") == 1
    with pytest.raises(StopIteration) as stop:
        numbers.send("b")
    assert stop.value.value == ["a", "b"]
    thrown = count(5)
    next(thrown)
    assert thrown.throw(ValueError) == "caught"
    thrown.close()
    assert [call.verdict for call in office.sink.tools] == [None, None]


def test_async_generator_tools_keep_throw_and_close(office):
    async def main():
        assert [i async for i in stream(3)] == [0, 1, 2]
        thrown = stream(3)
        await anext(thrown)
        assert await thrown.athrow(ValueError) == "caught"
        await thrown.aclose()
        left = stream(3)
        await anext(left)
        await left.aclose()

    asyncio.run(main())
    assert [call.verdict for call in office.sink.tools] == [None, None, None]


def test_a_failing_sink_does_not_reach_the_app(office):
    office.sink.tool_ended = office.sink.task_ended = lambda record: 1 / 0
    with task("agent"):
        assert add(1, 1) == 2


def test_threads_that_share_one_scope_end_each_its_own_tasks(office):
    shared, wrong = task("shared"), []
    guard.errors.clear()

    def work():
        for _ in range(100):
            with contextlib.ExitStack() as stack:
                mine = [stack.enter_context(shared) for _ in range(20)]
            wrong.extend(one for one in mine if one.ended_ns is None)

    former = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(former)
    assert wrong == []
    assert dict(guard.errors) == {}
