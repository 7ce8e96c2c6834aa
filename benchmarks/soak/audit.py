"""The books at the end: what was acknowledged, paid, recorded, and what is still held."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass

from benchmarks.soak.bad_inputs import BadInputs
from benchmarks.soak.world import World

SAMPLE = re.compile(r"^(penstock_\w+?)(?:\{.*\})? (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Check:
    """A claim, whether it holds, and what was seen."""

    claim: str
    holds: bool
    seen: str


def audit(world: World, bad: BadInputs) -> list[Check]:
    """Bring the agents to rest, look at what they still hold, end them, and compare the books."""
    (world.folder / "rest").touch()
    for worker in world.workers:
        worker.check()
    held = _at_rest(world)
    scraped = world.query("sum(penstock_attempts_total)")
    ends = []
    for worker in world.workers:
        worker.send(signal.SIGTERM)
        ends.append(worker.wait())
    left = _left_in_fleet(world)
    died = {part.name: part.died for part in world.parts if part.died}
    live, queued, errors = held["live"], held["queued"], held["hook errors"]
    growth = world.growth
    grown = "no process lived ten minutes" if growth is None else f"at most ×{growth:.2f} after five minutes"
    attempts = float(scraped[0]["value"][1]) if scraped else 0.0
    return [
        *_books(world),
        Check("no call is live, none waits", live == queued == 0, f"{live:.0f} live, {queued:.0f} waiting"),
        Check("no hook of ours failed", errors == 0, f"{errors:.0f} errors"),
        Check("nobody is left in the fleet", not left, str(left or "its pools have no members")),
        Check("nothing died unasked", not died, str(died or "none")),
        Check("workers end when asked", set(ends) == {0}, f"exit codes {ends}"),
        Check("Prometheus has the series", attempts > 0, f"{attempts:.0f} attempts"),
        _spans(world),
        Check("memory does not grow", growth is None or growth < 1.5, grown),
        Check(
            "bad inputs end in an answer or a clear error",
            not bad.failures,
            f"{bad.tried} tried, {bad.failures or 'none failed'}",
        ),
    ]


def _at_rest(world: World) -> dict[str, float]:
    """Read the workers' metrics once their agents rest and nothing is live, or after a minute."""
    deadline = time.monotonic() + 60
    for worker in world.workers:
        while not (world.folder / f"resting-{worker.name}").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
    while True:
        held = Counter[str]()
        for port in world.metrics_ports:
            world.up(port, "/metrics")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                for name, value in SAMPLE.findall(answer.read().decode()):
                    held[name] += float(value)
        seen = {
            "live": held["penstock_live_calls"],
            "queued": held["penstock_limiter_queue_calls"],
            "hook errors": held["penstock_hook_errors_total"],
        }
        if seen["live"] == seen["queued"] == 0 or time.monotonic() > deadline:
            return seen
        time.sleep(0.2)


def _left_in_fleet(world: World) -> dict[str, int]:
    """Count the members of each pool that the store still knows, once leases of the killed have run out."""
    command = [sys.executable, "-m", "penstock", "pools", "--format", "json"]
    command += ["--store", f"redis://127.0.0.1:{world.store_port}/0"]
    deadline = time.monotonic() + 60
    while True:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        left = {pool["pool"]: pool["members"] for pool in json.loads(done.stdout)["pools"] if pool["members"]}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(1)


def _books(world: World) -> list[Check]:
    paid = Counter(
        json.loads(line)["task"] for line in (world.folder / "bank.jsonl").read_text().splitlines()
    )
    acknowledged = [
        task for book in world.folder.glob("acknowledged-*.jsonl") for task in book.read_text().splitlines()
    ]
    lost = [task for task in acknowledged if not paid[task]]
    doubled = [task for task, times in paid.items() if times > 1]
    return [
        Check("work was done", bool(acknowledged), f"{len(acknowledged)} tasks acknowledged"),
        Check("every acknowledged task is paid", not lost, f"{len(lost)} lost {lost[:3] or ''}"),
        Check(
            "none is paid twice", not doubled, f"{len(doubled)} of {len(paid)} doubled {doubled[:3] or ''}"
        ),
    ]


def _spans(world: World) -> Check:
    files = sorted(str(file) for file in world.folder.glob("spans-*.jsonl"))
    command = [sys.executable, "-m", "penstock", "traces", "quality", "--format", "json", *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=world.folder)
    claim = "every span file can be read"
    if done.returncode:
        return Check(claim, holds=False, seen=done.stderr.strip())
    box = json.loads(done.stdout)["quality"]
    told = ", ".join(f"{box[name]} {name}" for name in ("spans", "duplicates", "orphans", "unfinished"))
    return Check(claim, holds=box["spans"] > 0, seen=f"{told} in {len(files)} files")
