"""A second command is answered from the store, and stays right when the file changes."""

import os

import pytest

from penstock.analysis import _ingest, _store, errors, open_spans


@pytest.fixture
def total(tmp_path):
    def ask(path):
        with open_spans([str(path)], store=tmp_path / "store") as view:
            return errors(view).data["attempts"]["total"]

    return ask


@pytest.fixture
def reads(monkeypatch):
    counted = []
    for name in ("_read_anew", "_read_on"):
        real = getattr(_ingest, name)
        monkeypatch.setattr(
            _ingest, name, lambda *words, _real=real, _name=name: (counted.append(_name), _real(*words))[1]
        )
    return counted


def test_an_unchanged_file_is_not_read_again(total, reads, tmp_path, recorded, formats):
    path = tmp_path / "a.jsonl"
    path.write_bytes(formats.lines(recorded(1).spans))
    assert total(path) == total(path) == recorded(1).attempts
    assert reads == ["_read_anew"]


def test_a_file_that_grew_is_read_on_even_from_inside_a_record(total, reads, tmp_path, recorded, formats):
    truth = recorded(6)
    data = formats.lines(truth.spans)
    path = tmp_path / "a.jsonl"
    for cut in (len(data) // 3, len(data) // 2 + 7, len(data)):
        path.write_bytes(data[:cut]) if not path.exists() else _append(path, data[path.stat().st_size : cut])
        told = total(path)
    assert told == truth.attempts
    assert reads == ["_read_anew", "_read_on", "_read_on"]


def _append(path, data):
    with path.open("ab") as out:
        out.write(data)


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_read_anew(
    total, reads, tmp_path, recorded, formats
):
    path = tmp_path / "a.jsonl"
    data = formats.lines(recorded(1).spans)
    path.write_bytes(data)
    total(path)
    stamp = path.stat()
    path.write_bytes(data.replace(b"rate_limit", b"overloaded"))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    total(path)
    assert reads == ["_read_anew", "_read_anew"]


def test_a_file_that_shrank_is_read_anew(total, reads, tmp_path, recorded, formats):
    path = tmp_path / "a.jsonl"
    path.write_bytes(formats.lines(recorded(1).spans))
    total(path)
    path.write_bytes(formats.lines(recorded(2).spans[:20]))
    assert total(path) < recorded(1).attempts
    assert reads == ["_read_anew", "_read_anew"]


def test_a_damaged_store_is_made_again(total, tmp_path, recorded, formats):
    path = tmp_path / "a.jsonl"
    path.write_bytes(formats.lines(recorded(1).spans))
    total(path)
    (manifest,) = (tmp_path / "store").rglob("manifest.json")
    manifest.write_text("{")
    assert total(path) == recorded(1).attempts


def test_only_the_user_may_look_into_the_store(total, tmp_path, recorded, formats):
    path = tmp_path / "a.jsonl"
    path.write_bytes(formats.lines(recorded(1).spans))
    total(path)
    assert _store.root(tmp_path / "store").stat().st_mode & 0o077 == 0


def test_a_large_file_is_read_in_parts_and_gives_the_same(monkeypatch, total, tmp_path, recorded, formats):
    truth = recorded(9, calls=200)
    path = tmp_path / "a.jsonl"
    path.write_bytes(formats.lines(truth.spans, 3))
    monkeypatch.setattr(_ingest, "RANGE", 20_000)
    monkeypatch.setattr(_ingest, "PARALLEL_FROM", 40_000)
    assert path.stat().st_size > 100_000
    assert total(path) == truth.attempts


def test_what_other_code_read_is_read_anew(monkeypatch, total, reads, tmp_path, recorded, formats):
    path = tmp_path / "a.jsonl"
    path.write_bytes(formats.lines(recorded(1).spans))
    total(path)
    monkeypatch.setattr(_store, "_version", lambda: "newer")
    assert total(path) == recorded(1).attempts
    assert reads == ["_read_anew", "_read_anew"]
