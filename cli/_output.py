"""Print answers: JSON, CSV and Markdown for programs, tables for people, nothing that steers a terminal."""

import csv
import io
import json
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from penstock.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from penstock.analysis import Answer, Table

FORMATS: Final = ("table", "json", "csv", "md")
SHORT_FORMATS: Final = ("table", "json")
FormatOption = Annotated[
    str, typer.Option("--format", "-f", metavar="|".join(FORMATS), help="How to print it.")
]
ShortFormatOption = Annotated[
    str, typer.Option("--format", "-f", metavar="|".join(SHORT_FORMATS), help="How to print it.")
]
_GAP: Final = 2
_FOLDED: Final = 12
"""A text is not folded into fewer characters."""
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def check_format(form: str, formats: Sequence[str] = FORMATS) -> None:
    """Refuse an unknown format.

    Raises:
        UsageError: it is none of `formats`.
    """
    if form not in formats:
        raise UsageError(f"unknown format {form!r}; choose from {', '.join(formats)}")


def show(answer: "Answer", form: str) -> None:
    """Write an answer to stdout."""
    out = sys.stdout
    if form == "json":
        out.write(json.dumps(answer.data, indent=2 if out.isatty() else None) + "\n")
    elif form == "csv":
        out.write(_csv(answer.tables))
    elif form == "md":
        out.write(_markdown(answer))
    elif out.isatty():
        _rich(answer)
    else:
        out.write(_plain(answer))


def show_list(rows: Sequence[tuple[str, ...]]) -> None:
    """Write rows of words to stdout; on a terminal the last word is wrapped below itself."""
    widths = [max(map(len, column)) + _GAP for column in list(zip(*rows, strict=True))[:-1]]
    indent = sum(widths)
    room = max(_FOLDED, shutil.get_terminal_size().columns - indent) if sys.stdout.isatty() else None
    for *head, last in rows:
        lead = "".join(f"{word:<{width}}" for word, width in zip(head, widths, strict=True))
        lines = textwrap.wrap(last, room) if room else [last]
        sys.stdout.write(lead + f"\n{' ' * indent}".join(lines) + "\n")


def write_files(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write texts below a folder, by name; return where each went.

    Raises:
        UsageError: one cannot be written.
    """
    paths = []
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
        paths.append(path)
    return paths


def as_typed() -> str:
    """Name the command as it can be copied: by its path where it is not on PATH, as after `make demo`."""
    us = Path(sys.argv[0])
    if shutil.which("penstock") or us.name != "penstock":
        return "penstock"
    return str(us.relative_to(Path.cwd())) if us.is_relative_to(Path.cwd()) else str(us)


def printable(value: object) -> str:
    """Make text harmless: control and direction characters are shown as escapes."""
    text = cell(value)
    if text.isprintable():
        return text
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in _UNPRINTABLE else char for char in text
    )


def cell(value: object) -> str:
    """Give a value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) < 1e12 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _texts(table: "Table", row: Sequence[object]) -> list[str]:
    """Give a row as people read it; times since 1970 become dates."""
    return [_text(name, held) for name, held in zip(table.columns, row, strict=True)]


def _heading(column: str) -> str:
    return printable(column.removesuffix("_ns"))


def _text(column: str, held: object) -> str:
    if isinstance(held, int) and column.endswith("_ns"):
        return _moment(held // 1_000_000_000)
    if isinstance(held, int) and column in ("minute", "hour"):
        return _moment(held)
    return printable(held)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _quality(answer: "Answer") -> list[str]:
    quality: dict[str, Any] = answer.data.get("quality") or {}
    return list(quality.get("notes", ()))


def _plain(answer: "Answer") -> str:
    out = [printable(line) for line in answer.lines]
    for table in answer.tables:
        rows = [[_heading(name) for name in table.columns], *(_texts(table, row) for row in table.rows)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))]
        out += ["", table.title]
        out += [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
    if notes := _quality(answer):
        out += ["", "data quality", *(f"- {printable(note)}" for note in notes)]
    return "\n".join(out) + "\n"


def _rich(answer: "Answer") -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    console = Console()
    for line in answer.lines:
        console.print(Text(printable(line)))
    for table in answer.tables:
        console.print(Text(f"\n{table.title}".rstrip(), style="bold"))
        console.print(grid(table, console.width))
    if notes := _quality(answer):
        text = Text("\n".join(printable(note) for note in notes))
        console.print("", Panel(text, title="data quality", expand=False), sep="\n")


def grid(table: "Table", width: int) -> "RenderableType":
    """Lay a table out for a terminal: headings break between words, and numbers never."""
    from rich.table import Table as RichTable
    from rich.text import Text

    headings = [_heading(name).replace("_", " ") for name in table.columns]
    rows = [_texts(table, row) for row in table.rows]
    columns = [
        _Column(heading, [row[i] for row in rows], _is_number([row[i] for row in table.rows]))
        for i, heading in enumerate(headings)
    ]
    excess = sum(column.width for column in columns) + _GAP * (len(columns) - 1) - width
    for column in sorted(columns, key=lambda column: (not column.number, -column.width)):
        excess -= column.give(excess)
    if excess > 0:
        return _records(headings, rows)
    laid = RichTable(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.number else "left"
        laid.add_column(Text(column.heading), justify=justify, overflow="fold", width=column.width)
    for row in rows:
        laid.add_row(*map(Text, row))
    return laid


class _Column:
    """How wide a column is, and how narrow it can be."""

    def __init__(self, heading: str, cells: Sequence[str], number: bool) -> None:
        widest = max(map(len, cells), default=0)
        self.heading, self.number = heading, number
        self.width = max(len(heading), widest)
        self._least = max(*map(len, heading.split()), widest if number else min(widest, _FOLDED))

    def give(self, wanted: int) -> int:
        """Become narrower by so much, or by as much as can be."""
        given = max(0, min(wanted, self.width - self._least))
        self.width -= given
        return given


def _is_number(held: Sequence[object]) -> bool:
    return all(value is None or isinstance(value, int | float) for value in held)


def _records(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> "RenderableType":
    """Give one value a line, where all of a row would not fit in one."""
    from rich.text import Text

    name = max(map(len, headings)) + _GAP
    blocks = [
        "\n".join(f"{heading:<{name}}{text}" for heading, text in zip(headings, row, strict=True))
        for row in rows
    ]
    return Text("\n\n".join(blocks), overflow="fold")


def _csv(tables: "Sequence[Table]") -> str:
    """Write the tables one below the other; a cell that a spreadsheet would run is defused."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for i, table in enumerate(tables):
        if i:
            writer.writerow([])
        writer.writerow(table.columns)
        writer.writerows([[_defused(held) for held in row] for row in table.rows])
    return out.getvalue()


def _defused(value: object) -> object:
    if isinstance(value, str):
        text = printable(value)
        return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
    return value


def _markdown(answer: "Answer") -> str:
    out = [f"- {_escaped(line)}" for line in answer.lines]
    for table in answer.tables:
        out += [
            "",
            f"### {_escaped(table.title)}",
            "",
            f"| {' | '.join(_escaped(_heading(name)) for name in table.columns)} |",
        ]
        out.append("|" + " --- |" * len(table.columns))
        out += [f"| {' | '.join(_escaped(text) for text in _texts(table, row))} |" for row in table.rows]
    if notes := _quality(answer):
        out += ["", "### data quality", "", *(f"- {_escaped(note)}" for note in notes)]
    return "\n".join(out) + "\n"


def _escaped(value: object) -> str:
    text = printable(value).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{char}" if char in "\\`*_[]|" else char for char in text)
