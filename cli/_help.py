"""How help looks: the same for every command, in words of people rather than of Python."""

import re
from collections.abc import Sequence
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

_WHOLE: Final = 1000  # characters: no first sentence is longer

# Typer names the Python type of a value, and of an argument after its name.
_OF_ARGUMENT: Final = re.compile(r"^(\w\S*) <.*>$")
_PLACEHOLDERS: Final = (
    (re.compile(r"<(int|float)( range)?>"), "N"),
    (re.compile(r"<path>"), "PATH"),
    (re.compile(r"<(str|list\[str\])>"), "TEXT"),
    (re.compile(r"[<\[](\w+(\|\w+)+)[>\]]"), r"\1"),
)


class Command(TyperCommand):
    """A command whose help says N, PATH and TEXT where a value goes."""

    # Typer's click is its own from 0.17 on, so the types of context and formatter have no one name.
    def format_options(self, ctx: Any, formatter: Any) -> None:
        write = formatter.write_dl

        def write_plainly(rows: Sequence[tuple[str, str]], **layout: Any) -> None:
            write([(plain(name), told) for name, told in rows], **layout)

        formatter.write_dl = write_plainly
        super().format_options(ctx, formatter)
        formatter.write_dl = write


class Group(TyperGroup):
    """A group whose list of commands is wrapped rather than cut."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(limit=_WHOLE)) for name, command in found if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Commands(typer.Typer):
    """A group of such commands; without one of them it shows its help."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            cls=options.pop("cls", Group),
            no_args_is_help=True,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
            context_settings={"help_option_names": ["-h", "--help"]},
            **options,
        )

    def command(self, name: str | None = None, **options: Any) -> Any:
        return super().command(name, **{"cls": Command, **options})


def plain(name: str) -> str:
    """Put a word for the type: `--rpm <float range>` becomes `--rpm N`, `FILE <list[str]>` becomes `FILE`."""
    name = _OF_ARGUMENT.sub(r"\1", name)
    for kind, word in _PLACEHOLDERS:
        name = kind.sub(word, name)
    return name
