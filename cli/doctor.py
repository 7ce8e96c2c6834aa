"""`penstock doctor`: what would be seen here, what not, and who retries."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from penstock.cli._output import SHORT_FORMATS, ShortFormatOption, check_format

if TYPE_CHECKING:
    from penstock.telemetry.doctor import Report


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    format: ShortFormatOption = "table",
) -> None:
    """Tell what would be seen in this Python, and who retries.

    Run it with the interpreter of your app: `python -m penstock doctor`. Exit code 0, also with findings.
    """
    check_format(format, SHORT_FORMATS)
    from penstock._config import load
    from penstock.telemetry.doctor import examine

    settings = load()
    report = examine(
        Path.cwd(),
        spans=settings.spans,
        metrics_port=settings.metrics_port,
        limit=settings.limit,
        disabled=settings.disabled,
    )
    if format == "json":
        import orjson

        typer.echo(orjson.dumps(asdict(report), option=orjson.OPT_INDENT_2).decode())
        return
    _print(report)


def _print(report: "Report") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"penstock {report.penstock}, Python {report.python} ({escape(report.executable)})\n")
    if report.sdks:
        sdks = Table(title="SDKs", title_justify="left")
        for heading in ("SDK", "version", "leaves by", "seen", "native tracing"):
            sdks.add_column(heading, overflow="fold")
        for sdk in report.sdks:
            seen = "yes" if sdk.seen else "NO"
            sdks.add_row(sdk.name, sdk.version, ", ".join(sdk.stacks), seen, sdk.native_tracing or "")
        console.print(sdks)
    else:
        console.print("SDKs: none in this Python; ask that of your app: python -m penstock doctor")
    hooks = ", ".join(
        f"{hook.module} ({hook.state})" for hook in report.hooks if hook.state != "not installed"
    )
    console.print(f"hooks: {escape(hooks)}")
    others = ", ".join(f"{other.package} {other.version}" for other in report.instrumentors)
    console.print(f"other instrumentors: {escape(others) or 'none'}")
    console.print(f"exporters: {escape('; '.join(report.exporters))}\n")
    if report.retries.layers:
        retries = Table(title="Who retries", title_justify="left")
        for heading in ("layer", "kind", "attempts", "where"):
            retries.add_column(heading, overflow="fold")
        for layer in report.retries.layers:
            attempts = "?" if layer.attempts is None else str(layer.attempts)
            where = layer.where if layer.used else f"{layer.where} (not imported here)"
            retries.add_row(escape(layer.name), layer.kind, attempts, escape(where))
        console.print(retries)
        console.print(f"worst product: {report.retries.worst} attempts of one call\n")
    for problem in report.problems:
        console.print(f"! {escape(problem)}")
    if not report.problems:
        console.print("No problems found.")
