"""`penstock demo`: watch three habits of calling a model share the same quota."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from penstock.analysis import open_spans, summary
from penstock.cli._output import as_typed, show
from penstock.errors import UsageError
from penstock.simulator.demo import Arm, Options, Result, need_clients, race

BARS: Final = " ▁▂▃▄▅▆▇█"
SPARK_WIDTH: Final = 18
REPORT_EVERY_SECONDS: Final = 10.0
STARTING: Final = "starting the apps"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    seed: Annotated[int, typer.Option(help="Another seed, another workload.")] = 1,
    tasks: Annotated[int, typer.Option(min=1, help="Agent tasks an arm.")] = 30,
    calls: Annotated[int, typer.Option(min=1, help="Model calls a task.")] = 20,
    rpm: Annotated[int, typer.Option(min=2, help="Each arm's quota, requests per minute.")] = 500,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the span files go. [default: a new one]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Watch thirty agents share one quota, in three habits.

    Naive, handmade and guarded run at once, each on a quota of its own. Uses the real openai and
    anthropic clients against simulators on loopback: no key, no cost.
    """
    need_clients("the demo drives")
    folder = _folder(out)
    options = Options(folder=folder, tasks=tasks, calls=calls, seed=seed, requests_per_minute=rpm)
    if as_json:
        results = asyncio.run(race(options, _reporter(sys.stderr)))
        print(json.dumps({name: asdict(result) for name, result in results.items()}, indent=2))  # noqa: T201
        return
    console = Console()
    console.print(_opening(options))
    results = _watch(console, options)
    console.print(_side_by_side(results))
    _explain(console, results)


def _folder(wanted: Path | None) -> Path:
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="penstock-demo-"))
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {wanted}: {error.strerror}") from error
    return wanted


def _watch(console: Console, options: Options) -> dict[str, Result]:
    if not console.is_terminal:
        return asyncio.run(race(options, _reporter(sys.stderr)))
    with Live(console=console, refresh_per_second=4) as live:
        return asyncio.run(race(options, lambda arms: live.update(_screen(arms, options))))


def _opening(options: Options) -> Text:
    return Text.assemble(
        (f"{options.tasks} agents × {options.calls} model calls", "bold"),
        f" on {options.requests_per_minute} requests a minute. Real openai and anthropic clients,"
        " three habits, three equal quotas, at once.\n",
    )


def _reporter(stream: TextIO) -> Callable[[Sequence[Arm]], None]:
    """Make a one-line progress report for where there is no screen."""
    console = Console(file=stream, highlight=False)
    began = last = time.monotonic()

    def report(arms: Sequence[Arm]) -> None:
        nonlocal last
        if time.monotonic() - last < REPORT_EVERY_SECONDS:
            return
        last = time.monotonic()
        parts = [f"{arm.name} {arm.finished}✓ {arm.failed}✗ {arm.refused}×429" for arm in arms]
        told = "   ".join(parts) if _under_way(arms) else STARTING
        console.print(f"{last - began:4.0f} s  {told}")

    return report


def _screen(arms: Sequence[Arm], options: Options) -> Table:
    title = f"{max(arm.seconds for arm in arms):.0f} s" if _under_way(arms) else STARTING
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in ("tasks done", "failed", "in flight", "cap", "queued", "429s"):
        table.add_column(heading, justify="right")
    table.add_column("429s a second", min_width=SPARK_WIDTH)
    for arm in arms:
        over = len(arm.tasks) == options.tasks
        table.add_row(
            Text.assemble((arm.name, "bold"), "\n", (arm.says, "dim")),
            f"{arm.finished}/{options.tasks}",
            Text(str(arm.failed), style="red" if arm.failed else ""),
            str(arm.live.in_flight),
            "–" if arm.live.cap is None else f"{arm.live.cap:.0f}",
            "–" if arm.live.queue is None else str(arm.live.queue),
            Text(str(arm.refused), style="red" if arm.refused else ""),
            Text(_spark(arm.live.refused_per_second), style="dim" if over else "red"),
        )
    return table


def _under_way(arms: Sequence[Arm]) -> bool:
    """Tell whether an app has begun: importing two SDKs takes a busy machine a while."""
    return any(arm.began is not None for arm in arms)


def _spark(values: Sequence[float]) -> str:
    recent = list(values)[-SPARK_WIDTH:]
    top = max([*recent, 1.0])
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in recent)


def _side_by_side(results: dict[str, Result]) -> Table:
    table = Table(title="Side by side", title_justify="left")
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right", style="bold" if name == "guarded" else "")
    rows: list[tuple[str, Callable[[Result], str]]] = [
        ("tasks finished", lambda r: f"{r.tasks_finished} of {r.tasks_total}"),
        ("attempts refused (429)", lambda r: f"{r.rate_limited} of {r.attempts}"),
        ("attempts wasted", lambda r: str(r.wasted_attempts)),
        ("goodput, of the quota", lambda r: f"{r.goodput_ratio:.0%}"),
        ("live calls p50 / p95 / p99", lambda r: f"{r.live_p50} / {r.live_p95} / {r.live_p99}"),
        ("task time p50 / p99", lambda r: f"{_seconds(r.task_p50_seconds)} / {_seconds(r.task_p99_seconds)}"),
        ("until the last task ended", lambda r: _seconds(r.seconds)),
    ]
    for label, cell in rows:
        table.add_row(label, *(cell(result) for result in results.values()))
    return table


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} s"


def _explain(console: Console, results: dict[str, Result]) -> None:
    """Say which layer failed, from the naive arm's own spans, and what to type next."""
    naive = results["naive"].spans
    console.print("\nWhy the naive arm failed, from its own spans:\n", style="bold")
    with open_spans([naive]) as spans:
        told = summary(spans)
    show(told, "table")
    console.print("\nNext:", style="bold")
    us = as_typed()
    for line, why in (
        (f"{us} traces errors {naive}", "ask these spans yourself, and then your own"),
        (f"{us} run --limit python your_app.py", "guard your own app, no code change"),
        (f"{us} dashboards export grafana/", "the dashboards, ready to import"),
    ):
        console.print(f"  {line}", style="green", highlight=False, soft_wrap=True)
        console.print(f"      {why}", style="dim")
