"""A minute of the soak: faults come one after another through every part, and the books agree."""

import json

import pytest

from benchmarks.soak import __main__ as soak
from benchmarks.soak.faults import FAULTS


@pytest.mark.timeout(300)
def test_nothing_that_was_acknowledged_is_lost(capsys, tmp_path):
    code = soak.main(
        ["--seconds", "60", "--each", "2", "--rest", "1", "--json", "--folder", str(tmp_path / "soak")]
    )
    told = json.loads(capsys.readouterr().out)
    assert code == 0, told["checks"]
    assert {check["claim"]: check["seen"].strip() for check in told["checks"]}[
        "every acknowledged task is paid"
    ] == "0 lost"
    broken = {part for part, ways in FAULTS.items() for fault in told["faults"] if fault["fault"] in ways}
    assert len(broken) >= 5
