"""`penstock dashboards list|export|check`, as people type it."""

import json
import subprocess
import sys

import pytest

from penstock import dashboards


def run(*arguments):
    command = [sys.executable, "-m", "penstock", "dashboards", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_list_begins_with_the_on_call_page():
    done = run("list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [b.uid for b in dashboards.shipped()]
    assert done.stdout.startswith("penstock-overview ")


def test_list_as_json():
    assert {tuple(row) for row in json.loads(run("list", "--format", "json").stdout)} == {
        ("uid", "title", "description")
    }


def test_export_writes_what_grafana_imports(tmp_path):
    done = run("export", tmp_path / "out")
    assert done.returncode == 0
    written = {str(p.relative_to(tmp_path / "out")): p.read_text() for p in (tmp_path / "out").rglob("*.*")}
    expected = {f"{board.uid}.json": board.text for board in dashboards.shipped()}
    expected |= dashboards.provisioning()
    assert written == expected


def test_export_of_one(tmp_path):
    run("export", tmp_path, "--only", "penstock-slo")
    assert [path.name for path in tmp_path.iterdir()] == ["penstock-slo.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "{tmp}", "--only", "penstock-none"), "no dashboard penstock-none"),
        (("export", "{tmp}/file/below"), "cannot write"),
        (("check", "--prometheus", "http://127.0.0.1:9"), "does not answer"),
        (("check", "--prometheus", "127.0.0.1:9090"), "write it as http://host:port"),
        (("check", "--prometheus", "http://127.0.0.1:9", "--since", "0s"), "'0s' is not a duration"),
        (("check", "--prometheus", "http://127.0.0.1:9", "--format", "xml"), "unknown format 'xml'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(tmp_path, arguments, said):
    (tmp_path / "file").write_text("")
    done = run(*(part.format(tmp=tmp_path) for part in arguments))
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_neither_grafana_sdk_nor_duckdb_is_loaded_to_list():
    code = (
        "import sys; sys.argv=['penstock','dashboards','list'];\n"
        "from penstock.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('grafana_foundation_sdk', 'duckdb') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "[]\n"
