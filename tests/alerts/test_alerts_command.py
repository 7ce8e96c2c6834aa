"""`penstock alerts`, as people type it."""

import json
import subprocess
import sys

import pytest
import yaml

from penstock import alerts


def run(*arguments):
    command = [sys.executable, "-m", "penstock", "alerts", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_list_names_every_alert():
    done = run("list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        a.name for a in alerts.rule_set().alerts
    ]


def test_list_as_json_has_what_a_table_needs():
    rows = json.loads(run("list", "--format", "json").stdout)
    assert {"name", "severity", "for", "expr", "runbook_url"} <= set(rows[0])


def test_export_without_a_folder_prints_the_rule_file():
    done = run("export")
    assert done.stdout == alerts.shipped_files()[alerts.RULE_FILE]


@pytest.mark.parametrize("name", sorted(alerts.FORMATS))
def test_export_prints_each_format(name):
    done = run("export", "--format", name, "--runbooks", "https://wiki.example/llm/")
    assert yaml.safe_load(done.stdout)
    assert "https://wiki.example/llm/PenstockStoreDown.md" in done.stdout


def test_export_to_a_folder_writes_every_format(tmp_path):
    done = run("export", tmp_path / "new" / "rules")
    written = {path.name: path.read_text() for path in (tmp_path / "new" / "rules").iterdir()}
    assert written == alerts.rule_files(alerts.rule_set())
    assert len(done.stdout.splitlines()) == len(written)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "--format", "toml"), "unknown format 'toml'"),
        (("export", "--time-scale", "0"), "time scale is 0"),
        (("list", "--format", "xml"), "unknown format 'xml'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, said):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_one_line_and_exit_2(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("export", tmp_path / "file" / "below")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_check_passes_and_says_what_promtool_said():
    done = run("check")
    assert done.returncode == 0
    assert "SUCCESS" in done.stdout


def test_without_promtool_it_says_what_to_install(tmp_path):
    command = [sys.executable, "-m", "penstock", "alerts", "check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert "apt-get install prometheus" in done.stderr
