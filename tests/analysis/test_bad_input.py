"""Odd files: one clear line, exit 2; half-written ones are answered; nothing aborts."""

import json
import os
import subprocess
import sys

import pytest

from penstock.cli import app


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    def run(*words):
        monkeypatch.setattr(
            sys, "argv", ["penstock", "traces", *map(str, words), "--store", str(tmp_path / "store")]
        )
        code = 0
        try:
            app.main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize("verb", ["summary", "errors", "concurrency"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.jsonl", None),
        ("empty.jsonl", b""),
        ("blank.jsonl", b" \n\n"),
        ("binary.jsonl", bytes(range(256)) * 20),
        ("text.jsonl", b"hello\nworld\n"),
        ("foreign.jsonl", b'{"level":"info","msg":"started"}\n'),
        ("number.jsonl", b"12\n13\n"),
        ("metrics.jsonl", b'{"resourceMetrics":[]}\n'),
        ("table.parquet", b"PAR1 damaged PAR1"),
        ("frame.bin", b"\x00\x00\x00\x09\n\xff\xff\xff\xff\xff\xff\xff\xff"),
    ],
)
def test_a_file_that_is_no_trace_is_one_line_and_exit_2(verb, name, content, cli, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    code, out, err = cli(verb, path)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert name in err


def test_a_hostile_file_name_cannot_steer_the_terminal(cli, tmp_path):
    path = tmp_path / "x\x1b[31m'; DROP.jsonl"
    path.write_bytes(b"")
    code, _, err = cli("errors", path)
    assert code == 2
    assert "\x1b" not in err


@pytest.mark.parametrize("name", ["it's.jsonl", "a b.jsonl", "é\u202e.jsonl", "[x].jsonl", "*.jsonl"])
def test_odd_file_names_are_read(name, cli, tmp_path, recorded, formats):
    path = tmp_path / name
    path.write_bytes(formats.lines(recorded(1).spans))
    code, out, _ = cli("errors", path, "--format", "json")
    assert code == 0
    assert json.loads(out)["operations"]["total"] == recorded(1).operations


@pytest.mark.parametrize("batch", [1, 16])
def test_a_half_written_file_answers_and_names_the_offset(batch, cli, tmp_path, recorded, formats):
    data = formats.lines(recorded(2).spans, batch)
    rows = data.splitlines(keepends=True)
    offset = sum(map(len, rows[:-1]))
    path = tmp_path / "half.jsonl"
    path.write_bytes(data[: offset + len(rows[-1]) // 2])
    code, out, err = cli("errors", path, "--format", "json")
    assert code == 0
    assert err.count("\n") == 1
    assert f"byte {offset};" in err
    told = json.loads(out)
    assert told["quality"]["truncated_records"] == 1
    assert told["quality"]["spans"] == len(recorded(2).spans) - (len(recorded(2).spans) % batch or batch)


def test_a_file_cut_in_its_first_record_answers_with_nothing(cli, tmp_path, recorded, formats):
    path = tmp_path / "half.jsonl"
    path.write_bytes(formats.lines(recorded(2).spans)[:120])
    code, out, err = cli("errors", path, "--format", "json")
    assert code == 0
    assert "byte 0;" in err
    assert json.loads(out)["attempts"] == {"total": 0, "failed": 0, "cancelled": 0, "by_class": {}}


def test_a_broken_row_is_counted_located_and_passed_over(cli, tmp_path, recorded, formats):
    truth = recorded(4)
    rows = formats.lines(truth.spans).splitlines(keepends=True)
    rows.insert(3, b'{"resourceSpans": [{broken\n')
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"".join(rows))
    code, out, _ = cli("errors", path, "--format", "json")
    told = json.loads(out)
    assert code == 0
    assert told["attempts"] == truth.level("attempts")
    assert told["quality"]["bad_records"] == 1
    assert told["quality"]["bad_places"][0]["offset"] == sum(map(len, rows[:3]))


def test_spans_of_a_malformed_resource_are_kept_and_it_is_counted(cli, tmp_path, recorded, formats):
    truth = recorded(1)
    request = json.loads(formats.lines(truth.spans, batch=len(truth.spans)))
    request["resourceSpans"][0]["resource"] = {
        "attributes": [{"key": "process.pid", "value": {"intValue": "24:5"}}]
    }
    path = tmp_path / "broken.jsonl"
    path.write_text(json.dumps(request))
    code, out, _ = cli("errors", path, "--format", "json")
    told = json.loads(out)
    assert code == 0
    assert told["attempts"] == truth.level("attempts")
    assert told["quality"]["bad_records"] == 1


def test_a_span_with_a_name_that_is_no_text_is_counted_and_the_others_kept(cli, tmp_path, recorded, formats):
    truth = recorded(2)
    rows = formats.lines(truth.spans).splitlines(keepends=True)
    head, key, tail = rows[1].rpartition(b'{"key": "')
    rows.insert(1, head + key + b"\xaa" + tail)
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"".join(rows))
    code, out, _ = cli("errors", path, "--format", "json")
    told = json.loads(out)
    assert code == 0
    assert told["attempts"] == truth.level("attempts")
    assert told["quality"]["bad_records"] == 1


def test_one_bad_file_among_good_ones_is_exit_2_and_prints_nothing(cli, tmp_path, recorded, formats):
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_bytes(formats.lines(recorded(1).spans))
    bad.write_bytes(b"")
    code, out, err = cli("errors", good, bad)
    assert (code, out) == (2, "")
    assert "bad.jsonl" in err


def test_a_folder_is_read_and_what_is_no_trace_in_it_is_passed_over(cli, tmp_path, recorded, formats):
    folder = tmp_path / "spans"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(formats.lines(recorded(1).spans))
    (folder / "notes.txt").write_text("nothing")
    code, out, _ = cli("errors", folder, "--format", "json")
    assert code == 0
    assert json.loads(out)["operations"]["total"] == recorded(1).operations


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "yaml"],
        ["--where", "model = "],
        ["--where", "1); COPY (SELECT 1"],
        ["--where", "nonsense = 1"],
        ["--since", "yesterday"],
        ["--by", "colour"],
        ["--fail-if", "p99"],
        ["--fail-if", "colour>1"],
    ],
)
def test_a_flag_that_makes_no_sense_is_one_line_and_exit_2(words, cli, tmp_path, recorded, formats):
    path = tmp_path / "a.jsonl"
    path.write_bytes(formats.lines(recorded(1).spans))
    code, _, err = cli("errors", path, *words)
    assert code == 2
    assert err.count("\n") == 1


def test_a_gate_that_holds_is_exit_1(cli, tmp_path, recorded, formats):
    path = tmp_path / "a.jsonl"
    path.write_bytes(formats.lines(recorded(1).spans))
    assert cli("concurrency", path, "--fail-if", "p99_live>0")[0] == 1
    assert cli("concurrency", path, "--fail-if", "p99_live>1000")[0] == 0
    assert cli("errors", path, "--fail-if", "attempts.failed>1%")[0] == 1
    assert cli("storms", path, "--by", "provider,service", "--fail-if", "pools>2")[0] == 0
    assert cli("storms", path, "--by", "provider,service", "--fail-if", "pools>1")[0] == 1
    assert cli("sql", "SELECT 1 FROM spans WHERE failed", path, "--fail-if", "rows>0")[0] == 1


@pytest.mark.parametrize("form", ["table", "csv", "md", "json"])
def test_names_cannot_carry_escapes_or_markup_into_the_output(form, cli, tmp_path, make_span, formats):
    evil = "\x1b]0;owned\x07[red]=cmd|\u202e<script>"
    held = {"gen_ai.operation.name": "chat", "gen_ai.request.model": evil, "error.type": "E"}
    path = tmp_path / "evil.jsonl"
    path.write_bytes(
        formats.lines([make_span("ab" * 16, "01" * 8, None, evil, 10**18, 10**18 + 5, held, 3, 2)])
    )
    code, out, _ = cli("summary", path, "--format", form)
    assert code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    if form == "md":
        assert "<script>" not in out


def test_stdin_is_read_and_a_closed_pipe_is_quiet(tmp_path, recorded, formats):
    data = formats.lines(recorded(1).spans)
    command = [sys.executable, "-m", "penstock", "traces", "errors", "-", "--format", "json"]
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(command, input=data, capture_output=True, env=env, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)["operations"]["total"] == recorded(1).operations
    assert done.stderr == b""
