"""`penstock pools`: a fleet's pools as its store has them now."""

import json
import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from penstock.cli._output import SHORT_FORMATS, ShortFormatOption, check_format, grid
from penstock.errors import UsageError

COLUMNS: Final = ("pool", "cap", "rate/s", "live", "queued", "members", "last 429", "gate", "left")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(pools)


def pools(
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="The store; default PENSTOCK_STORE or penstock.toml.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show anew every second, until Ctrl-C.")] = False,
    format: ShortFormatOption = "table",
) -> None:
    """Show what the processes of a fleet share.

    Of each pool: cap, rate, calls in flight and queued, members, the last 429, the gate, the quota left.
    """
    from penstock._config import load
    from penstock.limiter.fleet import RedisStore

    check_format(format, SHORT_FORMATS)
    url = store or load().store
    if url is None:
        raise UsageError("no store is named; give --store redis://host:6379/0 or set PENSTOCK_STORE")
    found = RedisStore(url, socket_timeout=2.0, socket_connect_timeout=2.0)
    try:
        if watch:
            _watch(found, format)
        else:
            _show(_pools(found), format)
    finally:
        found.close()


def _pools(store: Any) -> list[dict[str, Any]]:
    from penstock.limiter.fleet import StoreError

    try:
        return [_pool(name, told) for name, told in store.look()]
    except StoreError as error:
        raise UsageError(f"the store cannot be read: {error}") from error


def _pool(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    gate = (
        "parked"
        if told["parked"]
        else "closed"
        if told["gate"]
        else "open"
        if told["gate_open"]
        else "half-open"
    )
    quota = told["quota"] if isinstance(told["quota"], dict) else {}
    return {
        "pool": name,
        "cap": told["cap"] if told["cap"] >= 0 else None,
        "rate_per_second": told["rate"],
        "in_flight": told["live"],
        "queued": told["queued"],
        "members": told["members"],
        "seconds_since_429": told["refused_ago"] if told["refused_ago"] >= 0 else None,
        "gate": gate,
        "gate_seconds": max(told["gate"], told["parked"]),
        "quota": {
            what: {"rate_per_second": rate, "depth": depth, "left": max(0.0, left)}
            for what, (rate, depth, left) in sorted(quota.items())
        },
    }


def _show(found: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        typer.echo(json.dumps({"pools": found}))
    elif not found:
        typer.echo("no pool is shared here yet; start an app with --limit and this store")
    else:
        from rich.console import Console

        console = Console()
        console.print(_table(found, console.width))


def _watch(store: Any, form: str) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if form == "json" or not console.is_terminal:  # a file or a pipe gets one look below the other
        while True:
            _show(_pools(store), form)
            sys.stdout.flush()
            time.sleep(1)
    with Live(_table(_pools(store), console.width), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(1)
            live.update(_table(_pools(store), console.width), refresh=True)


def _table(found: list[dict[str, Any]], width: int) -> Any:
    from penstock.analysis.answer import Table

    rows: list[list[object]] = []
    for pool in found:
        ago, gate = pool["seconds_since_429"], pool["gate"]
        wait = f" {pool['gate_seconds']:.0f} s" if pool["gate_seconds"] else ""
        left = ", ".join(f"{one['left']:,.0f} {what}" for what, one in pool["quota"].items())
        rows.append(
            [
                pool["pool"],
                pool["cap"],
                round(pool["rate_per_second"], 2),
                pool["in_flight"],
                pool["queued"],
                pool["members"],
                "never" if ago is None else f"{ago:,.0f} s ago",
                f"{gate}{wait}",
                left or "-",
            ]
        )
    return grid(Table("", COLUMNS, rows), width)
