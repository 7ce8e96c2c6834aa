"""The percentiles of live calls are the provider's own; other spans of the same calls tell other figures."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_streams_of_mixed_lengths_are_as_many_as_the_provider_served(tmp_path):
    path = tmp_path / "figures.json"
    for _ in range(3):  # a client that gets no processor reads late, and its figures are rightly others
        command = [sys.executable, "-m", "benchmarks.live_calls", "--json", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(path.read_text())
    p50, p95, p99 = ({name: figures[p] for name, figures in told.items()} for p in ("p50", "p95", "p99"))
    for p in (p50, p95, p99):
        assert p["the provider's log"] == p["penstock, live"] == p["penstock, attempt spans"] > 0
    for figure in ("mean", "seconds"):
        assert told["penstock, live"][figure] == told["penstock, attempt spans"][figure]
    assert p50["HTTP client spans"] < p50["the provider's log"]  # they end at the head of an answer
    assert told["SDK spans"]["mean"] > told["penstock, live"]["mean"]  # they hold the back-off
