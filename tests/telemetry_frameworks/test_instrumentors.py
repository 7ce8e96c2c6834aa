"""Beside other instrumentors, in any order, each call has one owner, all its attempts and its tokens once.

`python -m benchmarks.instrumentors` runs every pair and triple; these are some of each.
"""

import pytest

from benchmarks.instrumentors.__main__ import findings_of
from benchmarks.instrumentors.cells import Cell

ORDERS = {
    "openai": [
        ("penstock", "genai/openai"),
        ("openinference/openai", "penstock"),
        ("openllmetry/openai", "penstock", "openinference/openai"),
        ("penstock", "httpx2", "openllmetry/openai"),
    ],
    "anthropic": [
        ("penstock", "openllmetry/anthropic"),
        ("openinference/anthropic", "genai/anthropic", "penstock"),
    ],
    "langchain": [
        ("penstock", "openinference/langchain"),
        ("openllmetry/langchain", "penstock"),
        ("openinference/langchain", "penstock", "openinference/openai"),
        ("penstock", "openllmetry/langchain", "openinference/langchain"),
    ],
    "pydantic-ai": [("penstock", "pydantic-ai"), ("pydantic-ai", "penstock", "openinference/openai")],
    "openai-agents": [("openai-agents", "penstock", "genai/openai")],
    "litellm": [("penstock", "litellm"), ("litellm", "openllmetry/openai", "penstock")],
}


@pytest.mark.parametrize("app", ORDERS)
def test_each_call_has_one_owner_all_its_attempts_and_its_tokens_once(simulator, play, app):
    cells = [Cell(app, order) for order in ORDERS[app]]
    findings = list(findings_of(cells, simulator.url))
    assert [finding.cell for finding in findings] == cells
    for finding in findings:
        assert finding.problems == [], finding
        assert 0 < finding.calls < finding.served == finding.attempts
        assert finding.roles["owner"] == finding.calls
        assert finding.adopted in (finding.calls, 0)
        assert finding.tokens_claimed > 0
    assert any(finding.adopted or "outer" in finding.roles for finding in findings)
