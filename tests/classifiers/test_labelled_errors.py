"""Accuracy on real errors. The rules' author saw these files: the bars only keep what was reached."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from penstock.classifiers import Verdict, classify, evidence_of_row

SETS = [
    "dev",
    "fresh",
    "fresh_2",
    "fresh_3",
    "fresh_4",
    "fresh_5",
    "fresh_6",
    "fresh_7",
    "fresh_8",
    "fresh_9",
]
FAULTS = {"caller_config": "caller", "provider_or_network": "network"}
Ask = Callable[..., Verdict]
Labelled = Callable[[str], list[dict[str, Any]]]


def _macro_f1(pairs: list[tuple[str, str]]) -> float:
    right = Counter(truth for truth, found in pairs if truth == found)
    true, given = Counter(truth for truth, _ in pairs), Counter(found for _, found in pairs)
    return sum(2 * right[name] / (true[name] + given[name]) for name in true) / len(true)


@pytest.mark.parametrize("name", SETS)
def test_accuracy_on_real_errors(name: str, labelled: Labelled, ask: Ask) -> None:
    pairs = [(row["label_class"], ask(row).error_class.value) for row in labelled(name)]
    assert sum(truth == found for truth, found in pairs) / len(pairs) >= 0.98
    assert _macro_f1(pairs) >= 0.97


@pytest.mark.parametrize("name", SETS)
def test_accuracy_when_nobody_says_whose_span_it_was(name: str, labelled: Labelled, ask: Ask) -> None:
    found = [ask(row, span_kind=None).error_class.value == row["label_class"] for row in labelled(name)]
    assert sum(found) / len(found) >= 0.9


@pytest.mark.parametrize("name", SETS)
def test_retryable_agrees(name: str, labelled: Labelled, ask: Ask) -> None:
    rows = [row for row in labelled(name) if row["retryable"] is not None]
    assert sum(ask(row).retryable == row["retryable"] for row in rows) / len(rows) >= 0.98


@pytest.mark.parametrize("name", SETS)
def test_exhausted_money_is_never_called_retryable(name: str, labelled: Labelled, ask: Ask) -> None:
    wrong = [r["id"] for r in labelled(name) if r["label_class"] == "quota" and ask(r).retryable]
    assert wrong == []


@pytest.mark.parametrize("name", SETS)
def test_a_tool_failure_is_never_blamed_on_the_provider(name: str, labelled: Labelled, ask: Ask) -> None:
    rows = [row for row in labelled(name) if row["label_class"] == "tool"]
    assert {ask(row).error_class.value for row in rows} <= {"tool", "model", "cancelled", "unknown"}


def test_faults_limits_and_waits_are_read_off(labelled: Labelled, ask: Ask) -> None:
    rows = [row for row in labelled("dev") if ask(row).error_class.value == row["label_class"]]
    assert all(ask(row).fault == FAULTS.get(row["fault"], row["fault"]) for row in rows)
    waits = [(row["retry_after_s"], ask(row).retry_after) for row in rows if row["retry_after_s"]]
    assert len(waits) >= 5
    assert all(found == pytest.approx(told) for told, found in waits)
    limits = [row["limit_dimension"] == ask(row).limit_dimension for row in rows]
    assert sum(limits) / len(limits) >= 0.98


def test_the_same_text_is_a_tools_in_a_tool_span_and_not_in_an_llm_span(labelled: Labelled, ask: Ask) -> None:
    for row in labelled("dev") + labelled("fresh"):
        in_tool, in_llm = ask(row, span_kind="tool"), ask(row, span_kind="llm")
        assert in_tool.error_class.value in {"tool", "model", "cancelled"}, row["id"]
        assert in_llm.error_class.value != "tool", row["id"]


def test_a_remembered_verdict_is_the_one_a_first_look_gives(labelled: Labelled) -> None:
    evidence = [evidence_of_row(row) for name in SETS for row in labelled(name)]
    first = [classify(replace(seen, body=seen.body or {})) for seen in evidence]
    assert [classify(seen) for seen in evidence] == first
    assert [classify(seen) for seen in evidence] == first
    other = replace(evidence[0], message="Overloaded", body=None)
    assert classify(other) != classify(replace(other, message="Incorrect API key provided"))
