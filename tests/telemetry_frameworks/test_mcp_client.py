"""Tools of MCP servers, in memory and over stdio: `isError` is the tool's failure, never the provider's."""

import asyncio
import sys

import pytest

from penstock.telemetry import metrics as m
from penstock.telemetry.tools import tool

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

SERVER = '''
from mcp.server.mcpserver import MCPServer

server = MCPServer("bank")


@server.tool()
def balance(account: str) -> str:
    """Tell a balance."""
    if account == "busy":
        raise RuntimeError("429 Too Many Requests: rate_limit_error")
    return "5"


if __name__ == "__main__":
    server.run("stdio")
'''


@pytest.fixture(params=["memory", "stdio"])
def target(request, tmp_path):
    path = tmp_path / "bank.py"
    path.write_text(SERVER)
    if request.param == "memory":
        made = {"__name__": "bank"}
        exec(SERVER, made)
        return made["server"]
    from mcp.client.stdio import StdioServerParameters, stdio_client

    return stdio_client(StdioServerParameters(command=sys.executable, args=[str(path)]))


def test_a_result_that_says_error_is_class_tool(scene, target):
    from mcp.client import Client

    async def main():
        async with Client(target) as client:
            assert not (await client.call_tool("balance", {"account": "mine"})).is_error
            assert (await client.call_tool("balance", {"account": "busy"})).is_error

    asyncio.run(main())
    tools = [span for span in scene.told() if span.kind == "tool"]
    assert [span["penstock.error.class"] for span in tools] == [None, "tool"]
    assert {span["gen_ai.tool.name"] for span in tools} == {"balance"}
    assert "Too Many" not in str([span.facts for span in tools])
    assert scene.counted(m.TOOLS) == {("balance", "ok"): 1, ("balance", "tool"): 1}
    assert scene.counted(m.ATTEMPTS) == {}


def test_a_tool_that_only_passes_on_to_a_server_is_one_execution(scene):
    from langchain_core.tools import tool as langchain_tool
    from mcp.client import Client

    made = {"__name__": "bank"}
    exec(SERVER, made)

    async def main():
        async with Client(made["server"]) as client:

            @langchain_tool
            @tool(name="balance")
            async def balance(account: str) -> str:
                """Tell a balance."""
                return str((await client.call_tool("balance", {"account": account})).content)

            await balance.ainvoke({"account": "busy"})

    asyncio.run(main())
    (span,) = (span for span in scene.told() if span.kind == "tool")
    assert span["penstock.error.class"] == "tool"  # nobody raised; the server's answer said so
    assert scene.counted(m.TOOLS) == {("balance", "tool"): 1}
