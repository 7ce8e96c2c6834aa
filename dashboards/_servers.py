"""Prometheus and Alertmanager as child processes on loopback, from whatever the machine has installed."""

import contextlib
import errno
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import yaml

from penstock.errors import UsageError

LOOPBACK: Final = "127.0.0.1"
_READY_SECONDS: Final = 30
_STOP_SECONDS: Final = 10
_PACKAGES: Final = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}


class Server:
    """One child process that listens on loopback; port 0 takes a free one.

    A context manager: it is stopped at the end.

    Raises:
        UsageError: if the program is not installed, or the port is taken.
    """

    def __init__(self, program: str, arguments: Sequence[str], folder: Path, port: int = 0) -> None:
        if port:
            _check_free(port, program)
        self.port = port or free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._log = folder / f"{program}.log"
        self._command = [_find(program), f"--web.listen-address={LOOPBACK}:{self.port}", *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start and wait until it is ready.

        Raises:
            UsageError: if it ends at once or does not become ready; its log is named.
        """
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                self._command, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
                raise UsageError(f"{self._command[0]} did not start ({self._log}): {''.join(last)}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process; harmless when it has ended."""
        if self._process is not None:
            end_process(self._process)

    def _ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready", timeout=1):  # noqa: S310
            return True
        return False


def end_process(process: "subprocess.Popen[bytes]", patience_seconds: float = _STOP_SECONDS) -> None:
    """Ask a process to end, then end it; harmless when it has ended."""
    process.terminate()
    try:
        process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def prometheus_server(
    folder: Path,
    scrapes: Sequence[Mapping[str, Any]],
    *,
    interval: str = "1s",
    rules: str = "",
    alertmanager: Server | None = None,
    port: int = 0,
) -> Server:
    """Prepare a Prometheus below `folder` that scrapes, evaluates `rules` and tells an Alertmanager.

    `scrapes` are entries of Prometheus's `scrape_configs`; `rules` is the text of a rule file.
    """
    config: dict[str, Any] = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "scrape_configs": [dict(scrape) for scrape in scrapes],
    }
    if rules:
        (folder / "rules.yaml").write_text(rules, encoding="utf-8")
        config["rule_files"] = ["rules.yaml"]
    if alertmanager is not None:
        target = f"{LOOPBACK}:{alertmanager.port}"
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]}
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    data = folder / "prometheus-data"
    flags = [f"--config.file={path}", f"--storage.tsdb.path={data}", "--log.level=warn"]
    return Server("prometheus", flags, folder, port)


def alertmanager_server(folder: Path, webhook: str = "", *, group_wait: str = "30s", port: int = 0) -> Server:
    """Prepare an Alertmanager below `folder` that posts to `webhook`."""
    receiver: dict[str, Any] = {"name": "webhook"}
    if webhook:
        receiver["webhook_configs"] = [{"url": webhook, "send_resolved": True}]
    config = {
        "route": {
            "receiver": "webhook",
            "group_by": ["alertname", "job", "pool"],
            "group_wait": group_wait,
            "group_interval": group_wait,
            "repeat_interval": "4h",
        },
        "receivers": [receiver],
    }
    path = folder / "alertmanager.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    flags = [f"--config.file={path}", f"--storage.path={folder / 'alertmanager-data'}"]
    # No gossip: one instance, and no port of its own.
    quiet = ["--cluster.listen-address=", "--log.level=warn"]
    return Server("alertmanager", [*flags, *quiet], folder, port)


def _find(program: str) -> str:
    package = _PACKAGES[program]
    found = shutil.which(program) or shutil.which(package)
    if found is None:
        raise UsageError(f"{program} is not installed: apt-get install {package}")
    return found


def _check_free(port: int, program: str) -> None:
    """Whoever holds the port may well be another of these, and would seem to be the one just started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
            hint = f"choose another with --{program}-port N (0 picks a free one)"
            raise UsageError(f"port {port} on {LOOPBACK} {why}; {hint}") from error


def free_port() -> int:
    """Find a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
