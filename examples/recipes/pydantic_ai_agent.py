"""A pydantic-ai agent with a tool: what the tool raises is never blamed on the model's provider.

penstock run --limit python examples/recipes/pydantic_ai_agent.py
"""

from pydantic_ai import Agent

import penstock

agent = Agent("openai-chat:gpt-5-mini", instructions="Answer in one sentence.")


@agent.tool_plain
@penstock.tool
def stock(item: str) -> int:
    """Count what is left of an item."""
    return len(item)


with penstock.task("stock question", deadline_seconds=60):
    print(agent.run_sync("How many penstocks are left?").output)
