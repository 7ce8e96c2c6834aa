"""A process that pays once and is killed on the way: run by test_crashes.py, one child for each step.

    crashing_payer.py STORE EFFECTS
STORE is a SQLite path, or the URL of a Redis. For each step it forks a payer that SIGKILLs itself there,
then a second payer for the same key, and prints one JSON line: what was paid, and what the second one was
told.
"""

import json
import os
import random
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from penstock.errors import OutcomeUnknown
from penstock.trust import RedisLedger, SqliteLedger, irreversible

STEPS = ("find", "found", "begin", "in_begin", "begun", "pay", "paid", "end", "in_end", "ended", "never")
here = "never"


def reach(step: str) -> None:
    if step == here:
        os.kill(os.getpid(), signal.SIGKILL)


def crashing(base: type) -> type:
    class Crashing(base):
        inside = ""

        def find(self, key):
            reach("find")
            entry = super().find(key)
            reach("found")
            return entry

        def begin(self, key, claim):
            reach("begin")
            self.inside = "in_begin"
            known = super().begin(key, claim)
            reach("begun")
            return known

        def end(self, key, entry):
            reach("end")
            self.inside = "in_end"
            super().end(key, entry)
            reach("ended")

        @contextmanager
        def _open(self):  # SQLite: die after the write, before its commit
            with super()._open() as db:
                yield db
                reach(self.inside)

    return Crashing


def make_ledger(store: str):
    if store.startswith("redis:"):
        import redis

        return crashing(RedisLedger)(redis.Redis.from_url(store))
    return crashing(SqliteLedger)(store)


def pay_once(store: str, effects: Path, key: str) -> str:
    """Pay; returns what the caller was told."""

    def effect() -> str:
        reach("pay")
        with effects.open("a") as file:
            file.write(f"{key}\n")
            file.flush()
            os.fsync(file.fileno())
        reach("paid")
        return "receipt"

    try:
        return irreversible(key=key, ledger=make_ledger(store), action="pay")(effect)()
    except OutcomeUnknown:
        return "unknown"


def child(work) -> int:
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def main() -> None:
    global here
    store, effects = sys.argv[1], Path(sys.argv[2])
    effects.touch()
    chance = random.Random(7)
    # Redis has no inside to die in: a command was taken or it was not.
    steps = [step for step in STEPS if not (store.startswith("redis:") and step.startswith("in_"))]
    for step in (*steps, *("any" for _ in range(15))):
        key = f"{step}-{chance.random()}"
        here = step
        pid = child(lambda: pay_once(store, effects, key))  # noqa: B023 - runs before the next step
        if step == "any":
            time.sleep(chance.uniform(0, 0.02))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        here = "never"
        told = pay_once(store, effects, key)
        paid = effects.read_text().split().count(key)
        killed = os.WIFSIGNALED(status)
        print(json.dumps({"step": step, "killed": killed, "paid": paid, "told": told}), flush=True)


main()
