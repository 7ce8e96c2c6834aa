"""Real apps on real clients, a simulator that refuses, a real Prometheus: do the panels tell the truth?"""

import bisect
import dataclasses
import itertools
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from penstock import dashboards
from penstock.dashboards._servers import free_port, prometheus_server
from penstock.simulator import Config, profile, serve
from penstock.simulator.scenario import Distribution
from penstock.telemetry.metrics import LEVELS

APP = Path(__file__).with_name("app.py")
SECONDS = 5
# Workers tell the one that serves them all once a second, and it counts what is two seconds old.
TOLD_SECONDS = 3.6
# One process; two endpoints, one of them of two workers, on one store; one process that nothing limits;
# two such workers of one endpoint.
LOOKED_AT = {"alone": "gpt-5-mini", "fleet": "gpt-5-mini", "naive": "gpt-5", "workers": "gpt-5-mini"}
MODELS = ("gpt-5", "gpt-5-mini")


def simulated(rpm, second_rpm):
    latency = Distribution("lognormal", 0.8, 0.4)
    pools = tuple(
        dataclasses.replace(
            profile("openai", rpm=limit, tpm=40_000_000),
            name=model,
            latency_seconds=latency,
            rejection_seconds=0.4,  # what a client adds to a call must be small beside it
        )
        for model, limit in zip(MODELS, (rpm, second_rpm), strict=True)
    )
    return serve(Config(pools=pools))


class App:
    """One process of an app. Those that are given the same port are workers of one endpoint."""

    def __init__(self, job, simulator, agents, port=0, **given):
        self.job, self.port = job, port or free_port()
        options = {"base_url": f"{simulator.url}/v1", "port": self.port, "agents": agents, "seconds": SECONDS}
        self.process = subprocess.Popen(
            [sys.executable, str(APP), json.dumps(options | given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self):
        return json.loads(self.process.stdout.readline())

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        self.process.wait(20)
        self.process.stdin.close()
        self.process.stdout.close()


@dataclasses.dataclass
class World:
    prometheus: str
    truths: dict
    began: float
    ended: float

    @property
    def window(self):
        """Whole seconds that hold the run."""
        return int(self.ended - self.began) + 2

    def truth(self, job):
        """Every request that the simulator saw from a job for the model that is looked at."""
        return [e for e in self.truths[job] if e.model == LOOKED_AT[job]]

    def held(self, job):
        return levels(self.truth(job), self.ended)

    def ask(self, job, uid, title, target=0):
        """Evaluate a panel's own expression over the whole run, for one pool."""
        board = next(board.model for board in dashboards.shipped() if board.uid == uid)
        panel = next(panel for panel in board["panels"] if panel["title"] == title)
        pool = f"openai:{LOOKED_AT[job]}"
        filling = dashboards.Filling(rate_interval=f"{self.window}s", job=job, pool=pool)
        expr = filling.fill(panel["targets"][target]["expr"])
        api = dashboards.Prometheus(self.prometheus)
        (row,) = api.query_range(expr, self.ended, self.ended + 0.001)
        return float(row["values"][-1][1])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A Redis; its URL lacks the database. A second for an answer is patience with a busy machine."""
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        yield f"redis://127.0.0.1:{port}/{{}}?socket_timeout=1&socket_connect_timeout=1"
        server.terminate()


@pytest.fixture(scope="module")
def world(tmp_path_factory, store):
    # So small a quota that calls spill over on the slowest of machines.
    small = {"requests_per_minute": 30, "fallback": ["openai:gpt-5-mini"], "wait_up_to_seconds": 0.1}
    acting = {"limit": "enforce", "pools": {"openai:gpt-5": small}, "trust": {"cache": {"every_call": True}}}
    enforce = [
        {"instrument": acting | {"store": store.format(database)}, "models": list(MODELS)}
        for database in (0, 1)
    ]
    running = ExitStack()
    quotas = {"alone": (60, 1200), "fleet": (120, 1200), "tight": (180, 180)}
    alone, fleet, tight = (running.enter_context(simulated(*quota)) for quota in quotas.values())
    together, workers = free_port(), free_port()
    apps = [
        App("alone", alone, 8, **enforce[0]),
        App("fleet", fleet, 3, **enforce[1]),
        App("fleet", fleet, 3, together, **enforce[1]),
        App("fleet", fleet, 3, together, **enforce[1]),
        App("naive", tight, 9, models=["gpt-5"], max_retries=2),
        App("workers", tight, 4, workers, models=["gpt-5-mini"], max_retries=2),
        App("workers", tight, 4, workers, models=["gpt-5-mini"], max_retries=2),
    ]
    scrapes = [
        {"job_name": job, "static_configs": [{"targets": targets}]}
        for job, targets in targets_of(apps).items()
    ]
    with prometheus_server(tmp_path_factory.mktemp("prometheus"), scrapes, interval="500ms") as server:
        wait_until(server.url, "min(sum_over_time(up[1m]))", lambda value: value >= 2)
        for app in apps:
            app.read()
        began = time.time()
        for app in apps:
            app.go()
        for app in apps:
            app.read()
        ended = time.time() + TOLD_SECONDS
        wait_until(server.url, "min(timestamp(up))", lambda value: value > ended)
        simulators = {"alone": alone, "fleet": fleet, "naive": tight, "workers": tight}
        truths = {job: entries(simulator, began) for job, simulator in simulators.items()}
        yield World(server.url, truths, began, ended)
    for app in apps:
        app.go()
    for app in apps:
        app.end()
    running.close()


def targets_of(apps):
    found = {}
    for app in apps:
        found.setdefault(app.job, {})[f"127.0.0.1:{app.port}"] = None
    return {job: list(targets) for job, targets in found.items()}


def wait_until(url, expr, good):
    api = dashboards.Prometheus(url)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        now = api.now()
        rows = api.query_range(expr, now, now + 0.001)
        if rows and good(float(rows[0]["values"][-1][1])):
            return
        time.sleep(0.1)
    raise AssertionError(f"{expr} never became good")


def entries(simulator, began):
    found = [e for e in simulator.entries() if e.began_ns >= began * 1e9 and e.ended_ns is not None]
    assert len(found) > 25
    return found


def levels(found, until):
    """Brute force: seconds at each number of live calls, from the first request to `until`."""
    stamps = sorted([(e.began_ns, 1) for e in found] + [(e.ended_ns, -1) for e in found])
    held, level = {}, 0
    for (at, step), (following, _) in itertools.pairwise([*stamps, (int(until * 1e9), 0)]):
        level += step
        held[level] = held.get(level, 0) + max(0, following - at) / 1e9
    return held


def percentile(held, share):
    spent = 0.0
    for level in sorted(held):
        spent += held[level]
        if spent >= share * sum(held.values()):
            return level
    raise AssertionError


def bucket(level):
    index = bisect.bisect_left(LEVELS, level)
    return LEVELS[index - 1], LEVELS[index]


@pytest.mark.parametrize("job", ["alone", "fleet"])
def test_every_expression_has_data_for_one_process_and_for_several(world, job):
    asked = [e for board in dashboards.shipped() for e in dashboards.expressions(board.model)]
    filling = dashboards.Filling("4s", "2s", job)
    findings = dashboards.check(dashboards.Prometheus(world.prometheus), asked, filling, 20)
    empty = [f for f in findings if f.empty]
    assert [(f.expression.dashboard, f.expression.where, f.expression.expr, f.reason) for f in empty] == []


@pytest.mark.parametrize("job", ["alone", "naive", "workers"])
def test_p99_of_live_calls_is_the_simulators_within_a_bucket(world, job):
    truth = percentile(world.held(job), 0.99)
    low, high = bucket(truth)
    found = world.ask(job, "penstock-overview", "Cap, live calls and queue", target=1)
    assert min(low, truth - 1) <= found <= max(high, truth + 1), (truth, found)


def test_the_sum_of_p99s_of_several_instances_is_an_upper_bound(world):
    truth = percentile(world.held("fleet"), 0.99)
    found = world.ask("fleet", "penstock-overview", "Cap, live calls and queue", target=1)
    assert found >= bucket(truth)[0]


@pytest.mark.parametrize("job", ["alone", "fleet"])
def test_the_fleets_own_level_from_the_store_is_near_the_simulators(world, job):
    """Members tell their levels about once a second: of a run this short the edges and peaks are lost."""
    held = world.held(job)
    panel = ("penstock-concurrency", "Fleet: live calls, p99 and mean")
    p99, mean = (world.ask(job, *panel, target) for target in (0, 1))
    truth = percentile(held, 0.99)
    low, high = bucket(truth)
    assert truth / 2 <= p99 <= max(high, truth + 1), (truth, p99)
    truth = sum(level * seconds for level, seconds in held.items()) / sum(held.values())
    assert mean == pytest.approx(truth, abs=max(1, high - low)), (truth, mean)


@pytest.mark.parametrize("job", LOOKED_AT)
def test_mean_live_calls_is_the_simulators(world, job):
    held = world.held(job)
    truth = sum(level * seconds for level, seconds in held.items()) / world.window
    found = world.ask(job, "penstock-overview", "Cap, live calls and queue", target=2)
    low, high = bucket(truth)
    assert found == pytest.approx(truth, abs=max(1, high - low)), (truth, found)


@pytest.mark.parametrize("job", LOOKED_AT)
def test_the_429_share_is_the_simulators(world, job):
    mine = world.truth(job)
    truth = sum(e.status == 429 for e in mine) / len(mine)
    found = world.ask(job, "penstock-overview", "429 share")
    assert found == pytest.approx(truth, abs=0.03)


def test_the_naive_apps_are_refused_and_the_guarded_are_not(world):
    shares = {job: world.ask(job, "penstock-overview", "429 share") for job in LOOKED_AT}
    assert min(shares["naive"], shares["workers"]) > 0.1
    assert max(shares["alone"], shares["fleet"]) < 0.05


@pytest.mark.parametrize("job", ["naive", "workers"])
def test_retry_amplification_is_the_simulators(world, job):
    mine = world.truth(job)
    firsts = sum(e.retry == 0 for e in mine)
    found = world.ask(job, "penstock-overview", "Retry amplification")
    assert found == pytest.approx(len(mine) / firsts, rel=0.06)
    assert found > 1.1


@pytest.mark.parametrize(("job", "processes"), [("alone", 1), ("fleet", 3), ("naive", 1), ("workers", 2)])
def test_processes_are_counted_wherever_their_figures_are_served(world, job, processes):
    assert world.ask(job, "penstock-quota", "Processes and successful calls") == processes


def test_an_endpoint_exposes_few_series(world):
    api = dashboards.Prometheus(world.prometheus)
    rows = api.query_range("max(scrape_samples_scraped)", world.ended, world.ended + 0.001)
    assert float(rows[0]["values"][-1][1]) < 1500
