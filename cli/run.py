"""`penstock run`: instrument any program without touching its code."""

import os
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from penstock.cli._help import Command
from penstock.errors import UsageError

_VALUED: Final = ("--spans", "--metrics-port")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", cls=_RunCommand, context_settings={"allow_interspersed_args": False})(run)


def run(
    program: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROGRAM", help="python app.py, -m module, gunicorn …"),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="[=observe|enforce]",
            help="Also limit: queue before sending, absorb 429s. `observe` only counts what it would do.",
        ),
    ] = None,
    spans: Annotated[str | None, typer.Option(metavar="FILE", help="Write spans here.")] = None,
    metrics_port: Annotated[
        str | None, typer.Option(metavar="N", help="Serve Prometheus metrics on 127.0.0.1:N.")
    ] = None,
) -> None:
    """Run a program, see every LLM attempt in it; limit it too.

    The program needs no change. Its exit code and its stdout are its own; the span file is named in one
    line on stderr at its end (penstock-spans.jsonl unless --spans says otherwise).
    """
    from penstock._config import find_file, load
    from penstock.limiter import parse_settings
    from penstock.limiter.fleet import RedisStore
    from penstock.telemetry import launcher

    settings = load({"limit": limit, "spans": spans, "metrics_port": metrics_port})
    parse_settings(settings.limiter)
    if settings.store is not None and settings.limit == "enforce":
        RedisStore(
            settings.store
        ).close()  # connects to nothing: a wrong address is an error before the start
    prepared = launcher.prepare(program or [])
    if limit is None and _says_limit(prepared.command[1:]):
        prepared = prepared.adding("--limit after the program is the program's own; ours stands before it")
    env = {"PENSTOCK_SPANS": str(settings.spans or "off")}
    if settings.disabled:
        launcher.launch(prepared, dict(os.environ))
    if settings.spans is not None:
        launcher.check_folder(settings.spans)
    if settings.metrics_port is not None:
        launcher.check_port(settings.metrics_host, settings.metrics_port)
    if metrics_port is not None:
        env["PENSTOCK_METRICS_PORT"] = metrics_port
    if limit is not None:
        env["PENSTOCK_LIMIT"] = limit
    config = find_file(os.environ, Path())
    if config is not None:
        env["PENSTOCK_CONFIG"] = str(config.absolute())  # the program may change its folder
    launcher.launch(prepared, launcher.environment(env))


def _says_limit(arguments: list[str]) -> bool:
    """Tell whether arguments of a program hold what looks like our `--limit`; `--limit 10` is another's."""
    return any(
        argument in ("--limit=observe", "--limit=enforce")
        or (argument == "--limit" and (following is None or following.startswith("-")))
        for argument, following in zip_longest(arguments, arguments[1:])
    )


class _RunCommand(Command):
    """Our options stop where the program begins, and `--limit` alone means enforce."""

    # Typer's click is its own from 0.17 on, so the context's type has no one name.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spell_out(args))


def spell_out(args: list[str]) -> list[str]:
    """Give `--limit` its value and mark where the program begins.

    Raises:
        UsageError: an option that is not ours stands before the program, or the value of ours is missing or
            stands apart from `--limit`.
    """
    ours: list[str] = []
    rest = list(args)
    while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-", "--"):
        option = rest.pop(0)
        name = option.partition("=")[0]
        if option == "--limit" and rest[:1] in (["off"], ["observe"], ["enforce"]):
            raise UsageError(f"the value of --limit stands behind an =; say --limit={rest[0]}")
        if name == "--limit":
            ours.append("--limit=enforce" if option == "--limit" else option)
        elif name in _VALUED:
            ours.append(option)
            if "=" not in option:
                if not rest:
                    raise UsageError(f"{option} needs a value; see penstock run --help")
                ours.append(rest.pop(0))
        elif name in ("-h", "--help"):
            return ["--help"]
        else:
            raise UsageError(f"unknown option {name!r}; options of the program go after it")
    return [*ours, "--", *(rest[1:] if rest[:1] == ["--"] else rest)]
