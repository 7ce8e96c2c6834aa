"""The examples run as their pages say, against the simulator."""

import subprocess
from pathlib import Path

import pytest


def output(program: subprocess.Popen[str]) -> str:
    out, err = program.communicate(timeout=90)
    assert program.returncode == 0, err
    return out


def test_an_untouched_app_streams_under_run(start, examples, tmp_path):
    command = f"printf 'What is a penstock?\\nAnd a weir?\\n' | penstock run python {examples / 'chat.py'}"
    program = start("bash", "-c", command)
    out, err = program.communicate(timeout=60)
    assert len(out.splitlines()) == 2, err
    assert "penstock-spans.jsonl" in err
    assert (tmp_path / "penstock-spans.jsonl").read_text().count('"penstock.attempt.number"') == 2


def test_a_guarded_fan_out_gets_every_answer(start, examples):
    assert output(start("python", examples / "fan_out.py")) == "40 answers\n"


def test_a_pool_for_any_callable_refuses_what_would_come_too_late(start, examples):
    assert "refused: " in output(start("python", examples / "limiter_pool.py"))


def test_a_cached_answer_is_good_until_the_document_it_rests_on_changes(start, examples):
    said = output(
        start("penstock", "run", "--limit", "python", "ask.py", cwd=examples / "rag", PENSTOCK_SPANS="off")
    )
    assert said.splitlines() == [
        "first: primary",
        "again: cache_fresh",
        "after the documents changed: primary",
    ]


def test_a_local_model_answers_through_the_outage_of_the_first(start, examples, tmp_path):
    folder = examples / "local_fallback"
    standing_in = start("penstock", "simulate", "--scenario", folder / "provider.toml")
    url = standing_in.stdout.readline().strip()
    config = (folder / "penstock.toml").read_text()
    (tmp_path / "penstock.toml").write_text(
        config.replace("http://127.0.0.1:11434", url).replace("= 5", "= 0.5")
    )
    said = output(
        start("penstock", "run", "python", folder / "app.py", DEEPSEEK_BASE_URL=f"{url}/deepseek/v1")
    )
    last = said.splitlines()[-1]
    assert last.startswith("qwen3:8b: fallback (tier 1): local answered instead of deepseek")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("from_semaphore.py", "ask_before: 12 answers\nask: 12 answers\n"),
        ("from_tenacity.py", "True True\n"),
    ],
)
def test_what_is_migrated_from_and_to_both_run(start, examples, script, told):
    assert output(start("penstock", "run", "--limit", "python", examples / "migrating" / script)) == told


def test_a_routers_list_becomes_a_file_that_is_read(start, examples, tmp_path):
    (tmp_path / "penstock.toml").write_text((examples / "migrating/from_litellm_router.toml").read_text())
    said = output(
        start("penstock", "run", "python", "-c", "import penstock; print(penstock.runtime().settings.limit)")
    )
    assert said == "enforce\n"
    assert Path("penstock.toml").exists()
