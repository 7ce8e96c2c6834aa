"""What was asked before is told again without opening anything, and never told of other spans."""

import json

import duckdb
import pytest

from penstock.analysis import (
    Selection,
    _engine,
    _foreseen,
    _store,
    bursts,
    errors,
    fanout,
    open_spans,
    quality,
    quota,
    storms,
    summary,
    trust,
)  # fmt: skip
from penstock.cli import traces


@pytest.fixture
def opened(monkeypatch):
    counted = []
    real = _engine.connect
    monkeypatch.setattr(_engine, "connect", lambda *words: (counted.append(words), real(*words))[1])
    return counted


@pytest.fixture
def ask(tmp_path):
    def told(path, verb=errors, **selection):
        with open_spans([str(path)], store=tmp_path / "store", selection=Selection(**selection)) as spans:
            return verb(spans).data

    return told


@pytest.fixture
def path(tmp_path, recorded, formats):
    file = tmp_path / "a.jsonl"
    file.write_bytes(formats.lines(recorded(1).spans))
    return file


def test_a_question_asked_again_opens_no_database_and_has_the_same_answer(ask, path, opened):
    first = ask(path, summary)
    before = len(opened)
    assert ask(path, summary) == first
    assert len(opened) == before


def test_a_question_that_another_one_contains_is_known_too(ask, path, opened):
    ask(path, summary)
    before = len(opened)
    assert ask(path)["attempts"]["total"] > 0
    assert len(opened) == before


def test_a_selection_is_always_asked(ask, path, opened):
    whole = ask(path)
    before = len(opened)
    some = ask(path, where="failed")
    assert some["attempts"]["total"] == whole["attempts"]["failed"]
    assert len(opened) > before


def test_answers_about_older_spans_are_not_told_of_newer_ones(ask, path, tmp_path, recorded, formats):
    ask(path)
    (kept,) = (tmp_path / "store").rglob("answers.json")
    older = kept.read_text()
    path.write_bytes(formats.lines(recorded(2).spans[:20]))
    truth = ask(path)
    kept.write_text(older)  # as a program that had the older ones open would
    assert ask(path) == truth


def test_of_many_spans_the_next_questions_are_asked_when_they_are_read(ask, path, opened, monkeypatch):
    verbs = (storms, bursts, trust, fanout, quota)
    truth = [ask(path, verb) for verb in verbs]
    monkeypatch.setattr(_store, "_version", lambda: "newer")
    monkeypatch.setattr(_foreseen, "WORTH_ASKING", 1)
    ask(path)
    before = len(opened)
    assert [ask(path, verb) for verb in verbs] == truth
    assert len(opened) == before


def test_what_would_make_reading_long_waits_until_it_is_asked(ask, path, opened, monkeypatch):
    monkeypatch.setattr(_foreseen, "WORTH_ASKING", 1)
    monkeypatch.setattr(_foreseen, "QUICK_TO_ASK", 1)
    ask(path)
    before = len(opened)
    for verb, more in ((storms, 0), (fanout, 1), (quota, 2)):
        ask(path, verb)
        assert len(opened) == before + more


def test_what_waited_is_asked_once_the_first_answer_is_out(ask, path, opened, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_foreseen, "QUICK_TO_ASK", 1)
    store = tmp_path / "store"
    shown = []
    real = _foreseen.after_an_answer
    monkeypatch.setattr(
        _foreseen, "after_an_answer", lambda spans: (shown.append(capsys.readouterr().out), real(spans))
    )
    traces.answer(quality, [str(path)], "json", traces.Request(None, None, None, None, store))
    assert '"duplicates"' in shown[0]
    before = len(opened)
    for verb in (fanout, quota):
        ask(path, verb)
    assert len(opened) == before
    monkeypatch.setattr(_foreseen, "_each", lambda spans: pytest.fail("all of it is known"))
    traces.answer(quality, [str(path)], "json", traces.Request(None, None, None, None, store))


def test_what_comes_from_a_pipe_is_asked_nothing_more(path, monkeypatch, capsys):
    monkeypatch.setattr(_foreseen, "after_an_answer", lambda spans: pytest.fail("nobody can ask again"))
    with path.open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        traces.answer(quality, ["-"], "json", traces.Request(None, None, None, None, None))
    assert "duplicates" in capsys.readouterr().out


@pytest.mark.parametrize("error", [KeyboardInterrupt, duckdb.OutOfMemoryException])
def test_what_stops_the_work_after_the_answer_takes_nothing_back(path, tmp_path, monkeypatch, capsys, error):
    def interrupted(spans):
        raise error

    monkeypatch.setattr(_foreseen, "after_an_answer", interrupted)
    traces.answer(quality, [str(path)], "json", traces.Request(None, None, None, None, tmp_path / "store"))
    assert "duplicates" in capsys.readouterr().out


def test_what_is_asked_to_find_something_is_not_kept_beside_it(ask, path, tmp_path):
    ask(path)
    (place,) = (tmp_path / "store").rglob("answers.json")
    before = len(json.loads(place.read_text())["answers"])
    ask(path, quota)
    assert len(json.loads(place.read_text())["answers"]) == before + 1


def test_a_quota_asked_again_opens_no_database(ask, path, opened):
    first = ask(path, quota)
    before = len(opened)
    assert ask(path, quota) == first
    assert len(opened) == before


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"of": 1}'])
def test_damaged_answers_are_asked_again(ask, path, tmp_path, damage):
    first = ask(path)
    (kept,) = (tmp_path / "store").rglob("answers.json")
    kept.write_text(damage)
    assert ask(path) == first
    assert json.loads(kept.read_text())["answers"]
