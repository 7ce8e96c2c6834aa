"""A question to files that were read before loads nothing that reads, classifies or asks ClickHouse."""

import subprocess
import sys

HEAVY = ("pyarrow", "msgspec", "penstock.classifiers", "penstock.limiter", "clickhouse_connect", "starlette")
SCRIPT = """
import sys
from penstock.analysis import concurrency, errors, open_spans
with open_spans([sys.argv[1]], store=__import__("pathlib").Path(sys.argv[2])) as spans:
    for verb in (errors, concurrency):
        verb(spans)
print(*sys.modules)
"""


def test_a_second_question_loads_little(tmp_path, recorded, formats):
    path = tmp_path / "spans.jsonl"
    path.write_bytes(formats.lines(recorded(1).spans))
    command = [sys.executable, "-c", SCRIPT, str(path), str(tmp_path / "store")]
    loaded = [
        set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        for _ in range(2)
    ]
    assert loaded[0] >= {"pyarrow", "penstock.classifiers"}
    assert not loaded[1] & set(HEAVY)
