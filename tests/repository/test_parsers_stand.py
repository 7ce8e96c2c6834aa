"""Every parser, on bytes near those that it knows: refuses clearly or answers, and never breaks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz.targets import SEEDS, TARGETS


@st.composite
def broken(draw, seeds):
    """A good input with a part cut out and something else put in its place."""
    seed = draw(st.sampled_from(seeds))
    start, stop = sorted((draw(st.integers(0, len(seed))), draw(st.integers(0, len(seed)))))
    junk = st.sampled_from(
        [b"", b"\x00", b"\xff\xfe", b"[" * 500, b'{"', b"1e999", b"NaN", b"-1", b"null", b"\r\n"]
    )
    return seed[:start] + draw(junk | st.binary(max_size=40)) + seed[stop:]


@pytest.mark.parametrize("name", TARGETS)
def test_a_broken_input_is_answered_or_refused(name):
    @settings(max_examples=150, deadline=None)
    @given(data=broken(SEEDS[name]))
    def stands(data):
        TARGETS[name](data)

    stands()
