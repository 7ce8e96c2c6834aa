"""`penstock doctor` says what would be seen, what would be skipped in silence, and who retries."""

import contextlib
import json
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint, PackageNotFoundError

import pytest

from penstock.cli.app import main
from penstock.telemetry import doctor, retries
from penstock.telemetry.hooks import installed
from penstock.telemetry.retries import retry_map


@pytest.fixture
def report(tmp_path):
    return lambda **given: doctor.examine(
        tmp_path, **{"spans": None, "metrics_port": None, "limit": "off", "disabled": False, **given}
    )


def test_installed_sdks_are_listed_with_the_stack_they_leave_by(report):
    found = {sdk.name: sdk for sdk in report().sdks}
    assert found["openai"].stacks == ("httpx2",)
    assert found["openai"].seen
    assert found["anthropic"].native_tracing
    assert installed() == ()  # looking leaves no hook behind


def test_an_instrumentor_that_does_not_import_is_a_problem(report, monkeypatch):
    broken = EntryPoint("openai", "no_such_module_at_all:Instrumentor", "opentelemetry_instrumentor")
    monkeypatch.setattr(doctor, "entry_points", lambda group: [broken])
    assert any("does not load (ModuleNotFoundError" in problem for problem in report().problems)


def test_a_missing_exporter_is_a_problem(report, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "no_such_exporter")
    assert any("'penstock[otlp]'" in problem for problem in report().problems)


def test_an_unwritable_span_file_is_a_problem(report, tmp_path):
    assert any("cannot be written" in p for p in report(spans=tmp_path / "no" / "s.jsonl").problems)


def test_layers_that_retry_multiply(tmp_path):
    (tmp_path / "a.py").write_text("import tenacity\n@tenacity.retry(stop=tenacity.stop_after_attempt(4))\n")
    (tmp_path / "b.py").write_text("import openai\nclient = openai.OpenAI(max_retries=6)\n")
    (tmp_path / "c.py").write_text("import unrelated\nattempts = 99\n")
    found = retry_map(tmp_path, {"AWS_RETRY_MODE": "standard"}, limiting=True)
    layers = {layer.where: layer.attempts for layer in found.layers}
    assert (layers["a.py:2"], layers["b.py:2"]) == (4, 7)
    assert layers["DEFAULT_MAX_RETRIES = 2"] == 3
    assert "c.py:2" not in layers
    assert found.worst == 4 * 7
    assert found.chain == ("retry in your code ×4", "max_retries in your code ×7")
    assert found.layers[-1].kind == "penstock"


@pytest.mark.parametrize(
    ("line", "kind", "attempts"),
    [
        ("model.with_retry(stop_after_attempt=4)", "framework", 4),
        ("graph.add_node('n', f, retry_policy=RetryPolicy(max_attempts=5))", "framework", 5),
        ("ModelSettings(retry=ModelRetrySettings(max_retries=2))", "framework", 3),
        ("types.HttpRetryOptions(attempts=6, initial_delay=1)", "sdk", 6),
        ("Config(retries={'total_max_attempts': 4, 'mode': 'standard'})", "sdk", 4),
        ('Config(retries={"max_attempts": 4})', "sdk", 5),
        ("httpx.Client(transport=httpx.HTTPTransport(retries=2))", "transport", 3),
        ("HTTPAdapter(max_retries=Retry(total=3, backoff_factor=1))", "transport", 4),
        ("HTTPAdapter(max_retries=Retry(2))", "transport", 3),
        ("@retry(stop=stop_after_attempt(7))", "code", 7),
        ("@backoff.on_exception(backoff.expo, Exception, max_tries=8)", "code", 8),
        ("@stamina.retry(on=Exception, attempts=9)", "code", 9),
        ("Router(model_list=[], num_retries=4)", "sdk", 5),
        ("OpenAI(max_retries=0)", "sdk", 1),
    ],
)
def test_code_asks_for_attempts_in_many_ways(tmp_path, line, kind, attempts):
    (tmp_path / "app.py").write_text(f"import openai\n{line}\n")
    (layer,) = (
        found for found in retry_map(tmp_path, {}, limiting=False).layers if found.where == "app.py:2"
    )
    assert (layer.kind, layer.attempts) == (kind, attempts)


@pytest.mark.parametrize(
    ("code", "worst"),
    [("import openai", 3), ("from pydantic_ai import Agent", 6), ("    import llama_index.llms.openai", 12)],
)
def test_a_framework_multiplies_only_where_code_imports_it(tmp_path, monkeypatch, code, worst):
    there = {"openai": "3.0", "pydantic-ai-slim": "2.0", "llama-index-llms-openai": "0.8"}

    def version(package):
        if package not in there:
            raise PackageNotFoundError(package)
        return there[package]

    monkeypatch.setattr(retries, "version", version)
    (tmp_path / "app.py").write_text(f"if True:\n    pass\n{code}\n")
    found = retry_map(tmp_path, {}, limiting=False)
    assert found.worst == worst
    assert [layer.attempts for layer in found.layers] == [3, 4, 2]  # all are listed


@pytest.mark.parametrize("form", ["json", "table"])
def test_the_command_answers(monkeypatch, capsys, tmp_path, form):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["penstock", "doctor", "--format", form])
    with contextlib.suppress(SystemExit):
        main()
    out = capsys.readouterr().out
    if form == "json":
        data = json.loads(out)
        assert {"sdks", "hooks", "instrumentors", "exporters", "retries", "problems"} <= set(data)
    assert "openai" in out


def test_a_python_without_any_sdk_says_so_and_draws_no_empty_table(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    none = retries.RetryMap(layers=(), worst=1, chain=())
    whole = doctor.examine
    monkeypatch.setattr(doctor, "examine", lambda *a, **k: replace(whole(*a, **k), sdks=(), retries=none))
    monkeypatch.setattr(sys, "argv", ["penstock", "doctor"])
    main()
    out = capsys.readouterr().out
    assert "SDKs: none in this Python; ask that of your app: python -m penstock doctor" in out
    assert "Who retries" not in out
