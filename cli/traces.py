"""`penstock traces VERB FILE…`: questions to span files."""

import importlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from penstock.analysis import Answer, Selection, Spans, open_spans
from penstock.analysis.spans import STDIN
from penstock.cli._help import Commands
from penstock.cli._output import FormatOption as Format
from penstock.cli._output import check_format, printable, show
from penstock.errors import UsageError

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE", help="Span files, globs or folders, of any format; - reads stdin."),
]
Where = Annotated[
    str | None, typer.Option(metavar="SQL", help="Condition on spans, such as \"model = 'gpt-5'\".")
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Spans from this time on: ISO 8601 (UTC) or seconds since 1970."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Spans that start before this time.")]
By = Annotated[str | None, typer.Option(metavar="COLUMNS", help="Group by these, as service,minute.")]
FailIf = Annotated[
    list[str] | None,
    typer.Option(metavar="CONDITION", help="Exit 1 when this holds, such as 'p99_live>180'; repeatable."),
]
Store = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where read files are kept; default $XDG_CACHE_HOME/penstock."),
]

Page = Annotated[Path, typer.Option("--to", "-o", metavar="FILE", help="The page to write.")]
Query = Annotated[
    str, typer.Argument(metavar="QUERY", help='One SELECT on spans, as "SELECT count(*) FROM spans".')
]
Timeout = Annotated[
    float, typer.Option(min=0.1, metavar="SECONDS", help="How long before the query is stopped.")
]
Exported = Annotated[Path, typer.Option(metavar="FILE", help="The file to write: .parquet, .csv or .jsonl.")]
Kind = Annotated[str | None, typer.Option("--as", metavar="parquet|csv|jsonl", help="Whatever its name.")]

FAILED_GATE: Final = 1


@dataclass(frozen=True, slots=True)
class Verb:
    """A question without options of its own. `name` is its function in `penstock.analysis`."""

    name: str
    help: str
    grouped: bool = False


VERBS: Final = (
    Verb("summary", "What failed, which layer to fix: the page to read first."),
    Verb("errors", "Which class, reason, provider, model and pool failed.", True),
    Verb("concurrency", "Exact, time-weighted percentiles of live attempts per pool.", True),
    Verb("storms", "Retry amplification: attempts per call, time and tokens lost.", True),
    Verb("fanout", "Calls per task, calls at once, and what saturates a quota."),
    Verb("bursts", "Bursts of prompt-cache misses against the pool's baseline."),
    Verb("quota", "The limits that headers told or refusals betray; headroom."),
    Verb("trust", "Answers that came from elsewhere, and the work that followed."),
    Verb("quality", "What is wrong with the data: duplicates, orphans, skew …"),
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    traces = Commands(help="Ask recorded spans what happened, what failed, what would help.")
    for verb in VERBS:
        traces.command(verb.name, help=verb.help)(_grouped(verb) if verb.grouped else _plain(verb))
    for command in (report, replay, sql, export, compare, clickhouse_schema):
        traces.command()(command)
    app.add_typer(traces, name="traces", short_help="Ask recorded spans: what failed, what would help?")


def report(
    files: Files,
    to: Page = Path("penstock-report.html"),
    title: Annotated[str, typer.Option(help="Its heading.")] = "Penstock trace report",
    format: Format = "table", where: Where = None, since: Since = None, until: Until = None,
    fail_if: FailIf = None, store: Store = None,
) -> None:  # fmt: skip
    """Write one self-contained HTML page with plots, safe to send."""
    from penstock.analysis import report as ask

    answer(lambda spans: ask(spans, to, title), files, format, Request(where, since, until, fail_if, store))


def replay(
    files: Files, format: Format = "table", where: Where = None, since: Since = None, until: Until = None,
    rpm: Annotated[float | None, typer.Option(min=1, help="Requests per minute to try.")] = None,
    tpm: Annotated[float | None, typer.Option(min=1, help="Tokens per minute to try.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Calls at once to try.")] = None,
    seed: Annotated[int, typer.Option(help="Another one shows another course.")] = 0,
    fail_if: FailIf = None, store: Store = None,
) -> None:  # fmt: skip
    """What if: this demand against the limiter and some quota.

    Without --rpm, --tpm or --concurrency it is the quota that the recording betrays.
    """
    from penstock.analysis import WhatIf
    from penstock.analysis import replay as ask

    what_if = WhatIf(rpm, tpm, concurrency)
    answer(
        lambda spans: ask(spans, what_if, seed), files, format, Request(where, since, until, fail_if, store)
    )


def sql(
    query: Query,
    files: Files, format: Format = "table", where: Where = None, since: Since = None, until: Until = None,
    timeout: Timeout = 30.0,
    fail_if: FailIf = None, store: Store = None,
) -> None:  # fmt: skip
    """Read-only SQL over the normalised spans."""
    from penstock.analysis import sql as ask

    request = Request(where, since, until, fail_if, store)
    answer(lambda spans: ask(spans, query, timeout_seconds=timeout), files, format, request)


def export(
    files: Files,
    to: Exported,
    kind: Kind = None,
    format: Format = "table", where: Where = None, since: Since = None, until: Until = None,
    fail_if: FailIf = None, store: Store = None,
) -> None:  # fmt: skip
    """Write the normalised spans to a file."""
    from penstock.analysis import export as ask

    answer(lambda spans: ask(spans, to, kind), files, format, Request(where, since, until, fail_if, store))


def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A file, glob or folder, of earlier.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The same, of later.")],
    format: Format = "table", where: Where = None, since: Since = None, until: Until = None,
    fail_if: FailIf = None, store: Store = None,
) -> None:  # fmt: skip
    """What changed between two recordings; could it be chance?"""
    from penstock.analysis import compare as ask

    request = Request(where, since, until, fail_if, store)
    with _harmless(), open_spans([before], store=store, selection=request.selection) as earlier:
        answer(lambda spans: ask(earlier, spans), [after], format, request)


def clickhouse_schema(
    database: Annotated[str, typer.Option(help="The Collector's database.")] = "default",
    table: Annotated[str, typer.Option(help="Its table of spans.")] = "otel_traces",
    view: Annotated[str, typer.Option(help="The view to make.")] = "penstock_spans",
) -> None:
    """Print the SQL of a ClickHouse view with our columns, and the grants that the verbs need."""
    from penstock.analysis import schema

    sys.stdout.write(schema(database, table, view))


def _plain(verb: Verb) -> Callable[..., None]:
    def run(
        files: Files, format: Format = "table", where: Where = None, since: Since = None, until: Until = None,
        fail_if: FailIf = None, store: Store = None,
    ) -> None:  # fmt: skip
        answer(_question(verb), files, format, Request(where, since, until, fail_if, store))

    return run


def _grouped(verb: Verb) -> Callable[..., None]:
    def run(
        files: Files, format: Format = "table", by: By = None, where: Where = None, since: Since = None,
        until: Until = None, fail_if: FailIf = None, store: Store = None,
    ) -> None:  # fmt: skip
        columns = [name.strip() for name in (by or "").split(",") if name.strip()]
        ask = _question(verb)
        answer(
            lambda spans: ask(spans, columns) if columns else ask(spans),
            files, format, Request(where, since, until, fail_if, store),
        )  # fmt: skip

    return run


def _question(verb: Verb) -> Callable[..., Answer]:
    ask: Callable[..., Answer] = getattr(importlib.import_module("penstock.analysis"), verb.name)
    return ask


@dataclass(frozen=True, slots=True)
class Request:
    """The flags that every verb shares, as typed."""

    where: str | None
    since: str | None
    until: str | None
    fail_if: Sequence[str] | None
    store: Path | None

    @property
    def selection(self) -> Selection:
        """Say which spans are asked about."""
        return Selection(
            where=self.where,
            since_ns=_moment(self.since, "--since"),
            until_ns=_moment(self.until, "--until"),
        )


def answer(ask: Callable[[Spans], Answer], files: Sequence[str], form: str, request: Request) -> None:
    """Open the files, ask, print, and check the gates.

    Raises:
        UsageError: a flag or a file cannot be used.
        Exit: a gate holds.
    """
    check_format(form)
    from penstock.analysis.gate import Gate

    gates = [Gate.parse(text) for text in request.fail_if or ()]
    selection, progress = request.selection, _Progress()
    with _harmless(), open_spans(files, store=request.store, selection=selection, progress=progress) as spans:
        progress.end()
        told = ask(spans)
        for said in spans.truncations:
            _warn(said)
        show(told, form)
        sys.stdout.flush()
        if STDIN not in files:
            _foresee(spans)
    broken = [text for gate in gates if (text := gate.broken(told.data))]
    for text in broken:
        _warn(text)
    if broken:
        raise typer.Exit(FAILED_GATE)


def _foresee(spans: Spans) -> None:
    """Ask what is likely to be asked next, as long as the user lets us: the answer is out."""
    from penstock.analysis._foreseen import after_an_answer

    with suppress(KeyboardInterrupt, Exception):  # what fails here is said when it is asked for
        after_an_answer(spans)


def _warn(text: str) -> None:
    print(f"penstock: {printable(text)}", file=sys.stderr)  # noqa: T201


@contextmanager
def _harmless() -> Iterator[None]:
    """File names and span texts end up in errors; they must not steer a terminal."""
    try:
        yield
    except UsageError as error:
        raise UsageError(printable(str(error))) from error


def _moment(text: str | None, flag: str) -> int | None:
    if text is None:
        return None
    from penstock.analysis.moments import nanoseconds

    try:
        return nanoseconds(text)
    except ValueError as error:
        raise UsageError(
            f"{flag} {text!r}: give ISO 8601, as 2026-05-01T12:00, or seconds since 1970"
        ) from error


class _Progress:
    """One line on a terminal's stderr while a large file is read."""

    _EVERY: Final = 0.2

    def __init__(self) -> None:
        self._begun = self._shown = time.monotonic()
        self._bytes = self._spans = 0
        self._live, self._written = sys.stderr.isatty(), False

    def __call__(self, read: int, spans: int, total: int | None) -> None:
        self._bytes, self._spans = self._bytes + read, self._spans + spans
        now = time.monotonic()
        if not self._live or now - self._shown < self._EVERY:
            return
        self._shown, self._written = now, True
        passed = now - self._begun
        eta = f", {passed * (total - self._bytes) / self._bytes:.0f} s left" if total and self._bytes else ""
        sys.stderr.write(
            f"\r\x1b[Kreading: {self._bytes / 1e6:,.0f} MB, {self._spans / passed:,.0f} spans/s{eta}"
        )
        sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._written:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
