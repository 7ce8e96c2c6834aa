"""On a terminal: answers fit its width, and no heading or number is broken."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

OTLP = str(Path(__file__).parents[2] / "examples/traces/otlp.pb")


def typed(width: int, *words: str) -> list[str]:
    """Run a command on a terminal of that width; return its lines without what steers it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    command = [sys.executable, "-m", "penstock", *words]
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            said += piece
    os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode()).splitlines()


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("verb", ["summary", "storms", "fanout", "replay"])
def test_a_table_fits_the_terminal_and_breaks_neither_headings_nor_numbers(
    verb: str, width: int, tmp_path: Path
) -> None:
    lines = typed(width, "traces", verb, OTLP, "--store", str(tmp_path))
    assert max(map(len, lines)) <= width
    command = [sys.executable, "-m", "penstock", "traces", verb, OTLP, "--store", str(tmp_path)]
    plain = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    words = {word for line in lines for word in line.split()}
    expected = {word for word in plain.split() if re.fullmatch(r"-?[\d,.]+|[a-z]{1,12}", word)}
    headings = {word for word in plain.split() if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", word)} - words
    expected |= {part for heading in headings for part in heading.split("_")}
    assert expected <= words


@pytest.mark.parametrize("words", [("dashboards", "list"), ("alerts", "list")], ids=" ".join)
def test_a_list_fits_the_terminal(words: tuple[str, ...]) -> None:
    assert max(map(len, typed(80, *words))) <= 80


def test_a_query_without_rows_and_one_of_wide_rows_can_be_shown(tmp_path: Path) -> None:
    store = ["--store", str(tmp_path)]
    assert "name" in " ".join(typed(80, "traces", "sql", "SELECT name FROM spans WHERE false", OTLP, *store))
    wide = typed(80, "traces", "sql", "SELECT * FROM spans LIMIT 1", OTLP, *store)
    assert max(map(len, wide)) <= 80
    assert any(re.match(r"trace id +[0-9a-f]{32}$", line) for line in wide)
