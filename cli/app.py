"""The one door: `penstock COMMAND`. Only the module of the command that was typed is loaded."""

import importlib
import sys
from typing import Annotated, Any, Final

import typer

from penstock.cli._help import Commands, Group
from penstock.errors import PenstockError

# Command -> module below penstock.cli that registers it.
COMMANDS: Final[dict[str, str]] = {
    "run": "run",
    "demo": "demo",
    "doctor": "doctor",
    "traces": "traces",
    "plan": "plan",
    "pools": "pools",
    "classify": "classify",
    "simulate": "simulate",
    "dashboards": "dashboards",
    "alerts": "alerts",
    "stack": "stack",
}

_START: Final = """\b
Start here:
  penstock run python app.py                     see every attempt of your app
  penstock traces summary penstock-spans.jsonl   what failed, and which layer to fix
  penstock run --limit python app.py             queue before sending, absorb 429s
  penstock dashboards export grafana/            see it in Grafana"""

USAGE_EXIT: Final = 2
INTERRUPTED_EXIT: Final = 130

# Typer carries click inside itself or beside itself, by version; its usage errors are reached through it.
_ClickUsageError: Final[type[Exception]] = typer.BadParameter.__bases__[0]


def build(argv: list[str]) -> typer.Typer:
    """Build the app with the commands that `argv` needs: one, or all for help."""
    app = Commands(
        name="penstock",
        cls=_InOrder,
        help="See every LLM attempt, queue before sending, know which answers to trust.",
        epilog=_START,
    )
    app.callback()(_root)
    wanted = [argv[0]] if argv and argv[0] in COMMANDS else list(COMMANDS)
    for command in wanted:
        importlib.import_module(f"penstock.cli.{COMMANDS[command]}").register(app)
    return app


def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Stand in help for what `main` takes off the words before a command is looked for."""


class _InOrder(Group):
    """Lists the commands in the order of this module, not groups last."""

    # Typer's click is its own from 0.17 on, so the context's type has no one name.
    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in COMMANDS if name in self.commands]


def _told(error: Exception) -> str:
    """Say what was wrong in one line; of words that were typed wrong, also where to read how."""
    said = str(getattr(error, "format_message", error.__str__)())
    where = getattr(getattr(error, "ctx", None), "command_path", None)
    if "\n" in said:  # the help page of a group that was called without a command
        return said
    return f"penstock: {said.rstrip('.')}; see {where} --help" if where else f"penstock: {said}"


def main() -> None:
    """Run the CLI. A user's error is one line on stderr and exit 2; a traceback only with --debug."""
    argv = sys.argv[1:] or ["--help"]
    debug = bool(argv) and argv[0] == "--debug"
    if debug:
        argv = argv[1:]
    if argv == ["--version"]:
        from importlib.metadata import version

        print(f"penstock {version('penstock')}")  # noqa: T201
        return
    try:
        code = build(argv)(args=argv, prog_name="penstock", standalone_mode=False)
    except (PenstockError, _ClickUsageError) as error:
        if debug:
            raise
        print(_told(error), file=sys.stderr)  # noqa: T201
        sys.exit(USAGE_EXIT)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED_EXIT)
    except BrokenPipeError:
        sys.exit(0)
    if isinstance(code, int):
        sys.exit(code)
