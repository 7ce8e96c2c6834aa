"""`penstock stack`: the demo's apps over and over, Prometheus and Alertmanager, to look around in."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer

from penstock import alerts, dashboards
from penstock.cli._output import as_typed, write_files
from penstock.errors import UsageError
from penstock.simulator import Config, Simulator, profile, serve
from penstock.simulator.demo import AGENT, need_clients

# Habit of the demo's app -> how `penstock run` is told to start it.
HABITS: Final = {"naive": [], "guarded": ["--limit"]}
SCRAPE_INTERVAL: Final = "2s"
TOKENS_FOR_A_REQUEST: Final = 4_000
"""So many that requests run out first; headers tell of both."""

PortOption = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--folder", metavar="FOLDER", help="Where data, logs and dashboards go. [default: a new one]"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stack")(stack)


def stack(
    prometheus_port: PortOption = 9090,
    alertmanager_port: PortOption = 9093,
    rpm: Annotated[int, typer.Option(min=2, help="Each app's quota, requests per minute.")] = 500,
    folder: FolderOption = None,
) -> None:
    """Run two apps, Prometheus and Alertmanager, to look around.

    The apps are the demo's, a naive and a guarded one, at work against simulators until Ctrl-C. Needs
    the two servers (apt-get install prometheus prometheus-alertmanager) and the openai and anthropic
    packages. Everything listens on loopback.
    """
    need_clients("the stack's apps drive")
    place = folder or Path(tempfile.mkdtemp(prefix="penstock-stack-"))
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {place}: {error.strerror}") from error
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as running:
        try:
            apps = [running.enter_context(_app(habit, rpm, place)) for habit in HABITS]
            url = _serve(running, apps, place, prometheus_port, alertmanager_port)
            files = dashboards.board_files(dashboards.shipped()) | dashboards.provisioning()
            write_files(place / "grafana", files)
            _say(apps, url, place / "grafana" / dashboards.COMPOSE)
            while True:
                for app in apps:
                    app.keep_going()
                time.sleep(0.5)
        except KeyboardInterrupt:
            typer.echo("stopping")


def _serve(running: ExitStack, apps: "list[_App]", place: Path, prometheus: int, alertmanager: int) -> str:
    manager = running.enter_context(dashboards.alertmanager_server(place, port=alertmanager))
    scrapes = [
        {"job_name": app.habit, "static_configs": [{"targets": [f"127.0.0.1:{app.port}"]}]} for app in apps
    ]
    rules = alerts.rule_files(alerts.rule_set())[alerts.RULE_FILE]
    server = dashboards.prometheus_server(
        place, scrapes, interval=SCRAPE_INTERVAL, rules=rules, alertmanager=manager, port=prometheus
    )
    url = running.enter_context(server).url
    typer.echo(f"Alertmanager  {manager.url}")
    return url


def _say(apps: "list[_App]", prometheus: str, compose: Path) -> None:
    typer.echo(f"Prometheus    {prometheus}")
    for app in apps:
        typer.echo(f"{app.habit:<13} http://127.0.0.1:{app.port}/metrics")
    typer.echo(f"Grafana       PROMETHEUS_URL={prometheus} docker compose -f {compose} up")
    options = f"--prometheus {prometheus} --scrape-interval {SCRAPE_INTERVAL} --since 5m"
    typer.echo(f"Look          {as_typed()} dashboards preview look.html {options}")
    typer.echo(f"Check         {as_typed()} dashboards check {options}")
    typer.echo("Ctrl-C ends it all.")


@contextmanager
def _app(habit: str, rpm: int, folder: Path) -> "Iterator[_App]":
    """Keep one of the demo's apps at work, half of its quota on each provider."""
    half = rpm / 2
    pools = tuple(
        profile(name, rpm=half, tpm=half * TOKENS_FOR_A_REQUEST) for name in ("openai", "anthropic")
    )
    with serve(Config(pools=pools)) as simulator:
        app = _App(habit, folder, simulator)
        app.keep_going()
        try:
            yield app
        finally:
            app.stop()


@dataclass(slots=True)
class _App:
    """One of the demo's apps, started again whenever it has finished its tasks."""

    habit: str
    folder: Path
    simulator: Simulator
    port: int = field(default_factory=dashboards.free_port)
    _round: int = 0
    _process: "subprocess.Popen[bytes] | None" = None

    def keep_going(self) -> None:
        """Start the next round if there is none under way.

        Raises:
            UsageError: the app broke; its log is named.
        """
        code = None if self._process is None else self._process.poll()
        if self._process is not None and code is None:
            return
        if code:
            raise UsageError(f"the {self.habit} app ended with {code}; see {self._log}")
        self._round += 1
        with self._log.open("ab") as log:
            self._process = self._start(log)

    def stop(self) -> None:
        """End the app; harmless when it has ended."""
        if self._process is not None:
            dashboards.end_process(self._process)

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.habit}.log"

    def _start(self, log: IO[Any]) -> "subprocess.Popen[bytes]":
        url = self.simulator.url
        keys = {"OPENAI_API_KEY": "stack", "ANTHROPIC_API_KEY": "stack"}
        hosts = {"OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url}
        run = ["run", "--spans", "off", "--metrics-port", str(self.port), *HABITS[self.habit]]
        agent = [str(AGENT), "--habit", self.habit, "--seed", str(self._round)]
        return subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, "-m", "penstock", *run, sys.executable, *agent],
            env=os.environ | keys | hosts, stdout=log, stderr=log,
        )  # fmt: skip
