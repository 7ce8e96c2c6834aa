"""The invoice agent is right on every run; its twin without guards shows that the days are bad ones."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    rows = tmp_path_factory.mktemp("days") / "days.jsonl"
    command = [sys.executable, "-m", "benchmarks.trust", "--runs", "15", "--json", str(rows)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "double payments" in done.stdout
    return [json.loads(line) for line in rows.read_text().splitlines()]


def sums(days, arm):
    names = ("double", "unverified", "wrong", "unpaid", "kills")
    return {name: sum(day[name] for day in days if day["arm"] == arm) for name in names}


def test_with_guards_nothing_is_paid_twice_wrongly_or_on_an_unverified_answer(days):
    guarded = sums(days, "guarded")
    assert guarded.pop("kills") > 0
    assert guarded == {"double": 0, "unverified": 0, "wrong": 0, "unpaid": 0}


def test_without_guards_the_same_days_go_wrong_in_every_way(days):
    unguarded = sums(days, "unguarded")
    assert min(unguarded[name] for name in ("double", "unverified", "wrong")) > 0


def test_the_example_pays_every_invoice_once_and_right_over_real_http_and_kill_9():
    command = [sys.executable, str(ROOT / "examples" / "invoice_agent" / "run.py"), "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("10 of 10 invoices paid; 0 twice, 0 wrongly;")
