"""`penstock pools`, and a fleet of real processes seen by it, by the provider and by the metrics."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from penstock.limiter.fleet import RedisStore
from penstock.simulator import Config, Distribution, profile, serve
from penstock.telemetry.metrics import LEVELS

APP = """
import asyncio, openai, os, sys
async def main():
    async with openai.AsyncOpenAI(base_url=os.environ["SIM"] + "/v1", api_key="k") as client:
        async def agent():
            while True:
                await client.chat.completions.create(
                    model="gpt-5", max_tokens=20, messages=[{"role": "user", "content": "hi"}])
        await asyncio.gather(*(agent() for _ in range(3)))
asyncio.run(main())
"""


def penstock(*words, **env):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK")}
    return subprocess.run(
        [sys.executable, "-m", "penstock", *words],
        capture_output=True,
        text=True,
        env={**kept, **env},
        timeout=60,
    )


def own(redis_server, number):
    """Name a database of our own: in the first one, members of other tests may still be at work."""
    return f"{redis_server.url}?db={number}"


def eventually(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def fleet(redis_server, tmp_path):
    """Six processes at three times their quota."""
    (tmp_path / "app.py").write_text(APP)
    pool = dataclasses.replace(profile("openai", rpm=300), latency_seconds=Distribution("constant", 0.3))
    with serve(Config(pools=(pool,))) as simulator:
        ours = {"SIM": simulator.url, "PENSTOCK_STORE": own(redis_server, 1), "PENSTOCK_SPANS": "off"}
        env = {**os.environ, **ours}
        command = [sys.executable, "-m", "penstock", "run", "--limit", sys.executable, "app.py"]
        processes = [
            subprocess.Popen(
                command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
            )
            for _ in range(6)
        ]
        try:
            yield processes, simulator
        finally:
            for process in processes:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                process.stderr.close()


def told(redis_server):
    looked = dict(RedisStore(own(redis_server, 1), socket_timeout=10).look())
    return looked.get("openai:gpt-5", {"members": 0, "quota": {}})


def test_real_processes_share_a_quota_and_the_dead_give_back(fleet, redis_server):
    processes, simulator = fleet
    eventually(lambda: told(redis_server)["members"] == 6 and "requests" in told(redis_server)["quota"])
    done = penstock("pools", "--format", "json", PENSTOCK_STORE=own(redis_server, 1))
    (pool,) = json.loads(done.stdout)["pools"]
    assert (pool["pool"], pool["members"], pool["gate"]) == ("openai:gpt-5", 6, "open")
    assert pool["rate_per_second"] == pytest.approx(5.0, rel=0.02)
    for process in processes[:3]:
        os.killpg(process.pid, signal.SIGKILL)
    eventually(lambda: told(redis_server)["members"] == 3)
    truth = json.load(urllib.request.urlopen(f"{simulator.url}/_sim/truth"))
    assert truth["attempts"] >= 30
    assert truth["rate_limited"] <= 0.06 * truth["attempts"]  # a machine that is busy loses its store
    table = penstock("pools", "--store", own(redis_server, 1), COLUMNS="80").stdout
    heading, row = (line.split() for line in table.splitlines())  # in eighty columns no word is cut
    assert heading[:2] == ["pool", "cap"]
    assert row[0] == "openai:gpt-5"
    assert row[-1] == "requests"


def test_a_watch_into_a_pipe_is_one_look_below_the_other_until_it_is_ended(redis_server):
    command = [sys.executable, "-m", "penstock", "pools", "--watch", "--store", own(redis_server, 2)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores SIGINT, and hands that down to its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as watch:
        looks = [watch.stdout.readline() for _ in range(2)]
        watch.send_signal(signal.SIGINT)
        rest, errors = watch.communicate(timeout=20)
    assert looks[0] == looks[1] != ""
    assert set(rest.splitlines()) <= {looks[0].rstrip()}
    assert (errors, watch.returncode) == ("", 130)


def test_where_there_is_no_store_it_says_so(redis_server, tmp_path):
    nowhere = penstock("pools", "--store", "redis://user:hunter2@127.0.0.1:1/0")
    assert (nowhere.returncode, nowhere.stderr.count("\n")) == (2, 1)
    assert "hunter2" not in nowhere.stderr
    unnamed = penstock("pools")
    assert unnamed.returncode == 2
    assert "PENSTOCK_STORE" in unnamed.stderr
    empty = penstock("pools", "--store", own(redis_server, 2))
    assert (empty.returncode, "no pool is shared here yet" in empty.stdout) == (0, True)


def test_the_fleets_levels_are_those_of_the_metrics(redis_server):
    from importlib.resources import files

    script = files("penstock.limiter.fleet").joinpath("pool.lua").read_text()
    listed = re.search(r"^local LEVELS = \{(.*)\}$", script, re.MULTILINE)
    assert listed is not None
    assert tuple(float(level) for level in listed[1].split(",")) == LEVELS
