"""The fleet of the examples, on a real Redis."""

import json
import shutil

import pytest

from benchmarks.fleet.servers import Redis
from tests.examples.test_examples import output


@pytest.fixture
def redis_server(tmp_path):
    server = Redis(tmp_path).start()
    yield server
    server.stop()


def test_workers_share_the_quota_of_their_file_and_leave(start, examples, redis_server, tmp_path):
    for name in ("penstock.toml", "worker.py"):
        shutil.copy(examples / "fleet" / name, tmp_path)
    here = {"cwd": tmp_path, "PENSTOCK_STORE": redis_server.url, "PENSTOCK_SPANS": "off"}
    workers = [start("penstock", "run", "python", "worker.py", "8", **here) for _ in range(3)]
    assert [output(worker) for worker in workers] == ["8 answers\n"] * 3
    (pool,) = json.loads(output(start("penstock", "pools", "--format", "json", **here)))["pools"]
    assert (pool["pool"], pool["members"], pool["in_flight"]) == ("openai:gpt-5-mini", 0, 0)
    assert pool["rate_per_second"] == pytest.approx(0.9 * 300 / 60)
    assert pool["cap"] == 20
