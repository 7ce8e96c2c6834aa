"""Every expression of every dashboard, on a real Prometheus; and the gate that says so notices damage."""

import json
import re
import subprocess
import sys

from penstock import dashboards
from penstock.telemetry.metrics import CATALOGUE

FILLING = {"rate_interval": "4s", "interval": "2s"}


def gate(prometheus, asked, job):
    filling = dashboards.Filling(**FILLING, job=re.escape(job))
    return dashboards.check(dashboards.Prometheus(prometheus.url), asked, filling, 30)


def names(expr):
    return {m.name for m in CATALOGUE if re.search(rf"\b{m.name}(_bucket|_sum|_count)?\b", expr)}


def test_every_expression_of_every_dashboard_returns_data(prometheus, catalogue):
    findings = gate(prometheus, catalogue.asked, "full")
    assert len(findings) > 130
    assert [(f.expression.dashboard, f.expression.where, f.reason) for f in findings if f.empty] == []


def test_without_a_metric_the_gate_names_exactly_the_panels_that_ask_for_it(prometheus, catalogue):
    for metric, asked in catalogue.used.items():
        findings = gate(prometheus, asked, f"without/{metric}")
        assert all(f.empty for f in findings), metric
        assert all(any(m.startswith(metric) for m in f.missing) for f in findings), metric


def test_without_a_label_the_gate_fails(prometheus, catalogue):
    tried = 0
    for metric, asked in catalogue.used.items():
        for label in catalogue.labels_in_use(metric):
            findings = gate(prometheus, asked, f"dropped/{metric}/{label}")
            assert any(f.empty for f in findings), (metric, label)
            tried += 1
    assert tried > 60


def test_check_names_exactly_the_empty_panels_where_half_the_metrics_lack(prometheus, catalogue):
    command = [sys.executable, "-m", "penstock", "dashboards", "check", "--prometheus", prometheus.url]
    options = ["--job", "half", "--scrape-interval", "1s", "--since", "30s", "--format", "json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    there = {m.name for m in catalogue.half}
    rows = json.loads(done.stdout)
    assert {(r["dashboard"], r["panel"], r["expr"]) for r in rows if r["empty"]} == {
        (e.dashboard, e.where, e.expr) for e in catalogue.asked if not names(e.expr) <= there
    }
    assert any(r["empty"] for r in rows)
    assert any(not r["empty"] for r in rows)


def test_check_says_in_words_what_is_missing_and_what_it_needs(prometheus):
    command = [sys.executable, "-m", "penstock", "dashboards", "check", "--prometheus", prometheus.url]
    options = ["--job", "without/penstock_store_up", "--scrape-interval", "1s", "--since", "30s"]
    only = ["--only", "penstock-telemetry"]
    done = subprocess.run([*command, *options, *only], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    (line,) = (li for li in done.stdout.splitlines() if "Shared store" in li)
    assert "penstock_store_up not found" in line
    assert "needs a shared store" in line


def test_check_passes_where_everything_is_there(prometheus):
    command = [sys.executable, "-m", "penstock", "dashboards", "check", "--prometheus", prometheus.url]
    options = ["--job", "full", "--scrape-interval", "1s", "--since", "30s"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert re.fullmatch(r"(\d+) of \1 expressions have data\n", done.stdout)
