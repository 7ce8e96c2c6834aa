"""A minute of the soak: faults come one after another, and the books agree."""

import pytest

from benchmarks.soak import __main__ as soak


@pytest.mark.timeout(300)
def test_nothing_that_was_acknowledged_is_lost(capsys, tmp_path):
    code = soak.main(["--seconds", "60", "--each", "2", "--rest", "1", "--folder", str(tmp_path / "soak")])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "0 lost" in told
