"""The CLI's one door: every command has help, mistakes are one line and exit 2."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from penstock.cli.app import COMMANDS, build


def penstock(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "penstock", *words], capture_output=True, text=True)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    done = penstock(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_help_lists_every_command_in_order() -> None:
    listed = [line.split()[0] for line in penstock("-h").stdout.splitlines() if re.match(r"  \w", line)]
    assert [name for name in listed if name in COMMANDS] == list(COMMANDS)


@pytest.mark.parametrize("group", ["", "traces", "dashboards", "alerts"])
def test_no_line_of_a_list_of_commands_is_cut_short(group: str) -> None:
    assert "..." not in penstock(*group.split(), "--help").stdout.partition("Commands:")[2]


def every_command(command: Any, *path: str) -> Iterator[Any]:
    """Walk the tree of commands."""
    yield pytest.param(command, id=" ".join(path))
    for name, below in getattr(command, "commands", {}).items():
        yield from every_command(below, *path, name)


@pytest.mark.parametrize("command", list(every_command(typer.main.get_command(build([])), "penstock")))
def test_help_speaks_of_values_in_words_and_of_every_option(command: Any) -> None:
    told = command.get_help(command.make_context("x", [], resilient_parsing=True))
    assert not re.search(r"<\w+( range)?>|list\[", told), told
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", "told")] == []


@pytest.mark.parametrize(
    "words",
    [
        ["simulat"],
        ["traces", "summary"],
        ["traces", "errors", "no-such.jsonl"],
        ["run"],
        ["run", "python", "no-such.py"],
        ["run", "--metrics-port"],
        ["demo", "--out", "/dev/null/x"],
        ["stack", "--folder", "/dev/null/x"],
        ["dashboards", "export", "/dev/null/x"],
        ["alerts", "export", "/dev/null/x"],
        ["simulate", "--truth", "/dev/null/x"],
        ["classify", "no-such.jsonl"],
        ["plan", "--rpm", "many"],
        ["pools", "--store", "http://x"],
        ["doctor", "--format", "xml"],
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line_and_exit_2(words: list[str]) -> None:
    done = penstock(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_words_typed_wrong_are_told_where_to_read_how() -> None:
    assert penstock("traces", "summary").stderr.strip().endswith("see penstock traces summary --help")


def test_a_store_that_is_none_ends_a_run_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_STORE", "http://127.0.0.1:1")
    done = penstock("run", "--limit", sys.executable, "-c", "print('began')")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Redis URL" in done.stderr


def test_version() -> None:
    assert penstock("--version").stdout.startswith("penstock ")
