"""The view that `penstock traces clickhouse-schema` prints holds what the verbs read."""

import sys
from urllib.parse import urlsplit

from penstock.analysis import open_spans
from penstock.analysis._columns import COLUMNS
from penstock.cli import app


def printed(capsys, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["penstock", "traces", "clickhouse-schema", *words])
    app.main()
    return capsys.readouterr().out


def test_the_view_has_our_columns(table, engine, recorded, capsys, monkeypatch):
    spans = recorded(5).spans
    address = table(spans)
    name = urlsplit(address).query.removeprefix("table=")
    text = printed(capsys, monkeypatch, "--table", name, "--view", "it`s ours")
    statement, _, grants = text.partition(";\n\n")
    asked = "SELECT trace_id, span_id, role, pool, input_tokens FROM `it\\`s ours` ORDER BY span_id"
    with engine.lock:
        engine.set({})
        engine.run(statement)
        columns = engine.run("DESCRIBE TABLE `it\\`s ours`", "TabSeparated").decode().splitlines()
        held = engine.run(asked, "TabSeparated").decode().splitlines()
    assert [line.split("\t")[0] for line in columns] == list(COLUMNS)
    with open_spans([address]) as view:
        rows = view.rows(
            "SELECT trace_id, span_id, role, pool, input_tokens FROM every_span ORDER BY span_id"
        )
    assert held == ["\t".join("\\N" if v is None else str(v) for v in row.values()) for row in rows]
    assert f"GRANT SELECT ON `default`.`{name}`" in grants
