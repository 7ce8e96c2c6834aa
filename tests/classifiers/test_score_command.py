"""The benchmark scores any file of labelled errors."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_labelled_file_is_scored_beside_a_status_rule(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "status_code": 402, "message": None, "label_class": "quota", "retryable": False},
        {"status_code": 429, "body": {"error": {"code": "insufficient_quota"}}, "label_class": "quota"},
        {"id": "c", "message": "a riddle", "label_class": "auth", "adversarial": True},
        {"id": "d", "status_code": 429, "label_class": "auth", "ambiguous": True},
    ]
    file = tmp_path / "labelled.jsonl"
    file.write_text("\ufeff" + "".join(json.dumps(row) + "\n \n" for row in rows), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.classifiers.score", file, "--misses", "--confusion"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    first, ours, status, *_ = done.stdout.splitlines()
    assert first == "labelled.jsonl: 3 unambiguous rows"
    assert ours.startswith("penstock               acc 0.667")
    assert "billing retried 0" in ours
    assert "billing retried 1" in status
    assert "c: auth.None taken for unknown: 'a riddle'" in done.stdout
