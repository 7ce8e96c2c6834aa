"""The CLI's one door: every command has help, mistakes are one line and exit 2."""

import subprocess
import sys

import pytest

from penstock.cli.app import COMMANDS


def penstock(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "penstock", *words], capture_output=True, text=True)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    done = penstock(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_help_lists_every_command() -> None:
    listed = penstock("--help").stdout
    assert [command for command in COMMANDS if command not in listed] == []


@pytest.mark.parametrize(
    "words", [["simulat"], ["traces", "errors", "no-such.jsonl"], ["run", "python", "no-such.py"]]
)
def test_a_mistake_is_one_line_and_exit_2(words: list[str]) -> None:
    done = penstock(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_version() -> None:
    assert penstock("--version").stdout.startswith("penstock ")
