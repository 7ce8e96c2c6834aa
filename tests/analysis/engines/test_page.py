"""What docs/traces.md shows of ClickHouse is what its engine answers."""

import re
import shlex
import sys
from pathlib import Path

from penstock.cli import app

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"\$ (penstock traces errors clickhouse://.+?)\n(.*?)\n```", re.DOTALL)


def test_the_page_shows_what_the_table_answers(table, engine, capsys, monkeypatch):
    command, output = BLOCK.search((ROOT / "docs/traces.md").read_text()).groups()
    address = table([])
    name = address.rpartition("=")[2]
    with engine.lock:
        engine.set({})
        engine.run(f"INSERT INTO {name} SELECT * FROM file('{ROOT}/examples/traces/otel_traces.parquet')")
    words = [address if word.startswith("clickhouse://") else word for word in shlex.split(command)]
    monkeypatch.setattr(sys, "argv", words)
    app.main()
    assert capsys.readouterr().out.rstrip("\n") == output
