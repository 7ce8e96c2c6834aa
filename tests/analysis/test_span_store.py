"""A second command is answered from the store, and stays right when the file changes."""

import os

import pytest

from penstock.analysis import _ingest, _resolve, _store, errors, open_spans
from penstock.analysis._columns import COLUMNS
from penstock.analysis._resolve import DERIVED


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


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_every_span_is_the_same_however_files_are_cut(rows, monkeypatch, tmp_path, recorded, formats):
    spans = recorded(11, calls=60).spans
    path = tmp_path / "a.jsonl"
    path.write_bytes(formats.lines([*spans, *spans[:9]], 2))
    whole = every_span(path, tmp_path / "whole")
    monkeypatch.setattr(_ingest, "RANGE", 8_000)
    monkeypatch.setattr(_ingest, "PARALLEL_FROM", 10_000)
    monkeypatch.setattr(_resolve, "_SLICE", rows)
    assert every_span(path, tmp_path / "cut") == whole
    assert len(list((tmp_path / "cut").rglob("part-*.parquet"))) > 3
    assert len(list((tmp_path / "cut").rglob("found-*.parquet"))) > 1


def every_span(path, store):
    columns = ", ".join(name for name in (*COLUMNS, *DERIVED) if name != "call_id")
    with open_spans([str(path)], store=store) as view:
        rows = view.rows(f"SELECT {columns} FROM spans ORDER BY trace_id, span_id")
        calls = view.rows(
            "SELECT list(span_id ORDER BY span_id) AS ids FROM spans GROUP BY call_id ORDER BY ids"
        )
    return rows, calls


def test_what_other_code_read_is_read_anew(monkeypatch, total, reads, tmp_path, recorded, formats):
    path = tmp_path / "a.jsonl"
    path.write_bytes(formats.lines(recorded(1).spans))
    total(path)
    monkeypatch.setattr(_store, "_version", lambda: "newer")
    assert total(path) == recorded(1).attempts
    assert reads == ["_read_anew", "_read_anew"]
