"""Lineage and guards through frameworks that run the tools: LangGraph, OpenAI Agents and pydantic-ai."""

import asyncio
import json
import operator
from typing import Annotated, Any, TypedDict

import openai
import pytest

import penstock
from penstock.telemetry import metrics as m
from penstock.telemetry.tools import tool as penstock_tool

POOLS = {
    "openai:big": {"fallback": ["openai:small"], "max_wait_seconds": 5},
    "openai:small": {"model": "small"},
}
RULES = '[trust.tools."send_money"]\nrequires = "primary"\nkey = "{invoice}"\n'


def tool_call(invoice="i1"):
    arguments = json.dumps({"invoice": invoice})
    return {
        "id": "call-1",
        "type": "function",
        "function": {"name": "send_money", "arguments": arguments},
    }


@pytest.fixture
def paying_model(server, out_of_credit):
    """A model that asks for send_money, then says done. `down`: the primary has no credit left."""
    state = {"down": False}

    def reply(body):
        if state["down"] and body["model"] == "big":
            return out_of_credit
        if any(message["role"] == "tool" for message in body["messages"]):
            return {"content": "done: " + body["messages"][-1]["content"]}
        return {"tool_calls": [tool_call()]}

    server.reply = reply
    return state


@pytest.fixture
def penstock_enforcing(penstock_on):
    # Instrumented before the frameworks are imported or used, as `penstock run` does.
    return penstock_on(limit="enforce", pools=POOLS, trust=RULES)


def langgraph_agent(url: str, paid: list[str], *, asynchronous: bool) -> Any:
    from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langgraph.graph import END, START, StateGraph
    from langgraph.prebuilt import ToolNode

    class State(TypedDict):
        messages: Annotated[list[BaseMessage], operator.add]

    def as_dict(message: BaseMessage) -> dict[str, Any]:
        if isinstance(message, HumanMessage):
            return {"role": "user", "content": message.content}
        if isinstance(message, ToolMessage):
            return {"role": "tool", "content": message.content, "tool_call_id": message.tool_call_id}
        return {"role": "assistant", "content": message.content, "tool_calls": [tool_call()]}

    def as_message(answer: Any) -> AIMessage:
        message = answer.choices[0].message
        calls = [
            {"name": c.function.name, "args": json.loads(c.function.arguments), "id": c.id}
            for c in message.tool_calls or []
        ]
        return AIMessage(content=message.content or "", tool_calls=calls)

    def model(state: State) -> State:
        with openai.OpenAI(api_key="k", base_url=url, max_retries=0) as client:
            messages = [as_dict(m) for m in state["messages"]]
            return {"messages": [as_message(client.chat.completions.create(model="big", messages=messages))]}

    async def model_async(state: State) -> State:
        async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0) as client:
            messages = [as_dict(m) for m in state["messages"]]
            answer = await client.chat.completions.create(model="big", messages=messages)
            return {"messages": [as_message(answer)]}

    @tool
    def send_money(invoice: str) -> str:
        """Pay an invoice."""
        paid.append(invoice)
        return f"paid on {penstock.trust().level}"

    tools = ToolNode([send_money], handle_tool_errors=lambda error: f"refused: {type(error).__name__}")
    graph = StateGraph(State)
    graph.add_node("model", model_async if asynchronous else model)
    graph.add_node("tools", tools)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", lambda s: "tools" if s["messages"][-1].tool_calls else END)
    graph.add_edge("tools", "model")
    agent = graph.compile()

    def run() -> str:
        messages = {"messages": [HumanMessage(content="pay i1")]}
        final = asyncio.run(agent.ainvoke(messages)) if asynchronous else agent.invoke(messages)
        return str(final["messages"][-1].content)

    return run


def openai_agent(url: str, paid: list[str], *, asynchronous: bool) -> Any:
    from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool

    if asynchronous:

        @function_tool
        async def send_money(invoice: str) -> str:
            """Pay an invoice."""
            paid.append(invoice)
            return f"paid on {penstock.trust().level}"
    else:

        @function_tool
        def send_money(invoice: str) -> str:
            """Pay an invoice."""
            paid.append(invoice)
            return f"paid on {penstock.trust().level}"

    async def main() -> str:
        async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0) as client:
            model = OpenAIChatCompletionsModel(model="big", openai_client=client)
            agent = Agent(name="payer", instructions="pay", model=model, tools=[send_money])
            result = await Runner.run(agent, "pay i1", run_config=RunConfig(tracing_disabled=True))
            return str(result.final_output)

    return lambda: asyncio.run(main())


def pydantic_agent(url: str, paid: list[str], *, asynchronous: bool) -> Any:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def pay(invoice: str) -> str:
        paid.append(invoice)
        return f"paid on {penstock.trust().level}"

    async def pay_async(invoice: str) -> str:
        return pay(invoice)

    async def main() -> str:
        async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0) as client:
            agent = Agent(OpenAIChatModel("big", provider=OpenAIProvider(openai_client=client)))
            agent.tool_plain(pay_async if asynchronous else pay, name="send_money")
            try:
                return str((await agent.run("pay i1")).output)
            except penstock.TrustTooLow as refused:  # of a tool's exceptions it hands none but its own back
                return f"not done: {refused}"

    return lambda: asyncio.run(main())


BUILDERS = {"langgraph": langgraph_agent, "agents": openai_agent, "pydantic-ai": pydantic_agent}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("framework", BUILDERS)
def test_a_tool_that_a_framework_runs_knows_the_trust_of_its_task(
    penstock_enforcing, paying_model, server, framework, asynchronous
):
    paid: list[str] = []
    run = BUILDERS[framework](server.url, paid, asynchronous=asynchronous)
    with penstock.task("pay"):
        assert run() == "done: paid on primary"
        assert penstock.trust().level == "primary"
    assert paid == ["i1"]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("framework", BUILDERS)
def test_a_rule_in_toml_keeps_a_frameworks_tool_from_running_on_a_fallbacks_answer(
    penstock_enforcing, paying_model, server, framework, asynchronous
):
    paid: list[str] = []
    run = BUILDERS[framework](server.url, paid, asynchronous=asynchronous)
    paying_model["down"] = True
    with penstock.task("pay"):
        told = run()
        assert "done" in told
        assert "paid" not in told
        assert penstock.trust().level == "fallback"
    assert paid == []


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("framework", BUILDERS)
def test_a_rule_in_toml_runs_a_frameworks_tool_once_per_key(
    penstock_enforcing, paying_model, server, framework, asynchronous
):
    paid: list[str] = []
    run = BUILDERS[framework](server.url, paid, asynchronous=asynchronous)
    for _ in range(2):
        with penstock.task("pay"):
            assert run() == "done: paid on primary"
    assert paid == ["i1"]


def test_a_tool_class_with_a_run_of_its_own_is_guarded_too(penstock_enforcing):
    from langchain_core.tools import BaseTool

    paid: list[str] = []

    class SendMoney(BaseTool):
        name: str = "send_money"
        description: str = "pay"

        def _run(self, invoice: str) -> str:
            paid.append(invoice)
            return "paid"

    with penstock.lineage():
        assert SendMoney().invoke({"invoice": "i1"}) == "paid"
        assert SendMoney().invoke({"invoice": "i1"}) == "paid"
        penstock.distrust("stale prices")
        with pytest.raises(penstock.TrustTooLow):
            SendMoney().invoke({"invoice": "i2"})
    assert paid == ["i1"]


def test_a_marked_tool_is_guarded_by_its_name(penstock_enforcing):
    paid: list[str] = []

    @penstock_tool
    def send_money(invoice: str) -> str:
        paid.append(invoice)
        return "paid"

    @penstock_tool(name="send_money")
    async def send_money_async(invoice: str) -> str:
        return send_money(invoice)

    with penstock.lineage():
        assert send_money("i1") == send_money("i1") == "paid"
        assert asyncio.run(send_money_async("i2")) == "paid"
        penstock.distrust("stale prices")
        with pytest.raises(penstock.TrustTooLow):
            asyncio.run(send_money_async("i3"))
    assert paid == ["i1", "i2"]


def test_an_mcp_tool_is_guarded_by_its_name_and_replayed(penstock_enforcing):
    from mcp.client import Client
    from mcp.server.mcpserver import MCPServer

    paid: list[str] = []
    server = MCPServer("bank")

    @server.tool()
    def send_money(invoice: str) -> str:
        """Pay an invoice."""
        paid.append(invoice)
        if invoice == "bad":
            raise TimeoutError("the bank did not answer")
        return f"receipt {invoice}"

    async def main() -> None:
        async with Client(server) as client:
            with penstock.lineage():
                first = await client.call_tool("send_money", {"invoice": "i1"})
                assert "receipt i1" in str(first)
                assert await client.call_tool("send_money", {"invoice": "i1"}) == first
                failed = await client.call_tool("send_money", {"invoice": "bad"})
                assert failed.is_error
                with pytest.raises(penstock.OutcomeUnknown):
                    await client.call_tool("send_money", {"invoice": "bad"})
                penstock.distrust("stale prices")
                with pytest.raises(penstock.TrustTooLow):
                    await client.call_tool("send_money", {"invoice": "i2"})

    asyncio.run(main())
    assert paid == ["i1", "bad"]


def test_a_frameworks_failed_tool_is_unknown_and_not_recorded_as_done(
    penstock_enforcing, paying_model, server
):
    from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool

    tried: list[str] = []

    @function_tool
    def send_money(invoice: str) -> str:
        """Pay an invoice."""
        tried.append(invoice)
        raise TimeoutError("the bank did not answer")

    async def main() -> str:
        async with openai.AsyncOpenAI(api_key="k", base_url=server.url, max_retries=0) as client:
            model = OpenAIChatCompletionsModel(model="big", openai_client=client)
            agent = Agent(name="payer", instructions="pay", model=model, tools=[send_money])
            result = await Runner.run(agent, "pay i1", run_config=RunConfig(tracing_disabled=True))
            return str(result.final_output)

    with penstock.task("pay"):
        for _ in range(2):
            assert "An error occurred" in asyncio.run(main())
    assert tried == ["i1"]
    assert penstock_enforcing.telemetry.registry.value(m.IRREVERSIBLE, ("unknown",)) == 2
