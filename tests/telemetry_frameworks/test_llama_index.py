"""LlamaIndex needs openai 2, so it runs in the other environment; what it did is in the span file."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

OPENAI_2 = Path(__file__).parents[2] / ".venv-openai2" / "bin" / "python"
APP = '''
import asyncio, sys
import penstock

url, path, broken = sys.argv[1], sys.argv[2], sys.argv[3] == "fails"
runtime = penstock.instrument(spans=path, limit="off")
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI


def search(query: str) -> str:
    """Search for something."""
    if broken:
        raise ConnectionError("429 Too Many Requests")
    return "found"


async def main():
    agent = FunctionAgent(name="helper", tools=[FunctionTool.from_defaults(search)], llm=llm)
    return str(await agent.run("look it up"))


llm = OpenAI(model="gpt-4o", api_base=url, api_key="sk-t")
with penstock.task("plain"):
    assert str(llm.complete("x")) == "done"
assert asyncio.run(main()) == "done"
runtime.shutdown()
'''


@pytest.mark.parametrize("outcome", ["works", "fails"])
def test_an_agent_run_is_a_task_with_all_that_it_did(simulator, play, read_spans, tmp_path, outcome):
    path = tmp_path / "spans.jsonl"
    retried = (play.limited, play.limited)
    play(*retried, play.says_done, *retried, play.calls_tool, play.says_done)
    done = subprocess.run(
        [OPENAI_2, "-W", "ignore", "-c", APP, f"{simulator.url}/v1", path, outcome],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spans = read_spans(path)
    assert Counter(span.kind for span in spans) == {"task": 2, "operation": 3, "attempt": 7, "tool": 1}
    told = {span.name: span for span in spans if span.kind == "task"}
    assert {name: span["penstock.task.attempts"] for name, span in told.items()} == {
        "task plain": 3,
        "task helper": 4,
    }
    assert [span["penstock.attempts"] for span in spans if span.kind == "operation"] == ["3", "3", "1"]
    (tool,) = (span for span in spans if span.kind == "tool")
    assert tool.parent == told["task helper"].id
    assert tool["penstock.error.class"] == ("tool" if outcome == "fails" else None)
