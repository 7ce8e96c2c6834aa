"""What is told live, what spans say offline, and a brute-force count are one figure; forks lose nothing."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import openai
import pytest

import penstock
from penstock.simulator import Config, Distribution, profile, serve


@pytest.fixture(scope="module")
def url():
    latency = Distribution("lognormal", 0.15, 0.8)
    with serve(
        Config(pools=(replace(profile("openai"), latency_seconds=latency, requests_per_minute=0.0),))
    ) as sim:
        yield sim.url + "/v1"


async def load(url, calls):
    rng = random.Random(7)
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-t", max_retries=0) as client:

        async def one(n):
            await asyncio.sleep(rng.random() * 0.5)
            ask = {"model": f"gpt-{n % 2}", "messages": [{"role": "user", "content": "hi"}]}
            if n % 3:
                async for _ in await client.chat.completions.create(**ask, stream=True):
                    pass
            else:
                await client.chat.completions.create(**ask)

        await asyncio.gather(*(one(n) for n in range(calls)))


def attempts(path):
    for line in path.read_text().splitlines():
        span = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
        facts = {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]}
        if facts.get("penstock.span.kind") == "attempt":
            yield facts["penstock.pool"], int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])


def oracle(intervals, *, busy):
    """Nanoseconds at each level, by asking every gap between two moments who was live in it."""
    moments = sorted({moment for interval in intervals for moment in interval})
    times = Counter()
    for left, right in pairwise(moments):
        level = sum(start <= left and end >= right for start, end in intervals)
        if level or not busy:
            times[level] += right - left
    total = times.total()

    def rank(p):
        spent = 0
        for level in sorted(times):
            spent += times[level]
            if spent >= Fraction(p) * total:
                return level

    return rank("0.5"), rank("0.95"), rank("0.99"), max(times), total / 1e9


def figures(summary):
    return summary.p50, summary.p95, summary.p99, summary.max, summary.seconds


def test_live_equals_offline_equals_the_oracle_to_the_last_digit(url, tmp_path):
    path = tmp_path / "s.jsonl"
    with penstock.instrument(spans=path, limit="off") as runtime:
        asyncio.run(load(url, 60))
        live = runtime.telemetry.metering.levels()
    intervals = defaultdict(list)
    for pool, start, end in attempts(path):
        intervals[pool].append((start, end))
    assert sum(map(len, intervals.values())) == 60
    assert set(live) == set(intervals)
    for pool, (closed, busy) in live.items():
        assert figures(closed) == oracle(intervals[pool], busy=False)
        assert figures(busy) == oracle(intervals[pool], busy=True)
        assert closed.max > 3
    offline = subprocess.run(
        [sys.executable, "-m", "penstock", "traces", "concurrency", str(path), "--format", "json",
         "--store", str(tmp_path / "store")],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    told = {group["pool"]: group for group in json.loads(offline.stdout)["groups"]}
    for pool, (closed, busy) in live.items():
        assert (told[pool]["p50"], told[pool]["p95"], told[pool]["p99"], told[pool]["max"]) == figures(
            closed
        )[:4]
        assert told[pool]["busy"]["p99"] == busy.p99
        assert told[pool]["seconds"] == pytest.approx(closed.seconds, abs=1e-9)


FORKS = """
import os, sys, threading, openai, penstock
url, path, forks = sys.argv[1], sys.argv[2], int(sys.argv[3])
runtime = penstock.instrument(spans=path, metrics_port=0, limit="enforce")
client = openai.OpenAI(base_url=url, api_key="sk-t")
ask = dict(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
client.chat.completions.create(**ask)  # Python 3.11's cached_property locks at first use, in the SDK too
over = threading.Event()
def load():
    while not over.is_set():
        list(client.chat.completions.create(**ask, stream=True))
threads = [threading.Thread(target=load) for _ in range(4)]
for thread in threads:
    thread.start()
bad = []
for n in range(forks):
    pid = os.fork()
    if not pid:
        metering = runtime.telemetry.metering
        clean = metering.live("openai:gpt-5") == 0 and runtime.telemetry.engine.live == 0
        if n % 20 == 0:
            openai.OpenAI(base_url=url, api_key="sk-t").chat.completions.create(**ask)
            clean = clean and metering.live("openai:gpt-5") == 0
        os._exit(0 if clean else 1)
    bad += [os.waitpid(pid, 0)[1]]
over.set()
for thread in threads:
    thread.join()
print(sum(map(bool, bad)), runtime.telemetry.metering.live("openai:gpt-5"), runtime.telemetry.engine.live)
"""


def test_two_hundred_forks_under_load_leak_nothing_and_lock_nothing(url, tmp_path):
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, url, str(tmp_path / "s.jsonl"), "200"],
        capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    )  # fmt: skip
    assert out.stdout == "0 0 0\n", out.stderr
    seen = [line for path in tmp_path.glob("*.jsonl") for line in attempts(path)]
    assert len(seen) == len(set(seen))  # no span written twice
    assert len(list(tmp_path.glob("s.*.jsonl"))) == 10
