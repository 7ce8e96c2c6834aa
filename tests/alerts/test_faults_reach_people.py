"""Faults in a simulated provider, real apps, Prometheus, Alertmanager and a webhook: who hears of what.

Every window and hold time is shortened 180 times: five minutes are under two seconds.
"""

import dataclasses
import http.server
import json
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from penstock import alerts
from penstock.dashboards import Prometheus, end_process
from penstock.dashboards._servers import alertmanager_server, free_port, prometheus_server
from penstock.simulator import Config, profile, serve
from penstock.simulator.scenario import Distribution

APP = Path(__file__).parents[1] / "dashboards" / "app.py"
SCALE = 1 / 180
HEALTHY, FAULT, LONGEST_RECOVERY = 6, 9, 45

EXPECTED = {
    "storm": {
        "PenstockErrorBudgetBurnFast",
        "PenstockRateLimited",
        "PenstockRateLimitStorm",
        "PenstockRetryAmplification",
    },
    "slow": {"PenstockProviderSlow"},
    "misses": {"PenstockCacheMissBurst"},
    "store": {"PenstockStoreDown"},
    "drain": {"PenstockQuotaExhaustion"},
    "tools": {"PenstockToolErrors"},
}


class Webhook:
    """Keeps who is firing, and everyone who ever was."""

    def __init__(self):
        self.firing, self.ever = set(), {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    outer.hear(alert)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def hear(self, alert):
        key = (alert["labels"]["job"], alert["labels"]["alertname"])
        if alert["status"] == "firing":
            self.firing.add(key)
            self.ever[key] = alert
        else:
            self.firing.discard(key)


def simulated(latency_seconds, **quota):
    latency = Distribution("constant", latency_seconds)
    pool = dataclasses.replace(profile("openai", rpm=0), latency_seconds=latency, **quota)
    return serve(Config(pools=(pool,)))


class Redis:
    """A fleet's store that can be lost and come back."""

    def __init__(self, folder):
        self.port, self._folder = free_port(), folder
        # Two seconds for an answer: a busy machine is no fault that anybody should hear of.
        self.url = f"redis://127.0.0.1:{self.port}/0?socket_timeout=2&socket_connect_timeout=2"
        self.start()

    def start(self):
        options = {"--port": self.port, "--bind": "127.0.0.1", "--save": "", "--dir": self._folder}
        command = ["redis-server", *(str(word) for option in options.items() for word in option)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def stop(self):
        end_process(self._process)


class App:
    def __init__(self, simulator, seconds, **given):
        self.port = free_port()
        options = {"base_url": f"{simulator.url}/v1", "port": self.port, "seconds": seconds}
        options |= {"agents": 2, "models": ["gpt-5"], "tool_failures": 0.0}
        command = [sys.executable, str(APP), json.dumps(options | given)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def go(self):
        self.process.stdout.readline()  # it is ready
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Healthy, then six faults at once, each in an app of its own, then healthy until all is quiet."""
    hourly = {"algorithm": "fixed_window", "window_seconds": 3600.0, "requests_per_minute": 20.0}
    running = ExitStack()
    # Just above a bound of the histogram: only half a second more would look like a slow provider.
    served = {"well": simulated(0.7), "storm": simulated(0.4), "slow": simulated(0.4)}
    served["drain"] = simulated(0.4, **hourly)
    simulators = {name: running.enter_context(server) for name, server in served.items()}
    simulators["tools"] = simulators["well"]
    long = HEALTHY + FAULT + LONGEST_RECOVERY + 30
    folder = tmp_path_factory.mktemp("alerts")
    deployed = folder / "deployed"
    apps = {name: App(simulators[name], long) for name in ("storm", "slow", "well")}
    apps["misses"] = App(simulators["well"], long, fan_out=(6, 8), deployed=str(deployed))
    redis = Redis(folder)
    running.callback(redis.stop)
    apps["store"] = App(simulators["well"], long, instrument={"limit": "enforce", "store": redis.url})
    apps["drain"] = App(simulators["drain"], FAULT)
    apps["tools"] = App(simulators["tools"], FAULT, tool_failures=1.0)
    webhook = Webhook()
    scrapes = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{app.port}"]}]}
        for name, app in apps.items()
    ]
    # The slow burn takes hours by nature: it would speak up in the middle, or not, as the machine goes.
    spec = alerts.rule_set(SCALE)
    spec = dataclasses.replace(spec, alerts=tuple(a for a in spec.alerts if not a.name.endswith("BurnSlow")))
    rules = alerts.rule_files(spec)[alerts.RULE_FILE]
    with alertmanager_server(folder, webhook.url, group_wait="300ms") as alertmanager:
        server = prometheus_server(folder, scrapes, interval="500ms", rules=rules, alertmanager=alertmanager)
        with server:
            for name in ("storm", "slow", "well", "misses", "store"):
                apps[name].go()
            wait_for_history(server.url, HEALTHY)
            before = dict(webhook.ever)
            break_all(simulators, apps, deployed, redis)
            mends = {
                "misses": deployed.unlink,
                "store": redis.start,
                "storm": lambda: end_storm(simulators["storm"]),
                "slow": lambda: simulators["slow"].fault(restore=True),
            }
            for name, mend in mends.items():
                wait_until(lambda job=name: heard(webhook).get(job) == EXPECTED[job], FAULT + 12)
                mend()
            during = wait_until(lambda: heard(webhook) == EXPECTED, FAULT)
            after = wait_until(lambda: not webhook.firing, LONGEST_RECOVERY)
            yield {"before": before, "during": during, "after": after, "webhook": webhook}
    for app in apps.values():
        app.end()
    running.close()
    webhook.server.shutdown()
    webhook.server.server_close()


def break_all(simulators, apps, deployed, redis):
    deployed.touch()
    redis.stop()
    simulators["storm"].script({"status": 429, "headers": {"retry-after-ms": "50"}, "times": 100_000})
    simulators["slow"].fault(latency_seconds={"distribution": "constant", "mean": 1.3})
    apps["drain"].go()
    apps["tools"].go()


def end_storm(simulator):
    request = urllib.request.Request(f"{simulator.url}/_sim/script", method="DELETE")
    urllib.request.urlopen(request, timeout=5).close()


def heard(webhook):
    jobs = {}
    for job, name in webhook.ever:
        jobs.setdefault(job, set()).add(name)
    return jobs


def wait_for_history(url, seconds):
    api = Prometheus(url)
    assert wait_until(lambda: found(api, "min(sum_over_time(up[5m]))") >= 2 * seconds, 60)


def found(api, expr):
    now = api.now()
    rows = api.query_range(expr, now, now + 0.001)
    return float(rows[0]["values"][-1][1]) if rows else 0.0


def wait_until(good, seconds):
    deadline = time.monotonic() + seconds
    while not good():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_nobody_is_called_while_all_is_well(story):
    assert story["before"] == {}


def test_each_fault_brings_exactly_its_alerts(story):
    assert heard(story["webhook"]) == EXPECTED
    assert story["during"]


def test_every_alert_resolves_after_the_fault(story):
    assert story["after"], story["webhook"].firing


def test_what_people_read_has_the_value_the_pool_and_the_links(story):
    for (job, name), alert in story["webhook"].ever.items():
        said = alert["annotations"]
        assert job in said["summary"]
        assert any(character.isdigit() for character in said["summary"]), said["summary"]
        assert said["runbook_url"].endswith(f"/{name}.md")
        assert said["dashboard_url"].startswith("/d/penstock-")
        assert "{{" not in "".join(said.values())
    storm = story["webhook"].ever["storm", "PenstockRateLimitStorm"]
    assert storm["labels"]["severity"] == "critical"
    assert storm["labels"]["pool"] == "openai:gpt-5"
