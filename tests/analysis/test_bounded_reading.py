"""Cutting text into records: any block size gives the same, and no record is held that is too large."""

import gzip
import json
import tracemalloc

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.analysis import errors
from penstock.analysis.formats import _text
from penstock.errors import UsageError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='a{}[]"\\\n é', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='k{"', max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.lists(
    st.dictionaries(st.text(alphabet="xyz{", min_size=1, max_size=3), VALUES, max_size=3),
    min_size=1,
    max_size=5,
)


def pieces(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)]


@settings(max_examples=150, deadline=None)
@given(
    objects=OBJECTS, size=st.integers(1, 40), wrap=st.sampled_from(["stream", "array", "batches", "indented"])
)
def test_values_are_found_whatever_the_blocks(objects, size, wrap):
    text = {
        "stream": lambda: "\n".join(json.dumps(one) for one in objects),
        "array": lambda: json.dumps(objects),
        "batches": lambda: json.dumps({"resourceSpans": objects, "trailing": "}]"}),
        "indented": lambda: json.dumps(objects, indent=3),
    }[wrap]()
    splitter = _text._Splitter()
    found = [chunk for piece in pieces(text.encode(), size) for chunk in splitter.feed(piece)]
    found += splitter.close()
    whole = [chunk for chunk in found if not chunk.last]
    assert [json.loads(chunk.data) for chunk in whole] == objects
    assert all(text.encode()[chunk.offset : chunk.offset + len(chunk.data)] == chunk.data for chunk in whole)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(_text, "LARGEST_RECORD", 50_000)
    monkeypatch.setattr(_text, "BLOCK", 10_000)


@pytest.mark.parametrize("filler", [b" ", b"x", b'\\"', b"[", b'{"a":', b"1,"])
def test_a_line_that_is_too_large_is_skipped_and_located(small, filler, opened, formats, recorded):
    truth = recorded(1)
    rows = formats.lines(truth.spans).splitlines(keepends=True)
    big = b'{"resourceSpans":"' + filler * (400_000 // len(filler)) + b'"}\n'
    with opened(b"".join([*rows[:5], big, *rows[5:]])) as view:
        told = errors(view).data
    assert told["attempts"] == truth.level("attempts")
    assert told["quality"]["bad_records"] == 1
    assert told["quality"]["bad_places"][0]["offset"] == sum(map(len, rows[:5]))


@pytest.mark.parametrize("filler", [b" ", b"x", b'\\"'])
def test_a_value_that_is_too_large_is_skipped_in_bounded_memory(small, filler):
    size = 20_000_000
    head, tail = b'{"a":\n"', b'"}\n{"b":\n1}\n'
    blocks = [head, *[filler * (10_000 // len(filler))] * (size // 10_000), tail]
    tracemalloc.start()
    found = list(_text.values(iter(blocks)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [bool(chunk.oversized) for chunk in found] == [True, False]
    assert found[0].offset == 0
    assert json.loads(found[1].data) == {"b": 1}
    assert peak < 1_000_000


@pytest.mark.parametrize("pack", [lambda data: gzip.compress(data, 1), zstandard.compress])
@pytest.mark.parametrize("content", [b" ", b"\x00", b"a"])
def test_a_bomb_is_refused_in_one_line(pack, content, opened):
    bomb = pack(content * (30 << 20))
    tracemalloc.start()
    with pytest.raises(UsageError), opened(bomb):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20


def test_a_frame_that_unpacks_to_a_bomb_is_counted(monkeypatch, opened, formats, recorded):
    from penstock.analysis.formats import _source

    monkeypatch.setattr(_source, "LARGEST_FRAME", 1 << 20)
    truth = recorded(1)
    good = formats.framed_zstd(truth.spans)
    bomb = formats.framed(iter([zstandard.compress(b" " * (8 << 20))]))
    with opened(good + bomb) as view:
        told = errors(view).data
    assert told["attempts"] == truth.level("attempts")
    assert told["quality"]["bad_records"] == 1


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_cut_archive_answers_with_what_was_whole(pack, opened, formats, recorded):
    truth = recorded(1, calls=300)
    data = pack(formats.lines(truth.spans))
    with opened(data[: len(data) * 2 // 3]) as view:
        told = errors(view).data
        said = view.truncations
    assert 0 < told["attempts"]["total"] < truth.attempts
    assert len(said) == 1
    assert "byte" in said[0]
