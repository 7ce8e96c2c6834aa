"""kill -9 at every step of the ledger: at most once, and unknown is said and never guessed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("crashing_payer.py")


@pytest.fixture(params=["sqlite", "redis"], scope="module")
def rows(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, object]]:
    folder = tmp_path_factory.mktemp("crashes")
    store = redis_url if request.param == "redis" else str(folder / "ledger.db")
    command = [sys.executable, str(SCRIPT), store, str(folder / "effects")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_killed_anywhere_it_is_paid_at_most_once_and_told_right(rows):
    by_step = {row["step"]: (row["paid"], row["told"]) for row in rows if row["step"] != "any"}
    fresh, unknown_unpaid, unknown_paid = (1, "receipt"), (0, "unknown"), (1, "unknown")
    expected = {
        # Nothing was claimed: the restarted payer pays.
        "find": fresh,
        "found": fresh,
        "begin": fresh,
        "in_begin": fresh,
        # Claimed, not yet paid: nobody can know that, so nobody pays again.
        "begun": unknown_unpaid,
        "pay": unknown_unpaid,
        # Paid, not yet recorded.
        "paid": unknown_paid,
        "end": unknown_paid,
        "in_end": unknown_paid,
        # Recorded: the result is replayed.
        "ended": fresh,
        "never": fresh,
    }
    assert by_step == {step: expected[step] for step in by_step}
    killed = {row["step"] for row in rows if row["killed"]}
    assert killed >= by_step.keys() - {"never"}


def test_killed_at_any_moment_it_is_paid_at_most_once(rows):
    chance = [row for row in rows if row["step"] == "any"]
    assert len(chance) == 15
    for row in chance:
        assert row["paid"] <= 1
        assert row["told"] in ("receipt", "unknown")
        if row["told"] == "receipt":
            assert row["paid"] == 1
