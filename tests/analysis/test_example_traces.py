"""The recorded examples: one recording in every format, one call in every dialect, all read alike."""

from pathlib import Path

import pytest

from penstock.analysis import errors, open_spans

EXAMPLES = Path(__file__).parents[2] / "examples/traces"
ONE_RECORDING = (
    "collector.jsonl", "collector.pb.zst", "console.txt", "jaeger.json", "otel_traces.parquet",
    "otlp-base64-ids.json.gz", "otlp.pb",
)  # fmt: skip
DIALECTS = ("openinference.jsonl", "openllmetry.jsonl", "otel-genai.jsonl", "phoenix.parquet")


@pytest.mark.parametrize("name", ONE_RECORDING)
def test_a_format_tells_the_recording(name, tmp_path):
    with open_spans([str(EXAMPLES / name)], store=tmp_path) as spans:
        told = errors(spans).data
    assert told["quality"]["spans"] == 52
    assert told["attempts"] == {"total": 29, "failed": 17, "cancelled": 0, "by_class": {"rate_limit": 17}}
    assert told["operations"] == {"total": 17, "failed": 5, "cancelled": 0, "by_class": {"rate_limit": 5}}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_tells_its_calls(name, tmp_path):
    with open_spans([str(EXAMPLES / name)], store=tmp_path) as spans:
        told = errors(spans).data
        (sums,) = spans.rows(
            "SELECT sum(input_tokens) > 0 AS counted, min(provider) AS provider, min(request_model) AS model "
            "FROM spans WHERE is_operation"
        )
    assert told["operations"] == {"total": 4, "failed": 1, "cancelled": 0, "by_class": {"rate_limit": 1}}
    assert sums == {"counted": True, "provider": "openai", "model": "gpt-5-mini"}


def test_no_example_is_left_out():
    files = {path.name for path in EXAMPLES.iterdir() if path.suffix not in {".py", ""}}
    assert files == {*ONE_RECORDING, *DIALECTS}
