"""The one door: `penstock COMMAND`. Only the module of the command that was typed is loaded."""

import importlib
import sys
from typing import Final

import typer

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

USAGE_EXIT: Final = 2
INTERRUPTED_EXIT: Final = 130

# Typer carries click inside itself or beside itself, by version; its usage errors are reached through it.
_ClickUsageError: Final[type[Exception]] = typer.BadParameter.__bases__[0]


def build(argv: list[str]) -> typer.Typer:
    """Build the app with the commands that `argv` needs: one, or all for help."""
    app = typer.Typer(
        name="penstock",
        help="Capacity engineering for LLM applications.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    wanted = [argv[0]] if argv and argv[0] in COMMANDS else list(COMMANDS)
    for command in wanted:
        importlib.import_module(f"penstock.cli.{COMMANDS[command]}").register(app)
    return app


def _root() -> None:
    """See every attempt, queue before sending, know which answers to trust."""


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
        said = str(getattr(error, "format_message", error.__str__)())
        help_page = "\n" in said
        print(said if help_page else f"penstock: {said}", file=sys.stderr)  # noqa: T201
        sys.exit(USAGE_EXIT)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED_EXIT)
    except BrokenPipeError:
        sys.exit(0)
    if isinstance(code, int):
        sys.exit(code)
