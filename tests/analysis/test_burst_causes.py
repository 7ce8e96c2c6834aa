"""Which part of the prompts changed in a burst of cache misses, on spans that a real client made."""

import dataclasses
import json

import openai
import pytest

import penstock
from penstock.analysis import bursts
from penstock.analysis.verbs import _prefixes
from penstock.simulator import Config, profile, serve
from penstock.simulator.scenario import Distribution

START = 1_760_000_000_000_000_000
WINDOW = 10_000_000_000
CALLS_A_WINDOW = 10
CALM, BURST, AFTER = 3, 1, 2
LONG = "be careful " * 500


def request(system=LONG, tool="find", first="hello"):
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": first})
    tools = [{"type": "function", "function": {"name": tool, "parameters": {"type": "object"}}}]
    return {"model": "gpt-5", "messages": messages, "max_tokens": 5} | ({"tools": tools} if tool else {})


@pytest.fixture
def told_of(tmp_path, opened):
    """Send what `ask(number, bursting)` gives: calm, a burst, calm again; answer `bursts` of the spans."""

    def record(ask, *, calm=CALM):
        path = tmp_path / "spans.jsonl"
        at_once = Distribution("constant", 0.0)
        pool = dataclasses.replace(profile("openai", rpm=0), latency_seconds=at_once)
        with serve(Config(pools=(pool,))) as simulator:
            runtime = penstock.instrument(spans=str(path))
            with openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="sk-1") as client:
                for number in range((calm + BURST + AFTER) * CALLS_A_WINDOW):
                    bursting = calm <= number // CALLS_A_WINDOW < calm + BURST
                    client.chat.completions.create(**ask(number, bursting))
            runtime.shutdown()
        with opened(b"".join(spread(path))) as view:
            return bursts(view)

    return record


def spread(path):
    """Give each call its own time, so that a second's calls fill minutes."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    spans = [(line, line["resourceSpans"][0]["scopeSpans"][0]["spans"][0]) for line in lines]
    begun = {}
    for _, span in sorted(spans, key=lambda pair: int(pair[1]["startTimeUnixNano"])):
        begun.setdefault(span["traceId"], (len(begun), int(span["startTimeUnixNano"])))
    for line, span in spans:
        number, began = begun[span["traceId"]]
        moved = START + number * WINDOW // CALLS_A_WINDOW - began
        for key in ("startTimeUnixNano", "endTimeUnixNano"):
            span[key] = str(int(span[key]) + moved)
        yield json.dumps(line).encode() + b"\n"


CHANGES = {
    "tools": lambda number: request(tool=f"find_{number}"),
    "system": lambda number: request(system=f"It is {number} past ten. {LONG}"),
    "first": lambda number: request(system="", tool="", first=f"It is {number} past ten. {LONG}"),
}
BEFORE = {"tools": {}, "system": {}, "first": {"system": "", "tool": "", "first": LONG}}


@pytest.mark.parametrize("part", CHANGES)
def test_the_part_that_changed_is_named_with_its_versions_and_since_when(told_of, part):
    answer = told_of(lambda number, bursting: CHANGES[part](number) if bursting else request(**BEFORE[part]))
    (burst,) = answer.data["bursts"]
    assert (burst["start_ns"], burst["seconds"]) == (START + CALM * WINDOW, BURST * 10)
    assert burst["cause"] == "prefix_change"
    (changed,) = burst["changed"]
    assert changed == {
        "part": part,
        "new_versions": BURST * CALLS_A_WINDOW,
        "first_seen_ns": pytest.approx(START + CALM * WINDOW, abs=WINDOW // CALLS_A_WINDOW),
        "calls_ratio": 1.0,
    }


def test_a_few_versions_behind_many_misses_are_counted_as_what_they_are(told_of):
    """Three new prompts; what stands behind them is new in each call, so that all of them miss."""

    def ask(number, bursting):
        short = f"Version {number % 3}. " if bursting else "Version 0. "
        return request(system=f"{short}Be careful.", first=f"{number * bursting} {LONG}")

    (burst,) = told_of(ask).data["bursts"]
    assert [(part["part"], part["new_versions"]) for part in burst["changed"]] == [("system", 2)]
    assert burst["changed"][0]["calls_ratio"] == pytest.approx(2 / 3, abs=0.1)


def test_prompts_that_begin_as_before_blame_the_cache(told_of):
    answer = told_of(
        lambda number, bursting: request(system="Be careful.", first=f"{number * bursting} {LONG}")
    )
    (burst,) = answer.data["bursts"]
    assert (burst["cause"], burst["changed"]) == ("eviction", [])
    assert any("prompts begin as before" in line for line in answer.lines)


def test_a_version_that_returns_after_many_calls_is_new_again(told_of, monkeypatch):
    monkeypatch.setattr(_prefixes, "REMEMBERED_CALLS", CALLS_A_WINDOW)

    def ask(number, bursting):
        window = number // CALLS_A_WINDOW
        return request(
            system="old" if window == 0 or bursting else "new", first=f"{number * bursting} {LONG}"
        )

    (burst,) = told_of(ask).data["bursts"]
    assert [part["part"] for part in burst["changed"]] == ["system"]


def test_first_messages_that_are_always_new_are_not_blamed(told_of):
    """Two calls a conversation; in the burst only one, so that every call misses."""

    def ask(number, bursting):
        return request(system="", tool="", first=f"{number if bursting else number // 5} {LONG}")

    (burst,) = told_of(ask, calm=5).data["bursts"]
    assert (burst["cause"], burst["changed"]) == (None, [])


def test_spans_without_marks_and_bursts_at_the_very_beginning_are_not_explained(told_of):
    answer = told_of(lambda number, bursting: request(system=f"{number * bursting} {LONG}"), calm=0)
    (burst,) = answer.data["bursts"]
    assert (burst["cause"], burst["changed"]) == (None, [])
    assert any("cannot tell whether prompts changed" in line for line in answer.lines)


def test_a_part_that_is_another_one_in_every_call_is_told_though_nothing_bursts(told_of):
    answer = told_of(lambda number, bursting: request(system=f"It is {number} past ten. {LONG}"))
    assert answer.data["bursts"] == []
    (pool,) = answer.data["pools"]
    calls = (CALM + BURST + AFTER) * CALLS_A_WINDOW
    assert pool["prompt_versions"]["system"] == {"calls": calls, "versions": calls}
    assert pool["prompt_versions"]["tools"] == {"calls": calls, "versions": 1}
    assert any(f"system prompt of {calls} versions in {calls} calls" in line for line in answer.lines)


def test_the_line_says_part_versions_time_and_share(told_of):
    answer = told_of(lambda number, bursting: CHANGES["system"](number) if bursting else request())
    assert answer.lines[1] == (
        "openai:gpt-5 08:53:50Z: system prompt changed: 10 new versions from 08:53:50Z, "
        "in 100% of the burst's calls"
    )
