"""`penstock classify`: text, a row, JSONL; bad lines; explanations."""

# ruff: noqa: E501 - rows are written as they are typed

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
FIELDS = {
    "id", "class", "group", "layer", "reason", "retryable", "retry_after", "fault", "limit_dimension",
    "side_effects", "evidence", "confidence",
}  # fmt: skip


@pytest.fixture
def run() -> Run:
    def call(*args: str, stdin: str | bytes = "") -> subprocess.CompletedProcess[str]:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "penstock", "classify", *args], input=data, capture_output=True, timeout=60
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return call


def test_jsonl_in_is_jsonl_out_in_order_with_null_for_absent(run: Run) -> None:
    rows = [
        {"id": "a", "status_code": 429, "headers": {"Retry-After": "7"}},
        {"id": 2, "message": "Error code: 400 - {'error': {'code': 'context_length_exceeded'}}"},
        {"span_kind": "tool", "message": "429 Too Many Requests", "extra": [1]},
        {"id": "empty"},
    ]
    done = run(stdin="".join(json.dumps(row) + "\n\n" for row in rows))
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [(row["id"], row["class"]) for row in out] == [
        ("a", "rate_limit"), (2, "context_length"), (None, "tool"), ("empty", "unknown"),
    ]  # fmt: skip
    assert all(row.keys() >= FIELDS for row in out)
    assert out[0]["retry_after"] == 7.0
    assert out[1]["retry_after"] is None
    assert out[3]["limit_dimension"] is None


def test_a_bad_line_is_located_and_the_good_rows_are_kept(run: Run) -> None:
    done = run(
        stdin='nonsense\n{"id": 1, "status_code": 401}\n[1]\n{"id": 2,\n{"id": 3, "status_code": 529}\n'
    )
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 3]
    assert [line for line in ("line 1", "line 3", "line 4") if line in done.stderr] == [
        "line 1",
        "line 3",
        "line 4",
    ]
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_odd_values_are_survived(run: Run) -> None:
    odd = [
        {"id": 1, "status_code": "429", "headers": ["x"], "body": 7, "span_kind": "banana", "message": 5},
        {"id": 2, "status_code": 99999999999999, "headers": None, "exception_type": ["x"], "provider": {}},
        {"id": 3, "message": "\ud800 lone", "body": {"error": None}, "status_code": True},
        {"id": 4, "body": '{"error": {"code": "insufficient_quota"}}', "status_code": 429.0},
    ]
    done = run(stdin="\ufeff" + "".join(json.dumps(row) + "\r\n" for row in odd))
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [row["id"] for row in out] == [1, 2, 3, 4]
    assert [row["class"] for row in out] == ["rate_limit", "unknown", "unknown", "quota"]


def test_bytes_that_are_not_utf_8_are_survived(run: Run) -> None:
    done = run(stdin=b'{"id": 1, "message": "caf\xe9 429 Too Many Requests"}\n')
    assert json.loads(done.stdout)["class"] == "rate_limit"


def test_an_error_text_is_answered_for_people(run: Run) -> None:
    done = run("openai.APITimeoutError: Request timed out.")
    assert done.stdout.startswith("timeout.client_read")
    assert "retry         yes" in done.stdout


def test_a_text_on_stdin_is_one_error(run: Run) -> None:
    done = run(
        stdin="Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nopenai.RateLimitError: 429 {'code': 'insufficient_quota'}\n"
    )
    assert done.stdout.startswith("quota.insufficient_quota")


def test_an_error_text_can_be_answered_in_json(run: Run) -> None:
    assert json.loads(run("529 Overloaded", "--format", "json").stdout)["class"] == "overloaded"


def test_a_row_as_argument_and_a_pretty_printed_row_on_stdin(run: Run) -> None:
    row = {"id": "r", "provider": "anthropic", "status_code": 529}
    assert json.loads(run(json.dumps(row)).stdout)["class"] == "overloaded"
    assert json.loads(run(stdin=json.dumps(row, indent=2)).stdout)["id"] == "r"


ROWS = [{"id": 1, "status_code": 402}, {"id": 2, "status_code": 529}]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_json_array_of_rows_is_answered_row_by_row(run: Run, indent: int | None) -> None:
    done = run(stdin=json.dumps(ROWS, indent=indent))
    assert [json.loads(line)["class"] for line in done.stdout.splitlines()] == ["quota", "overloaded"]
    assert done.returncode == 0


def test_what_is_no_row_in_an_array_is_located(run: Run) -> None:
    done = run(json.dumps([*ROWS, 7]))
    assert len(done.stdout.splitlines()) == 2
    assert "item 3: not a JSON object: '7'" in done.stderr
    assert done.returncode == 2


def test_an_error_body_is_an_error_however_it_is_given(run: Run) -> None:
    body = {"error": {"code": "insufficient_quota", "message": "x"}}
    assert json.loads(run(json.dumps(body)).stdout)["class"] == "quota"
    assert json.loads(run(stdin=json.dumps({"id": 4, **body})).stdout)["class"] == "quota"
    assert run(json.dumps([body])).stdout.startswith("quota.")
    assert run(json.dumps(body)[:-3]).stdout.startswith("quota.")


def test_a_broken_first_line_does_not_hide_the_rows_behind_it(run: Run) -> None:
    for broken in ('{"id": 0, ', "[1]", "nonsense"):
        done = run(stdin=broken + '\n{"id": 1, "status_code": 402}\n')
        assert json.loads(done.stdout)["class"] == "quota"
        assert "line 1" in done.stderr
        assert done.returncode == 2


def test_what_json_cannot_spell_is_null(run: Run) -> None:
    done = run(stdin='{"id": NaN, "status_code": Infinity, "message": "a\\u0000b 429"}\n')
    assert "NaN" not in done.stdout
    assert json.loads(done.stdout)["id"] is None


def test_a_file_is_read(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "errors.jsonl"
    file.write_text('{"id": 1, "status_code": 402}\n')
    assert json.loads(run(str(file)).stdout)["class"] == "quota"


def test_explain_shows_the_walk(run: Run) -> None:
    text = run("429 Rate limit exceeded", "--explain").stdout
    assert "DECIDED  text" in text
    assert "source: " in text
    walk = json.loads(
        run(
            stdin='{"status_code": 429}\n{"status_code": 500}\n{"a": 1}',
        ).stdout.splitlines()[0]
    )
    assert "explanation" not in walk
    walk = json.loads(run("--explain", stdin='{"status_code": 429}\n').stdout)
    assert walk["explanation"]["steps"][-1] == {
        "rule": "http.429", "tier": "status", "verdict": "rate_limit.unspecified", "held": True,
        "source": "RFC 9110 §15; RFC 6585",
    }  # fmt: skip


def test_own_rules_come_first(run: Run, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nid = "acme.busy"\nverdict = "overloaded.capacity"\nsignals = "ACME_BUSY"\nproviders = "acme"\n'
    )
    row = '{"provider": "acme", "status_code": 400, "body": {"code": "ACME_BUSY"}}'
    assert json.loads(run(row).stdout)["class"] == "invalid_request"
    assert json.loads(run(row, "--rules", str(rules)).stdout)["class"] == "overloaded"


def test_what_stayed_unknown_is_exported_scrubbed(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "unknown.jsonl"
    rows = [
        {
            "id": 1,
            "message": "Flux capacitor misaligned for bob@example.com key sk-abcdefghijklmnop at /home/bob/x",
        },
        {"id": 2, "status_code": 429},
    ]
    run("--export-unknown", str(out), stdin="".join(json.dumps(row) + "\n" for row in rows))
    (row,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert row["message"] == "Flux capacitor misaligned for <email> key <key> at <path>"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("nowhere.jsonl",), "no such file: nowhere.jsonl"),
        (("x", "--format", "xml"), "unknown format 'xml'"),
        (("x", "--rules", "/nowhere/rules.toml"), "cannot read rules"),
        (("x", "--export-unknown", "/nowhere/out.jsonl"), "cannot write"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_2(run: Run, args: tuple[str, ...], said: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_nothing_in_is_nothing_out(run: Run) -> None:
    assert run(stdin="").stdout == ""
    assert run(stdin="\n\n").returncode == 0
