"""`penstock dashboards`: list, export, push, check and preview the shipped dashboards."""

import json
import os
import re
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import typer

from penstock import dashboards
from penstock.cli._help import Commands
from penstock.cli._output import SHORT_FORMATS, ShortFormatOption, check_format, show_list, write_files
from penstock.errors import UsageError

TOKEN_VARIABLE: Final = "GRAFANA_TOKEN"  # noqa: S105 - the name of a variable

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to write to.")]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", metavar="UID", help="Only this one; repeatable.")
]
PrometheusOption = Annotated[str, typer.Option("--prometheus", metavar="URL", help="URL of your Prometheus.")]
SinceOption = Annotated[str, typer.Option(metavar="DURATION", help="How far back to look, such as 15m.")]
ScrapeOption = Annotated[
    str, typer.Option(metavar="DURATION", help="Your scrape interval; rates are taken over four of them.")
]
JobOption = Annotated[str, typer.Option(metavar="REGEX", help="Jobs to look at.")]
UrlOption = Annotated[
    str, typer.Option("--url", envvar="GRAFANA_URL", metavar="URL", help="URL of your Grafana.")
]
FolderOption = Annotated[
    str, typer.Option("--folder", metavar="TITLE", help="Title of the folder to save in.")
]
FolderUidOption = Annotated[str, typer.Option(metavar="UID", help="The folder's uid.")]
ApplyOption = Annotated[bool, typer.Option("--apply", help="Save; without it the difference is shown.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Save although somebody else saved meanwhile.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = Commands(help="Grafana dashboards: list, export, push, check, preview.")
    for command in (_list, _export, _push, _check, _preview):
        group.command(command.__name__.removeprefix("_"))(command)
    app.add_typer(group, name="dashboards")


def _list(output: ShortFormatOption = "table") -> None:
    """List every dashboard with the question it answers."""
    check_format(output, SHORT_FORMATS)
    boards = dashboards.shipped()
    if output == "json":
        rows = [{"uid": b.uid, "title": b.title, "description": b.description} for b in boards]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    show_list([(board.uid, board.description) for board in boards])


def _export(folder: FolderArgument, only: OnlyOption = None) -> None:
    """Write them as JSON, ready to import or provision."""
    chosen = _chosen(only)
    beside = {} if only else dashboards.provisioning()
    for path in write_files(folder, dashboards.board_files(chosen) | beside):
        typer.echo(path)


def _check(
    prometheus: PrometheusOption,
    only: OnlyOption = None,
    since: SinceOption = "15m",
    scrape_interval: ScrapeOption = "15s",
    job: JobOption = ".+",
    output: ShortFormatOption = "table",
) -> None:
    """Say which panels would be empty on your data. Exit 1 if any would."""
    check_format(output, SHORT_FORMATS)
    filling = _filling(scrape_interval, job)
    asked = [e for board in _chosen(only) for e in dashboards.expressions(board.model)]
    findings = dashboards.check(dashboards.Prometheus(prometheus), asked, filling, _seconds(since))
    empty = [finding for finding in findings if finding.empty]
    if output == "json":
        typer.echo(json.dumps([_row(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        for line in dict.fromkeys(_line(finding) for finding in empty):
            typer.echo(line)
        typer.echo(f"{len(findings) - len(empty)} of {len(findings)} expressions have data")
    if empty:
        raise typer.Exit(1)


def _preview(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="HTML file to write.")],
    prometheus: PrometheusOption,
    only: OnlyOption = None,
    since: SinceOption = "15m",
    scrape_interval: ScrapeOption = "15s",
    job: JobOption = ".+",
) -> None:
    """Draw the dashboards from your Prometheus as one HTML page: a look without a Grafana."""
    from penstock.dashboards import preview  # nobody else pays for loading it

    server, filling, seconds = (
        dashboards.Prometheus(prometheus), _filling(scrape_interval, job), _seconds(since),
    )  # fmt: skip
    end = server.now()
    boards = [(b, list(preview.look(server, b.model, filling, seconds, end))) for b in _chosen(only)]
    try:
        file.write_text(preview.page(boards), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
    panels = [view for _, views in boards for view in views if view.kind != "row"]
    seen = sum(bool(view.series) for view in panels)
    typer.echo(f"{file}: {seen} of {len(panels)} panels have data")


def _push(
    url: UrlOption,
    folder: FolderOption = "Penstock",
    folder_uid: FolderUidOption = "penstock",
    only: OnlyOption = None,
    apply: ApplyOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Show what saving them would change; save with --apply.

    The token of a service account with the Editor role is read from GRAFANA_TOKEN.
    """
    grafana = dashboards.Grafana(url, _token())
    place = dashboards.Folder(folder_uid, folder)
    steps = [grafana.plan(board, place) for board in _chosen(only)]
    for step in steps:
        typer.echo(f"{step.change:<8} {step.board.uid}")
        typer.echo(step.diff, nl=False)
    wanted = [step for step in steps if step.change is not dashboards.Change.SAME]
    if not apply:
        counts = Counter(str(step.change) for step in steps)
        typer.echo(", ".join(f"{n} {name}" for name, n in counts.items()) + "; nothing saved: add --apply")
        return
    if wanted and grafana.ensure_folder(place):
        typer.echo(f"created folder {place.title}")
    _save(grafana, wanted, place, overwrite)


def _save(
    grafana: dashboards.Grafana, steps: list[dashboards.Step], place: dashboards.Folder, overwrite: bool
) -> None:
    message = f"penstock {version('penstock')}"
    conflicts = 0
    for step in steps:
        if grafana.save(step, place, message=message, overwrite=overwrite):
            typer.echo(f"saved    {step.board.uid}")
        else:
            conflicts += 1
            typer.echo(
                f"conflict {step.board.uid}: somebody saved it meanwhile; look again, or add --overwrite"
            )
    if conflicts:
        raise typer.Exit(1)


def _filling(scrape_interval: str, job: str) -> dashboards.Filling:
    scrape = _seconds(scrape_interval)
    return dashboards.Filling(f"{int(4000 * scrape)}ms", f"{int(1000 * scrape)}ms", job)


def _token() -> str:
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise UsageError(f"{TOKEN_VARIABLE} is not set; put a Grafana service account's token there")
    return token


def _chosen(only: list[str] | None) -> list[dashboards.Shipped]:
    boards = dashboards.shipped()
    unknown = set(only or ()) - {board.uid for board in boards}
    if unknown:
        known = ", ".join(board.uid for board in boards)
        raise UsageError(f"no dashboard {', '.join(sorted(unknown))}; there are {known}")
    return [board for board in boards if not only or board.uid in only]


def _row(finding: dashboards.Finding) -> dict[str, object]:
    expression = finding.expression
    return {
        "dashboard": expression.dashboard,
        "panel": expression.where,
        "expr": expression.expr,
        "empty": finding.empty,
        "reason": finding.reason,
        "missing_metrics": list(finding.missing),
        "needs": expression.needs,
        "series": finding.series,
    }


def _line(finding: dashboards.Finding) -> str:
    why = finding.reason
    if finding.missing:
        why += f": {', '.join(finding.missing)} not found"
    if finding.expression.needs:
        why += f" (needs {finding.expression.needs})"
    return f"{finding.expression.dashboard}  {finding.expression.where}  {why}"


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{text!r} is not a duration; write one such as 15s or 10m")
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
