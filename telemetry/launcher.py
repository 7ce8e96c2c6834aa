"""`penstock run`: start any program so that every Python in it is instrumented.

Nothing of ours stays in front of the program: its process is replaced by the program's, so that
signals, the exit code, the terminal and stdout are the program's own.
"""

import errno
import importlib.machinery
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NoReturn

from penstock.errors import UsageError

BOOTSTRAP: Final = Path(__file__).with_name("bootstrap")
LAUNCHED: Final = "_PENSTOCK_RUN"
"""The program's process id, in its environment: we started it, so it says at its end where the spans are."""
TOLD: Final = "_PENSTOCK_TOLD"
"""Set once a Python without Penstock was reported."""

_PYTHON_NAMES: Final = ("python", "python3", f"python3.{sys.version_info.minor}")
_TOOL_RECEIPTS: Final = ("pipx_metadata.json", "uv-receipt.toml")
"""What pipx and `uv tool` leave in an environment that is a tool's alone."""
_PYTHON_WITH_VALUE: Final = frozenset({"-X", "-W", "--check-hash-based-pycs"})
_BLINDING: Final = "ESI"
"""Options of Python that ignore PYTHONPATH or start no sitecustomize, which are our way in."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What to execute, and what its user should know first."""

    command: list[str]
    notices: tuple[str, ...] = ()

    def adding(self, notice: str) -> "Prepared":
        """Give the same with one notice more."""
        return replace(self, notices=(*self.notices, notice))


def prepare(command: Sequence[str]) -> Prepared:
    """Find the program and what it will run; also takes `-m module` and `script.py` alone.

    Raises:
        UsageError: the program, the script or the module does not exist.
    """
    if not command:
        raise UsageError("nothing to run; say for example: penstock run python app.py")
    if command[0] == "-m" or (command[0].endswith(".py") and not os.access(command[0], os.X_OK)):
        command = [sys.executable, *command]
    program, *notices = _find(command[0])
    arguments = list(command[1:])
    if _is_python(command[0]):
        _check_python(arguments, program)
        if blinding := _blinding_option(arguments):
            notices.append(
                f"python {blinding} leaves Penstock out: nothing of this run is seen; do without it"
            )
    return Prepared([program, *arguments], tuple(notices))


def environment(settings: Mapping[str, str], base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make the program's environment: `settings` are `PENSTOCK_*` values that the flags gave."""
    env = dict(os.environ if base is None else base)
    env.update(settings)
    path = env.get("PYTHONPATH")
    rest = [part for part in path.split(os.pathsep) if part != str(BOOTSTRAP)] if path else []
    env["PYTHONPATH"] = os.pathsep.join([str(BOOTSTRAP), *rest])
    env[LAUNCHED] = str(os.getpid())  # the program's too: it takes our place
    for mark in (TOLD, "_PENSTOCK_METRICS"):  # another run's, where one starts another
        env.pop(mark, None)
    return env


def launch(prepared: Prepared, env: Mapping[str, str]) -> NoReturn:
    """Become the program.

    Raises:
        UsageError: it cannot be executed.
    """
    command = prepared.command
    for notice in prepared.notices:
        print(f"penstock: {notice}", file=sys.stderr)  # noqa: T201
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(command[0], command, dict(env))  # noqa: S606 - becoming the program is the point
    except OSError as error:
        hint = f"; for a script say: penstock run python {command[0]}" if error.errno == errno.ENOEXEC else ""
        raise UsageError(f"cannot run {command[0]}: {error.strerror}{hint}") from error


def check_port(host: str, port: int) -> None:
    """Say now, in one line, that the metrics port is taken, before the program has begun.

    Raises:
        UsageError: it cannot be bound.
    """
    from penstock.telemetry.exposition.prometheus import busy_port

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise UsageError(busy_port(host, port, error)) from error


def check_folder(path: Path) -> None:
    """Say now that the span file can not be written.

    Raises:
        UsageError: it is a folder, or its folder is missing or not writable.
    """
    try:
        if path.is_dir():
            raise UsageError(f"--spans {path} is a folder; name a file in it")
    except OSError as error:
        raise UsageError(f"--spans {path} cannot be written: {error.strerror}") from error
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"the folder of --spans {path} does not exist; mkdir -p {folder}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(f"spans cannot be written to {path}; name another file by --spans, or say off")


def _find(program: str) -> tuple[str, *tuple[str, ...]]:
    """Find a program on the path, and what is to be said of it.

    A bare `python` is one that sees us: ours, where the path's does not.
    """
    found = shutil.which(program)
    if program in _PYTHON_NAMES and not _sees_penstock(found):
        if found and any(Path(sys.prefix, receipt).exists() for receipt in _TOOL_RECEIPTS):
            raise UsageError(
                f"{found} has no penstock, and this one is a tool of its own, apart from the app's packages; "
                f"install it beside them: {found} -m pip install penstock"
            )
        ours = f"running {sys.executable} instead (or: {found} -m pip install penstock)"
        return (sys.executable, f"{found} has no penstock; {ours}") if found else (sys.executable,)
    if found is None:
        if os.sep in program and Path(program).exists():
            raise UsageError(
                f"{program!r} is not executable; for a script say: penstock run python {program}"
            )
        raise UsageError(f"program {program!r} does not exist")
    return (found,)


def _sees_penstock(python: str | None) -> bool:
    """Tell whether an interpreter can import us; ours can."""
    if python is None:
        return False
    if os.path.dirname(python) == os.path.dirname(sys.executable):
        return True
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('penstock') is None)"
    try:
        told = subprocess.run([python, "-c", probe], capture_output=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    return told.returncode == 0


def _is_python(program: str) -> bool:
    name = os.path.basename(program)
    return name == "python" or (
        name.startswith("python") and name.removeprefix("python").replace(".", "").isdigit()
    )


def _check_python(arguments: Sequence[str], program: str) -> None:
    """Look for the script or module that an interpreter is asked to run."""
    rest = iter(arguments)
    for argument in rest:
        if argument in _PYTHON_WITH_VALUE:
            next(rest, None)
        elif argument == "-m":
            _check_module(next(rest, ""), program)
            return
        elif argument == "-" or argument.startswith("-c"):
            return
        elif not argument.startswith("-"):
            if not Path(argument).exists():
                raise UsageError(f"script {argument!r} does not exist")
            return


def _blinding_option(arguments: Sequence[str]) -> str | None:
    """Find the first option of an interpreter that keeps us out; options may be joined, as in `-uI`."""
    rest = iter(arguments)
    for argument in rest:
        if argument in _PYTHON_WITH_VALUE:
            next(rest, None)
            continue
        letters = re.match(r"-([^-cmXW]*)([cmXW]?)", argument)
        if letters is None or argument == "-":
            return None
        for letter in letters[1]:
            if letter in _BLINDING:
                return f"-{letter}"
        if letters[2] in ("c", "m"):
            return None
    return None


def _check_module(module: str, program: str) -> None:
    if os.path.dirname(program) != os.path.dirname(sys.executable):
        return  # another interpreter finds other modules
    top = module.partition(".")[0]
    known = top in sys.builtin_module_names or importlib.machinery.PathFinder.find_spec(
        top, [os.getcwd(), *os.environ.get("PYTHONPATH", "").split(os.pathsep), *sys.path]
    )
    if not known:
        raise UsageError(f"module {module!r} does not exist" if module else "-m needs a module")
