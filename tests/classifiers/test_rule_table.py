"""Every rule is reachable, sourced, and right about its own examples."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.classifiers import Rule, classify, evidence_of_row
from penstock.classifiers._classify import active
from penstock.classifiers._needs import needed_words, needs, split, trimmed
from penstock.classifiers._pattern import Pattern
from penstock.classifiers._plain import Plain, plain
from penstock.classifiers.rules import RULES

TEXTS = [text for rule in RULES for text in (rule.text, rule.unless) if text]
ALTERNATIVES = sorted({part for text in TEXTS for part in split(text)})
RULE_IDS = [rule.id for rule in RULES]


def _decided_by(row: object) -> str:
    verdict = classify(evidence_of_row(row))  # type: ignore[arg-type]
    return next((seen.removeprefix("rule=") for seen in verdict.evidence if seen.startswith("rule=")), "")


@pytest.mark.parametrize("rule", RULES, ids=RULE_IDS)
def test_a_rule_decides_its_example_and_not_its_counterexample(rule: Rule) -> None:
    assert _decided_by(rule.example) == rule.id
    assert classify(evidence_of_row(rule.example)).error_class is rule.error_class
    assert _decided_by(rule.counterexample) != rule.id


@pytest.mark.parametrize("rule", RULES, ids=RULE_IDS)
def test_a_rule_names_its_source_and_a_condition(rule: Rule) -> None:
    assert rule.source
    conditions = (rule.signals, rule.statuses, rule.finishes, rule.text, rule.substrings, rule.spans)
    assert any(conditions)


def test_rule_ids_are_unique() -> None:
    assert len(set(RULE_IDS)) == len(RULE_IDS)


def test_no_signal_is_listed_where_an_earlier_rule_takes_it() -> None:
    shadowed = []
    for rule in RULES:
        if rule.text or rule.substrings or rule.headers:
            continue
        for signal in rule.signals:
            row: dict[str, object] = {
                "body": {"error": {"code": signal}},
                "span_kind": min(rule.spans or {"llm"}),
                "provider": min(rule.providers or {""}),
            }
            if rule.statuses and 0 not in rule.statuses:
                row["status_code"] = min(rule.statuses)
            if _decided_by(row) != rule.id:
                shadowed.append((rule.id, signal, _decided_by(row)))
    assert shadowed == []


def _samples(labelled: Callable[[str], list[dict[str, Any]]]) -> list[Plain]:
    texts = [str(rule.example.get("message", "")) for rule in RULES]
    texts += [str(row["message"]) for name in ("dev", "fresh") for row in labelled(name)]
    vocabulary = active().vocabulary
    return [
        plain(text, vocabulary)
        for text in [*texts, "", "a b c", "rate limité au début 速率限制 rate limit🚀"]
    ]


def test_skipping_alternatives_never_changes_an_answer(
    labelled: Callable[[str], list[dict[str, Any]]],
) -> None:
    samples = _samples(labelled)
    for text in set(TEXTS):
        slow = re.compile(r"\b(?:" + text.replace("~", r"(?:\S+ ){0,5}?") + r")\b")
        pattern = Pattern(text)
        for sample in samples:
            found = pattern.search(sample.text, sample.words)
            assert found == bool(slow.search(sample.text.strip())), (text, sample)


def test_a_pattern_knows_the_letters_it_needs() -> None:
    assert needs("rate limit(ed)? ~(reached|exceeded)") == (("rate limit",), ("reached", "exceeded"))
    assert needs("retr(y|ies) afte?r") == (("retr",), (" aft",))
    assert split("a(b|c)|d") == ["a(b|c)", "d"]


def test_a_pattern_knows_the_words_it_needs() -> None:
    assert set(needed_words("(hit|met) ~(the )?limits? (was )?(reached|gone)")) == {
        frozenset({"limit", "limits"}), frozenset({"reached", "gone"}), frozenset({"hit", "met"}),
    }  # fmt: skip
    assert needed_words("docs error code 429")[0] == {"docs"}
    assert needed_words("throttl(ed|ing)") == ({"throttled", "throttling"},)
    assert needed_words("time ?out( error)?") == ({"time", "timeout"},)
    assert needed_words("rate ?limit(s|ed)? (hit|met)") == (
        {"hit", "met"}, {"rate", "ratelimit", "ratelimits", "ratelimited"},
    )  # fmt: skip
    assert needed_words(r"\w*too_many\w*") == ()


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_an_alternative_matches_holds_the_words_it_needs(data: st.DataObject) -> None:
    """An alternative is filed under its words: a need that is no need would hide what it matches."""
    text = data.draw(st.sampled_from(ALTERNATIVES))
    said = data.draw(
        st.from_regex(re.compile(text.replace("~", r"(?:[a-z]{1,4} ){0,2}"), re.ASCII), fullmatch=True)
    )
    spoken = set(said.split())
    assert not [needed for needed in needed_words(trimmed(text)) if needed.isdisjoint(spoken)], said


def test_a_text_that_needs_no_words_is_given_some() -> None:
    """It would be tried on every message."""
    everywhere = [part for rule in RULES if not rule.words for part in split(rule.text) if part]
    assert [part for part in everywhere if not needed_words(trimmed(part))] == []


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.text and rule.words], ids=lambda rule: rule.id
)
def test_a_rule_is_tried_wherever_one_of_its_alternatives_could_match(rule: Rule) -> None:
    """A word forgotten in `words` would keep a pattern from ever being looked at."""
    needed = {alternative: needed_words(trimmed(alternative)) for alternative in split(rule.text)}
    unseen = [text for text, sets in needed.items() if sets and not any(s <= rule.words for s in sets)]
    assert unseen == []
