"""What a framework runs is one task with its operations, attempts and tools, sync and async, without code."""

import asyncio
from collections import Counter

import openai
import pytest

import penstock
from penstock.telemetry import metrics as m
from penstock.telemetry.tasks import current_task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def search(query: str) -> str:
    """Search for something."""
    if BROKEN:
        raise ConnectionError("429 Too Many Requests")
    return "found"


BROKEN: list[bool] = []


@pytest.fixture(params=[False, True], ids=["tool works", "tool fails"])
def broken(request):
    BROKEN[:] = [True] if request.param else []
    yield request.param
    BROKEN.clear()


def langchain_agent(url):
    from langchain.agents import create_agent
    from langchain.agents.middleware import wrap_tool_call
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @wrap_tool_call
    def tell_the_model(request, handler):
        try:
            return handler(request)
        except ConnectionError as error:
            return ToolMessage(str(error), tool_call_id=request.tool_call["id"], status="error")

    @wrap_tool_call
    async def tell_the_model_async(request, handler):
        try:
            return await handler(request)
        except ConnectionError as error:
            return ToolMessage(str(error), tool_call_id=request.tool_call["id"], status="error")

    def build(middleware, **options):
        model = ChatOpenAI(model="gpt-5", base_url=url, api_key="sk-t", use_responses_api=False, **options)
        return create_agent(model, [tool(search)], middleware=[middleware], name="helper")

    given = {"messages": [("user", "look it up")]}

    def run():
        with openai.DefaultHttpxClient() as client:
            return build(tell_the_model, http_client=client).invoke(given)["messages"][-1].content

    async def run_async():
        async with openai.DefaultAsyncHttpxClient() as client:
            agent = build(tell_the_model_async, http_async_client=client)
            return (await agent.ainvoke(given))["messages"][-1].content

    return run, run_async


def openai_agent(url):
    from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool

    async def run():
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-t") as client:
            model = OpenAIChatCompletionsModel(model="gpt-5", openai_client=client)
            agent = Agent(name="helper", model=model, tools=[function_tool(search)])
            quiet = RunConfig(tracing_disabled=True)
            return (await Runner.run(agent, "look it up", run_config=quiet)).final_output

    return lambda: asyncio.run(run()), run


def pydantic_agent(url):
    from pydantic_ai import Agent, ModelRetry
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def look_up(query: str) -> str:
        """Search for something."""
        try:
            return search(query)
        except ConnectionError as error:
            raise ModelRetry("try something else") from error

    def build(client):
        model = OpenAIChatModel("gpt-5", provider=OpenAIProvider(openai_client=client))
        agent = Agent(model, name="helper", retries=2)
        agent.tool_plain(look_up, name="search")
        return agent

    async def run():
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-t") as client:
            return (await build(client).run("look it up")).output

    def run_sync():
        client = openai.AsyncOpenAI(base_url=url, api_key="sk-t")
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return build(client).run_sync("look it up").output
        finally:
            loop.run_until_complete(client.close())
            loop.close()
            asyncio.set_event_loop(None)

    return run_sync, run


FRAMEWORKS = {"langchain": langchain_agent, "agents": openai_agent, "pydantic-ai": pydantic_agent}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_agent_run_is_a_task_with_all_that_it_did(scene, play, framework, asynchronous, broken):
    play(play.limited, play.limited, play.calls_tool, play.says_done)
    run, run_async = FRAMEWORKS[framework](scene.url)
    assert (asyncio.run(run_async()) if asynchronous else run()) == "done"

    spans = scene.told()
    kinds = Counter(span.kind for span in spans)
    assert kinds == {"task": 1, "operation": 2, "attempt": 4, "tool": 1}
    assert scene.served == 4
    (task,) = (span for span in spans if span.kind == "task")
    assert (task.name, task.parent, task["penstock.error.class"]) == ("task helper", "", None)
    assert (task["penstock.task.operations"], task["penstock.task.attempts"]) == (2, 4)
    assert {span.trace for span in spans} == {task.trace}
    operations = [span for span in spans if span.kind == "operation"]
    assert [span["penstock.attempts"] for span in operations] == ["3", "1"]
    assert [span["penstock.error.class"] for span in spans if span.kind == "attempt"] == [
        "rate_limit", "rate_limit", None, None,
    ]  # fmt: skip
    (tool,) = (span for span in spans if span.kind == "tool")
    assert tool["gen_ai.tool.name"] == "search"
    assert tool["penstock.error.class"] == ("tool" if broken else None)
    assert "Too Many" not in str(tool.facts)
    assert scene.counted(m.TOOLS) == {("search", "tool" if broken else "ok"): 1}
    assert scene.counted(m.TASKS) == {("ok",): 1}
    assert sum(scene.counted(m.FANOUT)[()].buckets) == 1
    assert scene.counted(m.FANOUT)[()].sum == 2


def test_a_run_inside_a_named_task_is_a_part_of_it(scene, play):
    play(play.calls_tool, play.says_done)
    with penstock.task("invoice") as mine:
        openai_agent(scene.url)[0]()
    assert (mine.operations, mine.attempts) == (2, 2)
    (task,) = (span for span in scene.told() if span.kind == "task")
    assert task.name == "task invoice"


def counting_graph(url, seen):
    """Three calls, one a step; what the app does between two steps is not the graph's."""
    from langgraph.graph import END, START, StateGraph

    def step(state):
        with openai.OpenAI(base_url=url, api_key="sk-t") as client:
            client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "x"}])
        seen.append(current_task().name)
        return {"n": state["n"] + 1}

    graph = StateGraph(dict)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: END if state["n"] == 3 else "step")
    return graph.compile(name="counter")


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("steps", [3, 1], ids=["whole", "left after a step"])
def test_a_graph_that_streams_is_a_task_only_while_it_runs(scene, asynchronous, steps):
    seen, between = [], []
    graph = counting_graph(scene.url, seen)

    async def read_async():
        stream = graph.astream({"n": 0})
        for _ in range(steps):
            await anext(stream)
            between.append(current_task())
        if steps < 3:
            await stream.aclose()
        else:
            assert [piece async for piece in stream] == []

    if asynchronous:
        asyncio.run(read_async())
    else:
        stream = graph.stream({"n": 0})
        for _ in range(steps):
            next(stream)
            between.append(current_task())
        assert steps < 3 or list(stream) == []
        del stream
    assert set(seen) == {"counter"}
    assert between == [None] * steps
    (task,) = (span for span in scene.told() if span.kind == "task")
    assert task["penstock.task.operations"] >= steps
    assert scene.counted(m.TASKS) == {("ok",): 1}


def test_a_streamed_agent_run_ends_when_its_background_does(scene, play):
    from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool

    async def run():
        async with openai.AsyncOpenAI(base_url=scene.url, api_key="sk-t") as client:
            model = OpenAIChatCompletionsModel(model="gpt-5", openai_client=client)
            agent = Agent(name="helper", model=model, tools=[function_tool(search)])
            result = Runner.run_streamed(agent, "x", run_config=RunConfig(tracing_disabled=True))
            assert current_task() is None
            async for _ in result.stream_events():
                pass
            return result.final_output

    play(play.limited, play.calls_tool, play.says_done)
    assert asyncio.run(run()) == "done"
    (task,) = (span for span in scene.told() if span.kind == "task")
    assert (task["penstock.task.operations"], task["penstock.task.attempts"]) == (2, 3)


def test_an_interrupt_is_no_failure_of_the_tool_or_the_run(scene, play):
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.types import interrupt

    @tool
    def ask_human(question: str) -> str:
        """Ask."""
        return str(interrupt(question))

    play(play.calls_tool)
    with openai.DefaultHttpxClient() as client:
        model = ChatOpenAI(
            model="gpt-5", base_url=scene.url, api_key="k", use_responses_api=False, http_client=client
        )
        agent = create_agent(model, [ask_human], checkpointer=InMemorySaver())
        paused = agent.invoke({"messages": [("user", "x")]}, {"configurable": {"thread_id": "1"}})
    assert paused["__interrupt__"]
    assert scene.counted(m.TOOLS) == {("ask_human", "ok"): 1}
    assert scene.counted(m.TASKS) == {("ok",): 1}


def test_the_frameworks_exceptions_pass_untouched(scene):
    raised = ValueError("mine")

    def fail(state):
        raise raised

    from langgraph.graph import START, StateGraph

    graph = StateGraph(dict)
    graph.add_node("fail", fail)
    graph.add_edge(START, "fail")
    compiled = graph.compile(name="failing")
    for call in (lambda: compiled.invoke({}), lambda: list(compiled.stream({}))):
        with pytest.raises(ValueError, match="mine") as caught:
            call()
        assert caught.value is raised
    assert len([span for span in scene.told() if span.kind == "task"]) == 2
