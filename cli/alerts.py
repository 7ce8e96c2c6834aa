"""`penstock alerts`: list, export, check and test the shipped rules."""

import json
from pathlib import Path
from typing import Annotated

import typer

from penstock import alerts
from penstock.cli._help import Commands
from penstock.cli._output import SHORT_FORMATS, ShortFormatOption, check_format, show_list, write_files
from penstock.errors import UsageError

FolderArgument = Annotated[
    Path | None, typer.Argument(metavar="FOLDER", help="Folder to write to; without it, to stdout.")
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        metavar="prometheus|kubernetes|grafana",
        help="By default a folder gets all, stdout the first.",
    ),
]
ScaleOption = Annotated[
    float, typer.Option(help="Multiply every window and hold time: 0.0167 turns hours into minutes.")
]
RunbooksOption = Annotated[str, typer.Option(metavar="URL", help="Folder or URL of the runbook pages.")]
GrafanaOption = Annotated[
    str, typer.Option(metavar="URL", help="URL of your Grafana, for links to dashboards.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = Commands(help="Prometheus rules and alerts: list, export, check, test.")
    for command in (_list, _export, _check, _test):
        group.command(command.__name__.removeprefix("_"))(command)
    app.add_typer(group, name="alerts")


def _list(output: ShortFormatOption = "table") -> None:
    """List every alert with its severity and what it says."""
    check_format(output, SHORT_FORMATS)
    rules = alerts.rule_set()
    if output == "json":
        rows = [
            {
                "name": alert.name,
                "severity": str(alert.severity),
                "for": alert.hold,
                "keep_firing_for": alert.keep,
                "expr": alert.expr,
                "description": alert.description,
                "runbook_url": f"{rules.runbooks}/{alert.name}.md",
            }
            for alert in rules.alerts
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    show_list([(alert.name, str(alert.severity), alert.description) for alert in rules.alerts])


def _export(
    folder: FolderArgument = None,
    output: FormatOption = "",
    time_scale: ScaleOption = 1.0,
    runbooks: RunbooksOption = "docs/runbooks",
    grafana: GrafanaOption = "",
) -> None:
    """Write the rules for Prometheus, Kubernetes or Grafana.

    A rule file, a PrometheusRule resource for the operator, or provisioning of Grafana-managed rules.
    """
    if output and output not in alerts.FORMATS:
        raise UsageError(f"unknown format {output!r}; choose {', '.join(alerts.FORMATS)}")
    files = alerts.rule_files(alerts.rule_set(time_scale, runbooks=runbooks, grafana=grafana))
    if folder is None:
        typer.echo(files[alerts.FORMATS[output or "prometheus"][0]], nl=False)
        return
    names = [alerts.FORMATS[output][0]] if output else list(files)
    for path in write_files(folder, {name: files[name] for name in names}):
        typer.echo(path)


def _check() -> None:
    """Check the rules by promtool, every lint on.

    Exit 1 if it finds fault.
    """
    _report(*alerts.check_rules(alerts.rule_set()))


def _test() -> None:
    """Try every alert by promtool: firing, quiet, no data, recovery.

    Exit 1 if one fails.
    """
    _report(*alerts.test_rules())


def _report(passed: bool, said: str) -> None:
    typer.echo(said)
    if not passed:
        raise typer.Exit(1)
