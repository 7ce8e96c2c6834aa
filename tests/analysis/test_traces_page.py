"""The outputs in docs/traces.md are what the commands print."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from penstock.cli import app

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```console\n\$ (.+?)\n(.*?)\n```", (ROOT / "docs/traces.md").read_text(), re.DOTALL)


@pytest.mark.parametrize(("command", "output"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_a_command_of_the_page_prints_what_the_page_shows(command, output, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    code = 0
    try:
        app.main()
    except SystemExit as end:
        code = end.code or 0
    assert code == 0
    assert capsys.readouterr().out.rstrip("\n") == output


def test_the_page_names_every_verb():
    from penstock.cli import traces

    page = (ROOT / "docs/traces.md").read_text()
    for name in (*(verb.name for verb in traces.VERBS), "replay", "compare", "sql", "report", "export"):
        assert f"| `{name}" in page
