"""A bad file for each way that a file can be bad: what it is called is what is wrong with it."""

import gzip
import io
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from penstock._config import load
from penstock.classifiers import load_rules
from penstock.cli import app
from penstock.errors import UsageError
from penstock.limiter import parse_settings
from penstock.simulator import load_scenario
from penstock.trust._configure import read_options

SPAN = {
    "traceId": "0123456789abcdef0123456789abcdef",
    "spanId": "0123456789abcdef",
    "name": "chat m",
    "startTimeUnixNano": "1",
    "endTimeUnixNano": "2",
}
OTHER = {**SPAN, "spanId": "1123456789abcdef"}
NUMBER = {"attributes": [{"key": "p", "value": {"intValue": "x"}}]}


def otlp(*spans, **batch):
    return json.dumps({"resourceSpans": [{**batch, "scopeSpans": [{"spans": spans}]}]}).encode() + b"\n"


def parquet():
    held = io.BytesIO()
    pq.write_table(pa.table({"price": [1]}), held)
    return held.getvalue()


REFUSED = [
    (b"", "the file is empty"),
    (b" \n\n", "the file is empty"),
    (gzip.compress(b""), "the file is empty"),
    (gzip.compress(otlp(SPAN) * 50)[:40], "gzip stream ends early"),
    (zstandard.compress(otlp(SPAN) * 50)[:9] + b"\xff" * 40, "zstd stream breaks"),
    (bytes(range(256)), "binary, or no JSON in it"),
    (b"hello\nworld\n", "binary, or no JSON in it"),
    (b'{"level":"info"}\n', "not a span in any known format"),
    (b"[" * 3000, "nothing in it is a span"),
    (b'{"resourceMetrics":[]}\n', "OTLP metrics, not traces"),
    (b'{"resourceLogs":[]}\n', "OTLP logs, not traces"),
    (parquet(), "a Parquet file, but not of spans; its columns are price"),
    (b"PAR1 damaged PAR1", "a damaged Parquet file"),
    (b"\x00\x00\x00\x09\n\xff\xff\xff\xff\xff\xff\xff\xff", "not OTLP protobuf"),
]

KEPT = [  # with one span that is whole: it is kept, the rest is counted and located
    (otlp(5, OTHER), "an object was expected, not int"),
    (b'{"resourceSpans":5}\n' + otlp(OTHER), "a list was expected, not int"),
    (otlp({**SPAN, "startTimeUnixNano": "x"}, OTHER), "a span is malformed"),
    (otlp({**SPAN, "startTimeUnixNano": str(2**70)}, OTHER), "does not fit in 64 bits"),
    (otlp({**SPAN, "kind": 77}, OTHER), "kind or status 77"),
    (otlp({**SPAN, **NUMBER}, OTHER), "a span is malformed"),
    (otlp(OTHER, resource=NUMBER), "a resource is malformed"),
    (b'{"resourceSpans": [{broken\n' + otlp(OTHER), "not JSON"),
    (b'{"resourceSpans":' + b"[" * 3000 + b"]" * 3000 + b"}\n" + otlp(OTHER), "recursion"),
    (b"[5," + otlp(OTHER).strip() + b"]", "not a span in any known format"),
]


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    def ask(content):
        path = tmp_path / "file.bin"
        path.write_bytes(content)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(sys, "argv", ["penstock", "traces", "quality", str(path), "--format", "json"])
        code = 0
        try:
            app.main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return ask


@pytest.mark.parametrize(("content", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_a_file_of_no_spans_is_refused_in_one_line(ask, content, said):
    code, out, err = ask(content)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize(("content", "said"), KEPT, ids=[said for _, said in KEPT])
def test_what_is_whole_is_kept_and_what_is_not_is_counted(ask, content, said):
    code, out, err = ask(content)
    assert (code, err) == (0, "")
    told = json.loads(out)["quality"]
    assert (told["spans"], told["bad_records"]) == (1, 1)
    assert said in told["bad_places"][0]["reason"]


def test_the_end_of_a_file_that_is_being_written_is_told(ask):
    code, out, err = ask(otlp(SPAN) + otlp(OTHER)[:50])
    assert code == 0
    assert f"begins at byte {len(otlp(SPAN))}; the rest was read" in err
    assert json.loads(out)["quality"]["truncated_records"] == 1


CONFIGURATIONS = [
    ("no toml at all", "not valid TOML"),
    ("limt = 'enforce'", "unknown option 'limt'"),
    ("limit = 'yes'", "must be one of off, observe, enforce"),
    ("limit = 3", "limit"),
    ("metrics_port = 'http'", "must be a port"),
    ("metrics_port = 70000", "must be a port"),
    ("requests_per_minute = 'many'", "requests_per_minute"),
    ("max_concurrency = -1", "above 0"),
    ("headroom_ratio = 2", "headroom_ratio"),
    ("queue_limit = nan", "a number"),
    ("queue_limit = inf", "a whole number"),
    (f"requests_per_minute = {10**400}", "a number"),
    (f"[pools.a]\nrequests_per_minute = {10**400}", "a smaller number"),
    ("pools = 3", "pools"),
    ("[pools]\na = 3", "must be a table"),
    ("[pools.a]\nrpm = 3", "unknown option 'rpm' of pool 'a'"),
    ("[pools.a]\nfallback = 'b'", "fallback"),
    ("[pools.a]\nfallback = [3]", "fallback"),
    ("[pools.a]\nfallback = [{regions = ['eu']}]", "pool"),
    ("names = ['a']", "names"),
    ("[trust]\nleger = 'memory'", "leger"),
    ("[trust.tools.pay]\nrequires = 'certainty'", "certainty"),
    ("[trust.cache]\nttl = 3", "ttl"),
]


def configure(folder):
    settings = load(environ={}, folder=folder)
    parse_settings(settings.limiter)
    read_options(settings.trust)


@pytest.mark.parametrize(("text", "said"), CONFIGURATIONS, ids=[text for text, _ in CONFIGURATIONS])
def test_a_wrong_configuration_names_what_is_wrong(tmp_path, text, said):
    (tmp_path / "penstock.toml").write_text(text)
    with pytest.raises(UsageError) as refused:
        configure(tmp_path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


POOL = '[[pools]]\nname = "a"\n'
SCENARIOS = [
    ("no toml at all", "not TOML"),
    ("limit = 3", "unknown key 'limit'"),
    (POOL + "rpm = 3", "unknown key 'rpm'"),
    (POOL + "requests_per_minute = -3", "requests_per_minute"),
    (POOL + "requests_per_minute = 'many'", "requests_per_minute"),
    (POOL + "error_rates = {rain = 0.1}", "rain"),
    (POOL + "error_rates = {timeout = 3}", "timeout"),
    (POOL + "latency_seconds = {distribution = 'odd', mean = 1}", "odd"),
]


@pytest.mark.parametrize(("text", "said"), SCENARIOS, ids=[text for text, _ in SCENARIOS])
def test_a_wrong_scenario_names_what_is_wrong(tmp_path, text, said):
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        load_scenario(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("read", [load_scenario, load_rules])
def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path, read):
    path = tmp_path / "binary.toml"
    with pytest.raises(UsageError, match=r"binary\.toml|'binary'"):
        read(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"binary\.toml|'binary'"):
        read(path)
    assert isinstance(path, Path)
