"""`penstock classify`: say what an error was, and why."""

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Final

import typer

from penstock.classifiers import (
    Evidence,
    Verdict,
    classify,
    evidence_of_row,
    explain,
    load_rules,
    register_rules,
    row_of_verdict,
)
from penstock.errors import UsageError

_FORMATS: Final = ("auto", "table", "json")
_PEEK: Final = 64
ErrorArgument = Annotated[
    str | None, typer.Argument(help="An error text, a JSON row, a JSONL file, or - for stdin.")
]
ExplainOption = Annotated[bool, typer.Option("--explain", help="Show which rules were tried and which held.")]
FormatOption = Annotated[str, typer.Option("--format", help="auto, table or json. JSONL in is JSONL out.")]
RulesOption = Annotated[Path | None, typer.Option("--rules", help="A TOML file with rules of your own.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("classify")(run)


def run(
    error: ErrorArgument = None,
    explain_: ExplainOption = False,
    format_: FormatOption = "auto",
    rules: RulesOption = None,
) -> None:
    """Tell what an error was: its class, whose fault, whether to retry and when.

    Reads an error text, a JSON row (any of id, framework, provider, exception_type, status_code,
    message, body, headers, span_kind), or JSONL on stdin; one JSON object a line comes out.
    """
    if format_ not in _FORMATS:
        raise UsageError(f"--format is one of {', '.join(_FORMATS)}, not {format_!r}")
    if rules is not None:
        register_rules(load_rules(rules))
    if error is not None and error != "-" and (row := _row(error)) is not None:
        _answer(row, explain_, format_)
        return
    path = _path(error)
    if error is not None and error != "-" and path is None:
        _answer({"message": error}, explain_, "table" if format_ == "auto" else format_)
        return
    if path is None and sys.stdin.isatty():
        raise UsageError("nothing to classify: give an error text, a JSON row, a file, or JSONL on stdin")
    with path.open("rb") if path else sys.stdin.buffer as lines:
        _stream(lines, explain_, format_)


def _stream(lines: Iterable[bytes], explained: bool, form: str) -> None:
    """Answer a stream: JSONL line by line, one JSON value, or a text that is one error."""
    numbered = ((number, line.decode("utf-8", "replace")) for number, line in enumerate(lines, 1))
    head = [(number, line.lstrip("\ufeff")) for number, line in islice(numbered, _PEEK)]
    if not any(line.strip() for _, line in head):
        return
    if any(_row(line) is not None for _, line in head):
        _rows(chain(head, numbered), explained, form)
        return
    text = "".join(line for _, line in chain(head, numbered))
    row = _row(text)
    if row is None and all(line.lstrip().startswith("{") for _, line in head if line.strip()):
        _rows(iter(head), explained, form)
    elif row is not None:
        _answer(row, explained, form)
    else:
        _answer({"message": text}, explained, "table" if form == "auto" else form)


def _rows(lines: Iterable[tuple[int, str]], explained: bool, form: str) -> None:
    """Answer good rows in order; tell where the bad ones are, and fail at the end.

    Raises:
        UsageError: if a line was no JSON object.
    """
    bad = 0
    for number, line in lines:
        if not line.strip():
            continue
        row = _row(line)
        if row is None:
            bad += 1
            sys.stderr.write(f"penstock: line {number}: not a JSON object: {line.strip()[:60]!r}\n")
        else:
            _answer(row, explained, form)
    if bad:
        sys.stdout.flush()
        raise UsageError(f"{bad} line{'s' if bad > 1 else ''} could not be read; the others were classified")


def _answer(row: dict[str, object], explained: bool, form: str) -> None:
    evidence = evidence_of_row(row)
    found = classify(evidence)
    if form in ("auto", "json"):
        out = row_of_verdict(found, row.get("id"))
        if explained:
            out["explanation"] = _walk(evidence)
        sys.stdout.write(json.dumps(out, ensure_ascii=False, default=str) + "\n")
        return
    sys.stdout.write("\n".join(_lines(found)) + "\n")
    if explained:
        sys.stdout.write("\n".join(_walk_lines(evidence)) + "\n")


def _lines(found: Verdict) -> list[str]:
    retry = "yes" if found.retryable else "no"
    if found.retry_after is not None:
        retry += f", after {found.retry_after:g} s"
    return [
        f"{found.error_class}.{found.reason}  (group {found.group}, fix the {found.layer} layer)",
        f"  retry         {retry}",
        f"  fault         {found.fault}",
        f"  limit         {found.limit_dimension or '-'}",
        f"  side effects  {found.side_effects}",
        f"  evidence      {', '.join(found.evidence) or '-'}",
        f"  confidence    {found.confidence:g}",
    ]


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
        mark = "  no  " if not step.held else " then " if decided else "  YES "
        decided = decided or step.held
        yield f"{mark} {step.tier:<11} {step.rule:<28} {step.verdict}  [{step.source}]"


def _row(text: str) -> dict[str, object] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _path(text: str | None) -> Path | None:
    """Take an argument for a file only if there is one."""
    if not text or text == "-" or len(text) > 1024 or "\n" in text:
        return None
    try:
        path = Path(text)
        return path if path.is_file() else None
    except OSError:
        return None
