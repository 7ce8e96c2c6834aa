"""ClickHouse and DuckDB give the same answers to the same SQL, from the same spans."""

import json
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import pytest

import penstock.analysis as ask
from penstock.analysis import Selection, open_spans
from penstock.analysis._columns import COLUMNS
from penstock.analysis._resolve import DERIVED

DIALECTS = json.loads(Path(__file__).parents[1].joinpath("dialect_calls.json").read_text())
S = 1_760_000_000_000_000_000
SEC = 1_000_000_000
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}
VERBS = ("summary", "errors", "concurrency", "storms", "fanout", "bursts", "quota", "trust", "quality")
NAMED_BY_SOURCE = {"source", "record", "call_id"}


def all_dialects(calls):
    return [span for i, held in enumerate(DIALECTS.values()) for span in calls(**held, trace=f"{i + 1:032x}")]


def all_defects(make_span):
    """Give duplicates, orphans, clock steps, ids of zeros, loops, HTTP attempts, odd values."""
    trace = "ab" * 16
    http = {"http.request.method": "POST", "http.response.status_code": 503, "server.address": "api"}

    def one(number, start, end, parent=None, trace=trace, **more):
        return make_span(trace, f"{number:016x}", parent, "chat", S + start, S + end, CHAT | more)

    spans = [one(i, i * SEC, (i + 2) * SEC) for i in range(1, 8)]
    spans += [one(3, 3 * SEC, 4 * SEC), one(4, 4 * SEC, 3 * SEC)]  # copies: a shorter one, an impossible one
    spans += [one(8, 8 * SEC, 9 * SEC, "f" * 16), one(9, 9 * SEC, 7 * SEC)]
    spans += [one(10, 20 * SEC, 30 * SEC), one(11, 19 * SEC, 22 * SEC, f"{10:016x}")]
    spans += [one(12, SEC, SEC, trace="0" * 32), one(0, SEC, 2 * SEC)]
    spans += [one(13, 40 * SEC, 41 * SEC, f"{14:016x}"), one(14, 40 * SEC, 41 * SEC, f"{13:016x}")]
    spans += [one(15, 50 * SEC, 55 * SEC)]
    spans += [make_span(trace, "16" * 8, f"{15:016x}", "POST", S + 50 * SEC, S + 51 * SEC, http, 3, 2)]
    odd = {
        "gen_ai.usage.input_tokens": "12.0", "gen_ai.usage.output_tokens": "many",
        "gen_ai.response.finish_reasons": '["length", "stop"]', "gen_ai.agent.name": '["not json',
        "gen_ai.request.stream": "True", "http.response.status_code": 99_999_999_999,
        "quote's \\ key": "line\nend", "penstock.attempts": "nan",
        "penstock.quota.requests.limit": "0.1", "penstock.retry_after_seconds": "2.675",
        "gen_ai.server.time_to_first_token": "inf",
    }  # fmt: skip
    spans += [one(17, 60 * SEC, 61 * SEC, **odd)]
    events = [
        ("gen_ai.content.completion.chunk", S + 62 * SEC + 7, {}),
        ("exception", S + 63 * SEC, {"exception.type": "First", "exception.message": "one"}),
        ("exception", S + 63 * SEC, {"exception.type": "Second"}),
    ]
    spans += [make_span(trace, "18" * 8, None, "chat", S + 62 * SEC, S + 63 * SEC, CHAT, 3, 2, "no", events)]
    return spans


@pytest.fixture(scope="module", params=["recording", "dialects", "defects"])
def spans(request, recorded, calls, make_span):
    if request.param == "recording":
        return recorded(3).spans
    return all_dialects(calls) if request.param == "dialects" else all_defects(make_span)


@pytest.fixture(scope="module")
def both(spans, table, formats, tmp_path_factory):
    """Open the same spans from a file of `otel_traces` and from the table itself."""
    folder = tmp_path_factory.mktemp("both")
    file = folder / "spans.parquet"
    file.write_bytes(formats.clickhouse(spans))
    with ExitStack() as stack:
        yield [
            stack.enter_context(open_spans([name], store=folder / "store"))
            for name in (str(file), table(spans))
        ]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_answers_the_same(verb, both):
    answers = [getattr(ask, verb)(spans) for spans in both]
    data = [json.loads(json.dumps(answer.data, sort_keys=True)) for answer in answers]
    assert data[0] == data[1]
    assert answers[0].lines == answers[1].lines
    assert answers[0].tables == answers[1].tables


def test_every_column_of_every_span_is_the_same(both):
    files, server = (_by_span(spans) for spans in both)
    assert files.keys() == server.keys()
    differ = [
        (span, name, held, server[span][name])
        for span, row in files.items()
        for name, held in row.items()
        if held != server[span][name]
    ]
    assert differ == []


def test_spans_in_calls_group_alike(both):
    groups = []
    for spans in both:
        held = defaultdict(set)
        for row in spans.rows("SELECT call_id, trace_id, span_id FROM spans WHERE call_id IS NOT NULL"):
            held[row["call_id"]].add((row["trace_id"], row["span_id"]))
        groups.append({frozenset(group) for group in held.values()})
    assert groups[0] == groups[1]


@pytest.mark.parametrize("by", ["minute,status", "hour,service,reason", "dimension,agent,task"])
def test_groups_are_the_same(by, both):
    for verb in (ask.errors, ask.concurrency, ask.storms):
        told = [verb(spans, by.split(",")).data for spans in both]
        assert told[0] == told[1]


@pytest.mark.parametrize("spans", ["recording"], indirect=True)
class TestOfTheRecording:
    """Verbs that write, simulate or compare."""

    def test_replay_is_the_same(self, both):
        told = [ask.replay(spans, ask.WhatIf(30)).data for spans in both]
        assert told[0] == told[1]

    def test_compare_is_the_same(self, both):
        files, server = both
        assert ask.compare(files, server).data == ask.compare(server, files).data
        assert {change["difference"] for change in ask.compare(files, server).data["changes"]} == {0}

    def test_the_report_page_is_the_same(self, both, tmp_path):
        pages = []
        for i, spans in enumerate(both):
            ask.report(spans, tmp_path / f"{i}.html")
            pages.append((tmp_path / f"{i}.html").read_text())
        assert pages[0] == pages[1]

    def test_the_users_sql_is_the_same(self, both):
        query = (
            "SELECT role, failed, count(*) AS n, sum(input_tokens) AS t FROM spans "
            "GROUP BY role, failed ORDER BY 1, 2"
        )
        told = [ask.sql(spans, query).data for spans in both]
        assert told[0] == told[1]

    @pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
    def test_an_export_reads_back_the_same(self, kind, both, tmp_path):
        told = []
        for i, spans in enumerate(both):
            path = tmp_path / f"{i}.{kind}"
            ask.export(spans, path)
            told.append(path.read_bytes().count(b"\n") if kind != "parquet" else _exported(path, tmp_path))
        assert told[0] == told[1]


@pytest.mark.parametrize("bounds", [(None, 9), (9, None), (9, 30)])
def test_a_window_is_the_same(bounds, recorded, table, opened, formats):
    spans = recorded(7, calls=25).spans
    since, until = (None if bound is None else S + bound * SEC for bound in bounds)
    chosen = Selection(since_ns=since, until_ns=until, where="provider = 'openai'")
    with (
        opened(formats.lines(spans), selection=chosen) as files,
        open_spans([table(spans)], selection=chosen) as held,
    ):
        told = [ask.summary(spans).data for spans in (files, held)]
    assert told[0]["attempts"]["total"] > 0
    assert told[0] == told[1]


def _exported(path, folder):
    with open_spans([str(path)], store=folder / "store") as spans:
        return _by_span(spans)


def _by_span(spans):
    columns = [name for name in (*COLUMNS, *DERIVED) if name not in NAMED_BY_SOURCE]
    rows = spans.rows(f"SELECT {', '.join(columns)} FROM spans")
    for row in rows:
        row["attrs"] = json.loads(row["attrs"]) if row["attrs"] else None
    return {(row["trace_id"], row["span_id"], row["start_ns"]): row for row in rows}
