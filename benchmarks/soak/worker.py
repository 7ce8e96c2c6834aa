"""Agents of one process: `python -m benchmarks.soak.worker FOLDER NAME`. May be killed at any time.

SIGUSR1 brings the agents to rest, SIGTERM ends the process.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
from pathlib import Path

import openai

import penstock

AGENTS = 6
QUESTIONS = 3


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
            except openai.OpenAIError:
                await asyncio.sleep(0.2)


async def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    books, names = Books(folder, name), itertools.count()
    async with openai.AsyncOpenAI(timeout=30) as client:
        agents = [asyncio.create_task(agent(names, name, books, client)) for _ in range(AGENTS)]
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: [one.cancel() for one in agents])
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        await ended.wait()
        for one in agents:
            one.cancel()
        await asyncio.wait(agents)


if __name__ == "__main__":
    asyncio.run(main())
