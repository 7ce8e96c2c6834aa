"""Agents of one process: `python -m benchmarks.soak.worker FOLDER NAME`. May be killed at any time.

The file `clock-NAME` holds the seconds that its clock is wrong; a file `rest` brings the agents to rest,
which `resting-NAME` confirms; SIGTERM ends the process.
"""

import asyncio
import itertools
import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

import openai

import penstock

AGENTS = 6
QUESTIONS = 3


class Clock:
    """The process's wall clock, which can be made to jump while it runs."""

    def __init__(self) -> None:
        self.wrong_by_seconds = 0.0
        self._time, self._time_ns = time.time, time.time_ns

    def install(self) -> None:
        time.time = lambda: self._time() + self.wrong_by_seconds
        time.time_ns = lambda: self._time_ns() + int(self.wrong_by_seconds * 1e9)


class Books:
    """What this worker has done, on disk: an acknowledgement is written only when all of its work is."""

    def __init__(self, folder: Path, name: str) -> None:
        self.bank = folder / "bank.jsonl"
        self.acknowledged = folder / f"acknowledged-{name}.jsonl"
        self.done = {line.strip() for line in _lines(self.acknowledged)}

    def pay(self, task: str) -> str:
        """Move money: one line, all of it or nothing."""
        _append(self.bank, json.dumps({"task": task, "pid": os.getpid()}))
        return task

    def paid(self, task: str) -> bool:
        return any(json.loads(line)["task"] == task for line in _lines(self.bank))

    def acknowledge(self, task: str) -> None:
        _append(self.acknowledged, task)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _append(path: Path, line: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{line}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)


async def ask(client: openai.AsyncOpenAI, question: str, *, stream: bool) -> None:
    message = {"role": "user", "content": f"{question} sim:tokens=40"}
    answer = await client.chat.completions.create(model="gpt-5", messages=[message], stream=stream)
    if stream:
        async for _ in answer:
            pass


async def agent(names: "itertools.count[int]", name: str, books: Books, client: openai.AsyncOpenAI) -> None:
    ledger = penstock.SqliteLedger(books.bank.with_name("ledger.db"))
    pay = penstock.irreversible(action="pay", requires="fallback", key="{task}", ledger=ledger)(books.pay)
    while True:
        task = f"{name}-{next(names)}"
        while task not in books.done:
            try:
                with penstock.task(task, deadline_seconds=60):
                    for number in range(QUESTIONS):
                        await ask(client, f"question {number} of {task}", stream=number == 1)
                    await asyncio.to_thread(pay, task)
                books.acknowledge(task)
                books.done.add(task)
            except penstock.OutcomeUnknown as unknown:  # a kill fell between the payment and its record
                penstock.resolve(ledger, unknown.key, done=books.paid(task), result=task)
            except (openai.OpenAIError, penstock.TrustError, sqlite3.OperationalError):
                # The last two: another worker hangs, and holds the ledger.
                await asyncio.sleep(0.2)


async def obey(folder: Path, name: str, clock: Clock, agents: "list[asyncio.Task[None]]") -> None:
    """Do what the files say, until the agents are at rest."""
    wrong = folder / f"clock-{name}"
    while not (folder / "rest").exists():
        clock.wrong_by_seconds = float("".join(_lines(wrong)) or 0)
        await asyncio.sleep(0.2)
    for one in agents:
        one.cancel()
    await asyncio.wait(agents)
    (folder / f"resting-{name}").touch()


async def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    clock = Clock()
    clock.install()
    books, names = Books(folder, name), itertools.count()
    async with openai.AsyncOpenAI(timeout=30) as client:
        agents = [asyncio.create_task(agent(names, name, books, client)) for _ in range(AGENTS)]
        ended = asyncio.Event()
        for one in agents:  # none may stop on its own unnoticed
            one.add_done_callback(lambda done: None if done.cancelled() else ended.set())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        obeying = asyncio.create_task(obey(folder, name, clock, agents))
        await ended.wait()
        for one in [*agents, obeying]:
            one.cancel()
        await asyncio.wait([*agents, obeying])
        for one in agents:
            if not one.cancelled():
                one.result()


if __name__ == "__main__":
    asyncio.run(main())
