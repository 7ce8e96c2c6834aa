"""Marks of prompts: what they tell, and what they must not."""

from penstock.providers import PromptHead
from penstock.telemetry.prompt_marks import PARTS, PromptMarks, mark_prompt, place_of_part

HEAD = PromptHead(tools=b"[find]", system=b"be brief")


def part(mark, name):
    place = place_of_part(name)
    return mark[place : place + 8]


def test_one_credential_marks_alike_in_every_process_whatever_the_salt():
    assert mark_prompt(HEAD, "Bearer sk-1", b"a") == mark_prompt(HEAD, "Bearer sk-1", b"b")


def test_another_credential_or_salt_marks_otherwise_so_that_guesses_cannot_be_tested():
    keys = [("k1", b"a"), ("k2", b"a"), ("", b"a"), ("", b"b")]
    assert len({mark_prompt(HEAD, *key) for key in keys}) == 4


def test_what_is_remembered_is_what_would_be_hashed():
    marks = PromptMarks(b"salt")
    for head, credential in [(HEAD, "k"), (HEAD, ""), (HEAD, "k"), (PromptHead(first=b"hi"), "k")]:
        assert marks.mark(head, credential) == mark_prompt(head, credential, b"salt")


def test_each_part_stands_at_its_place_and_changes_alone():
    before = mark_prompt(HEAD, "k", b"")
    after = mark_prompt(PromptHead(tools=HEAD.tools, system=b"be long"), "k", b"")
    assert [name for name in PARTS if part(before, name) != part(after, name)] == ["system"]
    assert part(before, "first") == "--------"
