"""`penstock simulate`: a provider that says no, on a port of yours."""

import dataclasses
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.simulator import Pool, Simulator


class Format(StrEnum):
    """How the address is printed."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    profile: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PROVIDER",
            help="Whose wire, quota and headers: openai, anthropic, azure, groq, deepseek, mistral, gemini, "
            "bedrock, cohere, vllm, ollama. Repeat to serve several.",
        ),
    ] = None,
    rpm: Annotated[
        float | None, typer.Option(min=0, help="Requests per minute; 0: no limit. [default: 500]")
    ] = None,
    tpm: Annotated[
        float | None, typer.Option(min=0, help="Tokens per minute; 0: no limit. [default: 0]")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=0, help="Most live calls; 0: no limit. [default: 0]")
    ] = None,
    latency: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Mean length of a call. [default: 2]")
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve the pools of a scenario instead.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="Seed of latencies, answers and faults.")] = 0,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every request there, one JSON object a line.")
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", "-f", help="How the address is printed.")
    ] = Format.TEXT,
) -> None:
    """Serve the providers' APIs over a quota, until Ctrl-C.

    Prints its base URL once it takes requests: OpenAI clients take URL/v1, all others take URL.
    GET URL/_sim/truth tells what happened; docs/simulator.md has the rest.
    """
    from penstock.simulator import Config, Simulator, load_scenario
    from penstock.simulator import profile as profile_of

    served: dict[str, Any] = {"seed": seed, "host": host, "port": port, "truth_file": truth}
    if scenario is not None:
        if profile or any(value is not None for value in (rpm, tpm, concurrency, latency)):
            raise UsageError(
                "--scenario says it all; leave out --profile, --rpm, --tpm, --concurrency and --latency"
            )
        config = Config.of(load_scenario(scenario), **served)
    else:
        names = list(dict.fromkeys(profile or ["openai"]))
        pools = [profile_of(name, rpm=rpm, tpm=tpm, concurrency=concurrency) for name in names]
        if latency is not None:
            pools = [_with_latency(pool, latency) for pool in pools]
        config = Config(pools=tuple(pools), **served)
    simulator = Simulator(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: simulator.stop())
    simulator.run(lambda: _announce(simulator, config.pools, format))


def _with_latency(pool: "Pool", mean: float) -> "Pool":
    return dataclasses.replace(pool, latency_seconds=dataclasses.replace(pool.latency_seconds, mean=mean))


def _announce(simulator: "Simulator", pools: "tuple[Pool, ...]", format: Format) -> None:
    if format is Format.TEXT:
        line = simulator.url
    else:
        line = orjson.dumps(
            {
                "url": simulator.url,
                "openai_base_url": f"{simulator.url}/v1",
                "anthropic_base_url": simulator.url,
                "pools": [pool.name for pool in pools],
            }
        ).decode()
    print(line, file=sys.stdout, flush=True)  # noqa: T201 - the one line a caller waits for
