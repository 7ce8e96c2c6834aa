"""`penstock classify`: say what an error was, and why."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from penstock.classifiers import (
    ErrorClass,
    Evidence,
    Verdict,
    classify,
    evidence_of_row,
    explain,
    is_row,
    load_rules,
    redacted_row,
    register_rules,
    row_of_verdict,
)
from penstock.cli._output import check_format
from penstock.errors import UsageError

_FORMATS: Final = ("auto", "table", "json")
_PEEK: Final = 64
ErrorArgument = Annotated[
    str | None,
    typer.Argument(metavar="ERROR", help="An error text, a JSON row, a JSONL file, or - for stdin."),
]
ExplainOption = Annotated[bool, typer.Option("--explain", help="Show which rules were tried and which held.")]
FormatOption = Annotated[
    str, typer.Option("--format", "-f", metavar="auto|table|json", help="By default, JSONL in is JSONL out.")
]
RulesOption = Annotated[
    Path | None, typer.Option("--rules", metavar="FILE", help="A TOML file with rules of your own.")
]
UnknownOption = Annotated[
    Path | None,
    typer.Option("--export-unknown", metavar="FILE", help="Write there what stayed unknown, scrubbed."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("classify")(run)


def run(
    error: ErrorArgument = None,
    explain_: ExplainOption = False,
    format_: FormatOption = "auto",
    rules: RulesOption = None,
    export_unknown: UnknownOption = None,
) -> None:
    """Tell what an error was, whose fault, and whether to retry.

    Reads an error text, a JSON row (any of id, framework, provider, exception_type, status_code,
    message, body, headers, span_kind), or JSONL on stdin; one JSON object a line comes out. An object
    with none of these is taken for the body of an error response.
    """
    check_format(format_, _FORMATS)
    if rules is not None:
        register_rules(load_rules(rules))
    if export_unknown is None:
        _read(error, _Teller(explain_, format_))
        return
    try:
        with export_unknown.open("w", encoding="utf-8") as unknown:
            _read(error, _Teller(explain_, format_, unknown))
    except OSError as failure:
        raise UsageError(f"cannot write {export_unknown}: {failure.strerror}") from failure


def _read(error: str | None, teller: "_Teller") -> None:
    """Find out what was given: a row, rows, a file, stdin, or the error itself."""
    path = _path(error)
    if path is None and error is not None and error != "-":
        if not _valued(error, teller):
            teller.tell({"message": error}, of_text=True)
        return
    if path is None and sys.stdin.isatty():
        raise UsageError("nothing to classify: give an error text, a JSON row, a file, or JSONL on stdin")
    if path is None:
        _stream(sys.stdin.buffer, teller)
        return
    with path.open("rb") as lines:
        _stream(lines, teller)


def _stream(lines: Iterable[bytes], teller: "_Teller") -> None:
    """Answer a stream: JSONL line by line as it comes, anything else when it is all there."""
    numbered = ((number, line.decode("utf-8", "replace")) for number, line in enumerate(lines, 1))
    head = [(number, line.lstrip("\ufeff")) for number, line in islice(numbered, _PEEK)]
    spoken = [line for _, line in head if line.strip()]
    if not spoken:
        return
    opens = spoken[0].lstrip().startswith(("{", "[")) and _row(spoken[0]) is None
    if not opens and any(_row(line) is not None for line in spoken):
        _rows(chain(head, numbered), teller)
    else:
        _whole([*head, *numbered], teller)


def _whole(lines: Sequence[tuple[int, str]], teller: "_Teller") -> None:
    """Answer one JSON value, JSONL whose first line is broken, or a text that is one error."""
    text = "".join(line for _, line in lines)
    if _valued(text, teller):
        return
    spoken = [line for _, line in lines if line.strip()]
    if any(_row(line) is not None for line in spoken) or all(line.startswith('{"') for line in spoken):
        _rows(lines, teller)
    else:
        teller.tell({"message": text}, of_text=True)


def _valued(text: str, teller: "_Teller") -> bool:
    """Answer one JSON value, a row or a list of rows, if it is that."""
    value = _parsed(text)
    if isinstance(value, dict):
        teller.tell(value)
        return True
    if not isinstance(value, list) or not any(isinstance(item, dict) and is_row(item) for item in value):
        return False
    _each(((f"item {number}", item, str(item)) for number, item in enumerate(value, 1)), teller)
    return True


def _rows(lines: Iterable[tuple[int, str]], teller: "_Teller") -> None:
    _each(((f"line {number}", _row(line), line) for number, line in lines if line.strip()), teller)


def _each(values: Iterable[tuple[str, object, str]], teller: "_Teller") -> None:
    """Answer good rows in order; tell where the bad ones are, and fail at the end.

    Raises:
        UsageError: if a value was no JSON object.
    """
    bad = 0
    for place, value, shown in values:
        if isinstance(value, dict):
            teller.tell(value)
        else:
            bad += 1
            sys.stderr.write(f"penstock: {place}: not a JSON object: {shown.strip()[:60]!r}\n")
    if bad:
        sys.stdout.flush()
        raise UsageError(f"{bad} row{'s' if bad > 1 else ''} could not be read; the others were classified")


@dataclass(frozen=True, slots=True)
class _Teller:
    """Says what a row was, in one form, and keeps the unknown ones."""

    explained: bool
    form: str
    unknown: TextIO | None = None

    def tell(self, row: dict[str, object], *, of_text: bool = False) -> None:
        evidence = evidence_of_row(row)
        found = classify(evidence)
        if self.unknown is not None and found.error_class is ErrorClass.UNKNOWN:
            self.unknown.write(json.dumps(redacted_row(evidence), ensure_ascii=False) + "\n")
        if self.form == "table" or (self.form == "auto" and of_text):
            lines = [*_lines(found), *(_walk_lines(evidence) if self.explained else ())]
            sys.stdout.write("\n".join(lines) + "\n")
            return
        out = row_of_verdict(found, row.get("id"))
        if self.explained:
            out["explanation"] = _walk(evidence)
        sys.stdout.write(json.dumps(out, default=str) + "\n")


def _lines(found: Verdict) -> Iterator[str]:
    retry = "yes" if found.retryable else "no"
    wait = "" if found.retry_after is None else f", after {found.retry_after:g} s"
    yield f"{found.error_class}.{found.reason}  (group {found.group}, fix the {found.layer} layer)"
    yield f"  retry         {retry}{wait}"
    yield f"  fault         {found.fault}"
    yield f"  limit         {found.limit_dimension or '-'}"
    yield f"  side effects  {found.side_effects}"
    yield f"  evidence      {', '.join(found.evidence) or '-'}"
    yield f"  confidence    {found.confidence:g}"


def _walk(evidence: Evidence) -> dict[str, object]:
    walk = explain(evidence)
    return {
        "owner": walk.owner,
        "provider": walk.provider or None,
        "status": walk.status,
        "signals": list(walk.signals),
        "steps": [
            {"rule": s.rule, "tier": s.tier, "verdict": s.verdict, "held": s.held, "source": s.source}
            for s in walk.steps
        ],
    }


def _walk_lines(evidence: Evidence) -> Iterator[str]:
    walk = explain(evidence)
    seen = f"owner {walk.owner}, provider {walk.provider or '-'}, status {walk.status or '-'}"
    yield f"\nseen: {seen}, signals {', '.join(walk.signals) or '-'}"
    decided = False
    for step in walk.steps:
        mark = "held" if step.held and decided else "DECIDED" if step.held else "-"
        decided = decided or step.held
        yield f"  {mark:<8} {step.tier:<11} {step.rule:<26} {step.verdict}"
        if mark == "DECIDED":
            yield f"           source: {step.source}"


def _row(text: str) -> dict[str, object] | None:
    value = _parsed(text)
    return value if isinstance(value, dict) else None


def _parsed(text: str) -> object:
    """Read JSON; None if it is none. What JSON cannot spell, such as NaN, is null."""
    try:
        value: object = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return value


def _path(text: str | None) -> Path | None:
    """Take an argument for a file if there is one, or if it can be nothing else.

    Raises:
        UsageError: if it is named like a file of rows, and there is none.
    """
    if not text or text == "-" or len(text) > 1024 or "\n" in text:
        return None
    try:
        path = Path(text)
        found = path.is_file()
    except (OSError, ValueError):
        return None
    if not found and " " not in text and path.suffix in (".json", ".jsonl", ".ndjson"):
        raise UsageError(f"no such file: {text}")
    return path if found else None
