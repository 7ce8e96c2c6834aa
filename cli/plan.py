"""`penstock plan`: the arithmetic before any trace exists."""

from typing import Annotated

import typer

from penstock.cli._output import FormatOption, check_format, show


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)


def plan(
    calls_per_task: Annotated[float, typer.Option(help="LLM calls a task makes.")] = 20.0,
    tokens_per_call: Annotated[float, typer.Option(help="Input and output tokens of a call.")] = 2000.0,
    seconds_per_call: Annotated[float, typer.Option(help="How long a call takes.")] = 5.0,
    calls_at_once: Annotated[float, typer.Option(help="Calls of one task that run at once.")] = 1.0,
    rpm: Annotated[float | None, typer.Option(min=0.001, help="Requests per minute of the quota.")] = None,
    tpm: Annotated[float | None, typer.Option(min=1, help="Tokens per minute of the quota.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Calls at once it allows.")] = None,
    tasks: Annotated[float | None, typer.Option(min=1, help="Tasks you want to run at once.")] = None,
    instances: Annotated[int, typer.Option(min=1, help="Processes that share the quota.")] = 1,
    headroom: Annotated[float, typer.Option(help="Share of the quota to leave unused.")] = 0.1,
    format: FormatOption = "table",
) -> None:
    """Say how many tasks fit a quota, and which cap to set.

    The arithmetic before any trace exists; with --instances also the share of each.
    """
    check_format(format)
    from penstock.analysis import Load
    from penstock.analysis import plan as ask

    load = Load(
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        concurrency=concurrency,
        calls_per_task=calls_per_task,
        tokens_per_call=tokens_per_call,
        seconds_per_call=seconds_per_call,
        calls_at_once_per_task=calls_at_once,
        tasks=tasks,
        instances=instances,
        headroom_ratio=headroom,
    )
    show(ask(load), format)
