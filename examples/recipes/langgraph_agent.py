"""A LangGraph fan-out as it is, and how many branches fit.

penstock run --limit python examples/recipes/langgraph_agent.py
"""

import asyncio
import operator
from typing import Annotated, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

model = ChatOpenAI(model="gpt-5-mini")


class Survey(TypedDict):
    topics: list[str]
    notes: Annotated[list[str], operator.add]


async def study(state: dict[str, str]) -> dict[str, list[str]]:
    answer = await model.ainvoke(f"What is new in {state['topic']}?")
    return {"notes": [str(answer.content)]}


def branches(state: Survey) -> list[Send]:
    return [Send("study", {"topic": topic}) for topic in state["topics"]]


graph = StateGraph(Survey)
graph.add_node("study", study)
graph.add_conditional_edges(START, branches, ["study"])
graph.add_edge("study", END)

done = asyncio.run(graph.compile().ainvoke({"topics": [f"topic {n}" for n in range(20)], "notes": []}))
print(f"{len(done['notes'])} notes")
