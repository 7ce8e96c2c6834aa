"""Concurrent streams of mixed lengths by openai's SDK, some refused first, against the simulator."""

import asyncio
import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import openai

_APART_SECONDS: Final = 0.004
"""Between two starts: a client that is busy starting calls stamps them before the server can see them."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """So many streams that are as long as each other; `refused` have a 429 first, told to wait `back_off`.

    They start `after` the wave. All in seconds.
    """

    name: str
    streams: int
    seconds: float
    refused: int = 0
    back_off: float = 0.0
    after: float = 0.0


WAVE: Final = (
    Cohort("long", 6, 4.0),
    Cohort("middle", 6, 2.5),
    Cohort("short", 5, 1.4),
    Cohort("tiny", 6, 0.6),
    Cohort("unlucky", 4, 2.0, refused=4, back_off=1.2),
)
BURST: Final = Cohort("burst", 12, 0.45, after=0.85)
"""On top of the last wave. No percentile of four waves is within 0.3 s of a change of level, so that the
milliseconds between client and server cannot move one."""
_REFUSAL_SECONDS: Final = 0.3
_FIRST: Final = Cohort("first", 1, 0.0)
"""Loads what an SDK loads at its first call."""
_HEAD_SHARE: Final = 0.25
"""Of a stream's length, until its head."""


class Server:
    """A simulator in a process of its own, so that its clock readings wait for nobody."""

    def __init__(self, url: str) -> None:
        self.url = url

    def script(self, outcomes: list[dict[str, Any]]) -> None:
        """Say what the next calls get."""
        body = json.dumps(outcomes).encode()
        request = urllib.request.Request(
            f"{self.url}/_sim/script", body, {"content-type": "application/json"}
        )
        urllib.request.urlopen(request).close()

    def log(self) -> list[tuple[int, int]]:
        """Give when each request came and its last byte went, in ns."""
        with urllib.request.urlopen(f"{self.url}/_sim/log") as answer:
            entries = [json.loads(line) for line in answer]
        return [(entry["began_ns"], entry["ended_ns"]) for entry in entries]


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Run one."""
    command = [sys.executable, "-m", "penstock", "simulate", "--rpm", "0", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process.stdout.readline().strip())
        finally:
            process.terminate()


async def run(server: Server, waves: int) -> None:
    """Make all calls; a wave takes four seconds."""
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk-live") as client:
        await asyncio.gather(*_starts(client, server, (_FIRST,)))
        for wave in range(waves):
            cohorts = (*WAVE, BURST) if wave == waves - 1 else WAVE
            await asyncio.gather(*_starts(client, server, cohorts))


def _starts(client: Any, server: Server, cohorts: tuple[Cohort, ...]) -> Iterator[Any]:
    place = 0
    for cohort in cohorts:
        mine = {"x-cohort": cohort.name}
        head = cohort.seconds * _HEAD_SHARE
        answer = {
            "output_tokens": 96,
            "delay_seconds": head,
            "stream_seconds": cohort.seconds - head,
            "header": mine,
        }
        refusal = {
            "status": 429,
            "delay_seconds": _REFUSAL_SECONDS,
            "headers": {"retry-after-ms": str(cohort.back_off * 1000)},
            "header": mine,
        }
        server.script([refusal] * cohort.refused + [answer] * cohort.streams)
        for _ in range(cohort.streams):
            yield _stream(client, mine, cohort.after + place * _APART_SECONDS)
            place += 1


async def _stream(client: Any, headers: dict[str, str], after: float) -> None:
    await asyncio.sleep(after)
    chunks = await client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": "hi"}], stream=True, extra_headers=headers
    )
    async for _ in chunks:
        pass
