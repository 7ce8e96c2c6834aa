"""The SDK matrix under the limiter: what an app sees of it, SDK by SDK.

    python -m benchmarks.sdk_matrix.limited [--sdk openai] [--json]

- refused: the provider says no for longer than a call may wait. After one send the app gets the error that
  its SDK raises for such an answer.
- queued: the pool's only place is never given back. The client's own timeout ends the wait; nothing is sent.
- observed: the limiter only watches. What is sent and what the app gets is as without it.

Exit 1 if a cell is wrong.
"""

import argparse
import asyncio
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from typing import Any, Final

from benchmarks.sdk_matrix.cells import SERVED, Run
from benchmarks.sdk_matrix.drivers import Driver, installed
from benchmarks.sdk_matrix.outcomes import LIMITED, MANY, OK, Cell
from penstock.limiter import Limiter, LimiterSettings, PoolSettings
from penstock.limiter._permit import Permit
from penstock.limiter._ticket import Ticket
from penstock.simulator import Simulator, serve
from penstock.telemetry import guard
from penstock.telemetry.hooks import Engine, install, uninstall
from penstock.telemetry.interceptor import Answer, Call, Next, Refused, Settlement
from penstock.telemetry.interceptor import Ticket as AnyTicket

_LONG: Final = {"status": 429, "headers": {"retry-after": "3600"}}
_ANY: Final = (None,) * MANY

_NOT_AT_ALL: Final = -1.0
"""For an SDK that tries again for a time, and would sleep out the hour: any time counts as over."""

REFUSED: Final = Cell("refused", (_LONG,) * MANY, _ANY, _ANY, persistent_seconds=_NOT_AT_ALL)
QUEUED: Final = Cell(
    "queued", (OK,), _ANY, _ANY, retries=0, timeout_seconds=0.1, persistent_seconds=_NOT_AT_ALL
)
OBSERVED: Final = Cell("observed", (LIMITED, LIMITED, OK), _ANY, _ANY)


class Watched:
    """A limiter whose tickets are kept. `crowded`: each pool's only place is taken, and never given back."""

    def __init__(self, limiter: Limiter, *, crowded: bool = False) -> None:
        self._limiter = limiter
        self._crowded = crowded
        self._taken: dict[str, Permit] = {}
        self.tickets: list[Ticket] = []

    def admit(self, call: Call) -> Ticket:
        if self._crowded and call.pool not in self._taken:
            self._taken[call.pool] = self._limiter.pool(call.pool).permit().__enter__()
        ticket = self._limiter.admit(call)
        self.tickets.append(ticket)
        return ticket

    def answer(self, ticket: AnyTicket, answer: Answer) -> Next:
        return self._limiter.answer(ticket, answer)

    def settle(self, ticket: AnyTicket, settlement: Settlement) -> None:
        self._limiter.settle(ticket, settlement)

    @property
    def refusals(self) -> list[str]:
        """Why calls were refused here."""
        return [t.admission.reason for t in self.tickets if isinstance(t.admission, Refused)]


def _limiter(**knobs: Any) -> Limiter:
    return Limiter(LimiterSettings(defaults=PoolSettings(**knobs)))


_WATCHED: Final[dict[str, Callable[[], Watched]]] = {
    "refused": lambda: Watched(_limiter(max_wait_seconds=60.0)),
    "queued": lambda: Watched(_limiter(max_concurrency=1, max_wait_seconds=inf), crowded=True),
    "observed": lambda: Watched(Limiter(mode="observe")),
}


class Limited(Run):
    """One cell: the SDK under the limiter, then bare."""

    def row(self) -> dict[str, Any]:
        """Run the cell and judge it."""
        watched = _WATCHED[self.cell.name]()
        served, raised = self._under(watched)
        bare_served, bare_raised = self._under(None) if self.cell is not QUEUED else (0, "")
        checks = {
            "refused": {
                f"{served} sends": served == 1,
                f"raised {raised}, bare {bare_raised}": raised == bare_raised != "",
                f"refusals {watched.refusals}": set(watched.refusals) <= {"max_wait", "timeout"},
            },
            "queued": {
                f"{served} sends": served == 0,
                f"raised {raised!r}": raised != "",
                f"refusals {watched.refusals}": set(watched.refusals) == {"timeout"},
            },
            "observed": {
                f"{served} sends, bare {bare_served}": served == bare_served,
                f"raised {raised!r}, bare {bare_raised!r}": raised == bare_raised,
                f"refusals {watched.refusals}": not watched.refusals,
            },
        }[self.cell.name]
        return {
            "sdk": self.driver.name,
            "version": self.driver.version,
            "mode": self.manner,
            "cell": self.cell.name,
            "served": served,
            "raised": raised,
            "tries": len(watched.tickets),
            "wrong": [problem for problem, holds in checks.items() if not holds],
        }

    def _under(self, watched: Watched | None) -> tuple[int, str]:
        """Make the cell's call; give what the server served and what the app got."""
        self._served = len(self.sim.entries())
        self.sim.script(*self.cell.script)
        install(Engine(interceptor=watched))
        try:
            raised = self._call()
        finally:
            uninstall()
            self._clear()
        return len(self.sim.entries()) - self._served, raised


def cells(sim: Simulator, driver: Driver) -> Iterator[dict[str, Any]]:
    """Run every cell of one SDK."""
    with asyncio.Runner() as runner:
        for manner in driver.manners:
            refused = replace(REFUSED, retries=0) if manner in driver.app_tries_again else REFUSED
            for cell in (refused, QUEUED, OBSERVED):
                yield Limited(sim, driver, cell, manner, runner).row()
        runner.run(driver.close())


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk_matrix.limited")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sdk", action="append", help="only this one; may be repeated")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    drivers = [driver for driver in installed() if not options.sdk or driver.name in options.sdk]
    rows = []
    with serve(SERVED) as sim:
        for driver in drivers:
            for row in cells(sim, driver):
                rows.append(row)
                if not options.json:
                    _print(row)
    if options.json:
        print(json.dumps({"cells": rows, "hook_errors": dict(guard.errors)}))
    return 1 if guard.errors or not rows or any(row["wrong"] for row in rows) else 0


def _print(row: dict[str, Any]) -> None:
    mark = "ok  " if not row["wrong"] else "FAIL"
    print(
        f"{mark} {row['sdk']:<18} {row['version']:<8} {row['mode']:<13} {row['cell']:<9}"
        f" {row['tries']} tries, {row['served']} served  {row['raised'] or '-':<22}"
        f" {'; '.join(row['wrong'])}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
