"""A page of every metric in the catalogue, whole or spoilt, and a real Prometheus that scrapes it."""

import contextlib
import http.server
import importlib
import re
import threading
import time
import warnings

import pytest

from penstock.dashboards import expressions, shipped
from penstock.dashboards._servers import prometheus_server
from penstock.telemetry.metrics import CATALOGUE, MetricType

with warnings.catch_warnings():
    # The SDK would have everybody on its v2 model; v1 is what Grafana 10 to 13 import.
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("penstock.dashboards._generate")

VALUES = {
    "provider": ["openai"], "pool": ["openai:gpt", "openai:mini"], "model": ["gpt"], "operation": ["chat"],
    "class": ["ok", "rate_limit", "timeout", "model", "tool"], "owner": ["sdk", "penstock"],
    "type": ["input", "output", "cache_read"], "quantile": ["0.5", "0.95", "0.99"],
    "dimension": ["requests", "tokens"], "reason": ["queue_full"], "what": ["cap"],
    "direction": ["up", "down"], "action": ["wait"], "trust": ["primary", "fallback"],
    "from_pool": ["openai:gpt"], "outcome": ["ran"], "result": ["hit", "miss"], "kind": ["hit", "miss"],
    "tool": ["search"], "hook": ["httpx"], "exporter": ["otlp"], "role": ["inner"], "version": ["1"],
    "gen_ai_operation_name": ["chat"], "gen_ai_provider_name": ["openai"], "gen_ai_request_model": ["gpt"],
}  # fmt: skip


def label_sets(metric):
    sets = [()]
    for name in metric.labels:
        sets = [(*done, (name, value)) for done in sets for value in VALUES[name]]
    return sets


def lines(metric, seconds):
    for labels in label_sets(metric):
        inside = ",".join(f'{k}="{v}"' for k, v in labels)
        if metric.type is not MetricType.HISTOGRAM:
            value = 1e5 - seconds if "remaining" in metric.name else 10 + seconds
            value = time.time() + 3600 if "reset" in metric.name else value
            yield f"{metric.name}{{{inside}}} {value}"
            continue
        for index, bound in enumerate([*metric.buckets, "+Inf"]):
            both = f"{inside}," if inside else ""
            yield f'{metric.name}_bucket{{{both}le="{bound}"}} {seconds * (1 + index)}'
        yield f"{metric.name}_sum{{{inside}}} {seconds * 5}"
        yield f"{metric.name}_count{{{inside}}} {seconds * (1 + len(metric.buckets))}"


def page(metrics, seconds, *, without_label=("", "")):
    spoilt, label = without_label
    for metric in metrics:
        for line in lines(metric, seconds):
            if metric.name == spoilt:
                line = re.sub(rf'\b{label}="[^"]*",?', "", line)
            yield line


class Catalogue:
    """Serves /full, /without/METRIC, /dropped/METRIC/LABEL and /half; the last three hold what is asked
    together with the metric, so that nothing else can be why a panel is empty."""

    def __init__(self):
        self.started = time.time()
        self.asked = [e for board in shipped() for e in expressions(board.model)]
        used = {m.name: [e for e in self.asked if re.search(rf"\b{m.name}(_bucket|_sum|_count)?\b", e.expr)]
                for m in CATALOGUE}  # fmt: skip
        self.used = {name: found for name, found in used.items() if found}
        self.half = [m for index, m in enumerate(CATALOGUE) if index % 2]
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = outer.text(self.path.strip("/")).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # a Prometheus that was told to stop
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def related(self, name):
        exprs = " ".join(e.expr for e in self.used[name])
        return [m for m in CATALOGUE if re.search(rf"\b{m.name}(_bucket|_sum|_count)?\b", exprs)]

    def labels_in_use(self, name):
        metric = next(m for m in CATALOGUE if m.name == name)
        exprs = " ".join(e.expr for e in self.used[name])
        extra = ["le"] if metric.type is MetricType.HISTOGRAM and "_bucket" in exprs else []
        return [label for label in (*metric.labels, *extra) if re.search(rf"\b{label}\b", exprs)]

    def text(self, path):
        kind, *rest = path.split("/")
        seconds = time.time() - self.started
        if kind == "without":
            metrics = [m for m in self.related(rest[0]) if m.name != rest[0]]
            return "\n".join(page(metrics, seconds)) + "\n"
        if kind == "dropped":
            return "\n".join(page(self.related(rest[0]), seconds, without_label=tuple(rest))) + "\n"
        return "\n".join(page(self.half if kind == "half" else CATALOGUE, seconds)) + "\n"

    def paths(self):
        yield from ("full", "half")
        for name in self.used:
            yield f"without/{name}"
            for label in self.labels_in_use(name):
                yield f"dropped/{name}/{label}"

    def scrapes(self):
        target = f"127.0.0.1:{self.server.server_port}"
        for path in self.paths():
            yield {
                "job_name": path,
                "metrics_path": f"/{path}",
                "static_configs": [{"targets": [target]}],
            }


# Neither outlives the module that asks: 125 pages twice a second would slow every test that follows.
@pytest.fixture(scope="module")
def catalogue():
    served = Catalogue()
    yield served
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture(scope="module")
def prometheus(catalogue, tmp_path_factory):
    """A Prometheus that has scraped every page a few times."""
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus_server(folder, list(catalogue.scrapes()), interval="250ms") as server:
        wait_for_scrapes(server.url, len(list(catalogue.paths())))
        yield server


def wait_for_scrapes(url, targets, scrapes=8):
    from penstock.dashboards import Prometheus

    deadline = time.monotonic() + 60
    api = Prometheus(url)
    while time.monotonic() < deadline:
        now = api.now()
        rows = api.query_range("sum by (job) (sum_over_time(up[1m]))", now, now + 0.01)
        if len(rows) == targets and all(float(r["values"][-1][1]) >= scrapes for r in rows):
            return
        time.sleep(0.2)
    raise AssertionError(f"Prometheus has not scraped {targets} targets {scrapes} times within a minute")
