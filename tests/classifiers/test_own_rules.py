"""Rules in code, in TOML and from installed packages."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from penstock.classifiers import (
    Evidence,
    Tier,
    classify,
    explain,
    load_rules,
    register_entry_points,
    register_rules,
    reset_rules,
    rule,
)
from penstock.classifiers._classify import _memory
from penstock.errors import UsageError

BUSY = rule(
    "acme.busy", "overloaded.capacity", tier=Tier.SIGNAL, signals="ACME_BUSY", source="acme docs",
    example={}, not_example={},
)  # fmt: skip
EVIDENCE = Evidence(status=400, code="ACME_BUSY", provider="acme")


def more_rules() -> list[object]:
    return [BUSY]


def test_a_rule_in_code_decides_and_can_be_taken_back() -> None:
    assert classify(EVIDENCE).error_class.value == "invalid_request"
    register_rules([BUSY])
    assert classify(EVIDENCE).error_class.value == "overloaded"
    assert classify(EVIDENCE).evidence[0] == "rule=acme.busy"
    reset_rules()
    assert classify(EVIDENCE).error_class.value == "invalid_request"


def test_a_rule_with_a_built_in_id_takes_its_place() -> None:
    register_rules(
        [
            rule(
                "http.429",
                "quota.plan",
                tier=Tier.STATUS,
                statuses="429",
                source="us",
                example={},
                not_example={},
            )
        ]
    )
    assert classify(Evidence(status=429)).error_class.value == "quota"


def test_an_installed_package_brings_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("acme", f"{__name__}:more_rules", "penstock.classifiers")
    monkeypatch.setattr(EntryPoint, "load", lambda _: more_rules)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    register_entry_points()
    assert classify(EVIDENCE).error_class.value == "overloaded"


def test_a_toml_rule_may_use_every_condition(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("""
        [[rule]]
        id = "acme.nap"
        verdict = "overloaded.capacity"
        tier = "text"
        providers = ["acme"]
        words = "napping"
        text = "server ~napping"
        statuses = "0 418"
        retryable = true
        limit_dimension = "nap"
    """)
    register_rules(load_rules(file))
    verdict = classify(Evidence(provider="acme", message="The server is napping."))
    assert (verdict.error_class.value, verdict.limit_dimension) == ("overloaded", "nap")
    assert (
        classify(Evidence(provider="other", message="The server is napping.")).error_class.value == "unknown"
    )


def test_substrings_are_found_in_any_alphabet_and_case() -> None:
    acme = {"source": "acme", "example": {}, "not_example": {}}
    register_rules([
        rule("acme.down", "overloaded.capacity", tier=Tier.TEXT, substrings=("ACME-7",), **acme),  # type: ignore[arg-type]
        rule("acme.spent", "quota.plan", tier=Tier.TEXT, substrings=("счёт пуст",), **acme),  # type: ignore[arg-type]
    ])  # fmt: skip
    said = ("see acme-7 for more", "see acme 7", "Счёт пуст!", "счёт полон")
    found = [classify(Evidence(message=message)).error_class.value for message in said]
    assert found == ["overloaded", "unknown", "quota", "unknown"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"no \[\[rule\]\] table"),
        ("[[rule]", "cannot read rules"),
        ("rule = [1]", "1 is no table"),
        ('[[rule]]\nid = "x"', "id and verdict are needed"),
        ('[[rule]]\nid = "x"\nverdict = "nope"\nsignals = "Y"', "nope"),
        ('[[rule]]\nid = "x"\nverdict = "auth"', "give a condition"),
        ('[[rule]]\nid = "x"\nverdict = "auth"\nsignals = "Y"\ncolour = 1', "unknown field 'colour'"),
        ('[[rule]]\nid = "x"\nverdict = "auth"\nsignals = "Y"\ntier = "best"', "tier is one of"),
        ('[[rule]]\nid = "x"\nverdict = "auth"\nwords = "z"\ntext = "(z"', "missing"),
        ('[[rule]]\nid = "x"\nverdict = "auth"\nstatuses = "many"', "many"),
        ('[[rule]]\nid = "x"\nverdict = "auth"\nwords = "z"\ntext = "[z"', "rule 1"),
        ('[[rule]]\nid = "x"\nverdict = "auth"\nwords = "z"\ntext = "z{2,1}"', "rule 1"),
    ],
)
def test_a_bad_rule_file_is_the_users_error_and_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        load_rules(file)


def test_a_text_needs_no_words_and_words_are_a_condition(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("""
        [[rule]]
        id = "acme.nap"
        verdict = "overloaded.capacity"
        tier = "text"
        text = "server ~napping|\\\\w*asleep\\\\w*"

        [[rule]]
        id = "acme.snack"
        verdict = "overloaded.capacity"
        tier = "text"
        words = "acme"
        text = "eating a \\\\w+"
    """)
    register_rules(load_rules(file))
    said = ("The server is napping.", "it was _asleep_ again", "eating a pie", "acme is eating a pie")
    found = [classify(Evidence(message=message)).error_class.value for message in said]
    assert found == ["overloaded", "overloaded", "unknown", "overloaded"]


def test_every_condition_of_a_rule_must_hold() -> None:
    acme = {"headers": "x-shed", "source": "acme", "example": {}, "not_example": {}}
    register_rules(
        [
            rule("acme.shed", "overloaded.shed", tier=Tier.SIGNAL, signals="busy", **acme),  # type: ignore[arg-type]
            rule("acme.cut", "model.cut", tier=Tier.FINISH, finishes="cut", **acme),  # type: ignore[arg-type]
        ]
    )
    shed = {"x-shed": "1"}
    assert classify(Evidence(code="busy", headers=shed)).reason == "shed"
    assert classify(Evidence(code="busy", headers={"x-other": "1"})).reason != "shed"
    assert classify(Evidence(finish_reason="cut", headers=shed)).reason == "cut"
    assert classify(Evidence(finish_reason="stop", code="busy", headers=shed)).reason == "shed"


def test_what_is_remembered_is_bounded() -> None:
    for number in range(3000):
        classify(Evidence(status=429, code=f"E{number}"))
    assert 0 < len(_memory) <= 1024
    assert classify(Evidence(status=402)) is classify(Evidence(status=402))


def test_explain_names_the_rules_that_were_tried_and_the_one_that_decided() -> None:
    walk = explain(Evidence(status=429, code="insufficient_quota", provider="openai"))
    held = [step for step in walk.steps if step.held]
    assert held[0].rule == "quota.code"
    assert walk.verdict.evidence[0] == "rule=quota.code"
    assert walk.signals == ("insufficient_quota",)
    assert all(step.source for step in walk.steps)
    assert {"dashscope.token_limit"} <= {step.rule for step in walk.steps if not step.held}
