"""The tours: every command of a page runs, in order, and prints what the page shows, numbers aside."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOURS = sorted((ROOT / "docs/tours").glob("*.md"))
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A Prometheus at work: tests/dashboards has one.
NEEDS_MORE = ("penstock stack", "penstock dashboards check", "penstock dashboards preview")
NUMBER = re.compile(r"\d[\d,.]*")
REST = "…"


def steps(page):
    """Give each command of a page with the lines that it shows."""
    found = []
    for block in BLOCK.findall(page):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return [(command, shown) for command, shown in found if not command.startswith(NEEDS_MORE)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def script(commands, ports):
    """Write a shell script that tells the commands' outputs apart, and waits for what it starts."""
    lines = ["set -u", "trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    for number, command in enumerate(commands):
        for port, free in ports.items():
            command = command.replace(port, free)
        if command.endswith("&"):
            told = f"server-{number}"
            lines += [
                f"echo @@{number}",
                f"{command.removesuffix('&')} >{told} 2>&1 &",
                f"until grep -qs http:// {told}; do sleep 0.05; done",
                f"cat {told}",
            ]
        else:
            lines += [f"echo @@{number}", f"{{ {command}; }} 2>&1", f"echo @@exit $? of {number}"]
    return "\n".join(lines)


def shape(lines):
    """Make lines comparable: any number is a number, any gap is a space."""
    return [re.sub(r" +", " ", NUMBER.sub("N", line)).strip() for line in lines]


def matches(told, shown):
    """Say whether the output is what the page shows; a line `…` stands for any lines."""
    wanted = "".join(r"(?:.*\n)*" if line == REST else re.escape(line) + "\n" for line in shown)
    return re.fullmatch(wanted, "".join(f"{line}\n" for line in told)) is not None


@pytest.mark.parametrize("tour", TOURS, ids=lambda path: path.stem)
def test_each_command_of_a_tour_prints_what_the_page_shows(tour, tmp_path):
    wanted = steps(tour.read_text())
    assert wanted
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    ports = {port: free_port() for port in ("8080", "9464", "8000")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK", "OTEL_"))}
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    shell = subprocess.Popen(
        ["bash", "-c", script([command for command, _ in wanted], ports)],
        cwd=tmp_path,
        env={**kept, "PATH": scripts, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        out, _ = shell.communicate(timeout=100)
    finally:
        with contextlib.suppress(ProcessLookupError):  # a tour without servers
            os.killpg(shell.pid, signal.SIGTERM)
    assert not re.findall(r"@@exit [^0].*", out), out
    told = re.split(r"^@@\d+\n", re.sub(r"^@@exit .*\n", "", out, flags=re.MULTILINE), flags=re.MULTILINE)[1:]
    assert len(told) == len(wanted)
    for (command, shown), output in zip(wanted, told, strict=True):
        assert matches(shape(output.splitlines()), shape(shown)), f"$ {command}\n{output}"
