"""What wakes people: recording rules and alerts from one spec, in three formats, tested."""

from typing import Final

from penstock.alerts._cases import CASES, Case, documents
from penstock.alerts._formats import FORMATS, encode
from penstock.alerts._promtool import promtool
from penstock.alerts._rules import rule_set
from penstock.alerts._spec import Alert, Clock, Recording, RuleSet, Severity

RULE_FILE: Final = FORMATS["prometheus"][0]


def rule_files(rules: RuleSet) -> dict[str, str]:
    """Return the text of each format's file, by file name."""
    return {name: encode(document_of(rules)) for name, document_of in FORMATS.values()}


def test_files(rules: RuleSet) -> dict[str, str]:
    """Return the text of promtool's test files, by file name."""
    return {name: encode(document) for name, document in documents(rules, RULE_FILE).items()}


def shipped_files() -> dict[str, str]:
    """Return every committed file's text, by file name."""
    rules = rule_set()
    return rule_files(rules) | test_files(rules)


def check_rules(rules: RuleSet) -> tuple[bool, str]:
    """Run `promtool check rules` with every lint; return whether it passed, and what it said."""
    return promtool(["check", "rules", "--lint=all", "--lint-fatal", RULE_FILE], rule_files(rules))


def test_rules() -> tuple[bool, str]:
    """Run every alert's firing, quiet, no-data and recovery case."""
    files = shipped_files()
    tests = test_files(rule_set())
    return promtool(["test", "rules", *tests], files)


__all__ = [
    "CASES",
    "FORMATS",
    "RULE_FILE",
    "Alert",
    "Case",
    "Clock",
    "Recording",
    "RuleSet",
    "Severity",
    "check_rules",
    "rule_files",
    "rule_set",
    "shipped_files",
    "test_files",
    "test_rules",
]
