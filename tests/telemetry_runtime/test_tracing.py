"""An app's TracerProvider is shared and never replaced; without one, spans are ours to export."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from penstock.telemetry.tracing import Tracing


class Seen(InMemorySpanExporter):
    @property
    def names(self):
        return [span.name for span in self.get_finished_spans()]


@pytest.fixture
def provider(monkeypatch):
    """A provider that the app sets at some point of the test."""
    made = TracerProvider(shutdown_on_exit=False)
    made.seen = Seen()
    made.add_span_processor(SimpleSpanProcessor(made.seen))
    made.set = lambda: monkeypatch.setattr(
        trace, "_TRACER_PROVIDER", made
    )  # as `set_tracer_provider`, but for once
    yield made
    made.shutdown()


def test_without_a_provider_spans_go_through_our_own():
    ours, exported = Seen(), Seen()
    tracing = Tracing([SimpleSpanProcessor(ours)], lambda: [SimpleSpanProcessor(exported)])
    tracing.tracer().start_span("a").end()
    assert not tracing.adopted
    assert (ours.names, exported.names) == (["a"], ["a"])
    tracing.shutdown()
    assert not isinstance(trace.get_tracer_provider(), TracerProvider)


def test_a_provider_that_comes_later_is_taken_over(provider):
    ours, exported = Seen(), Seen()
    tracing = Tracing([SimpleSpanProcessor(ours)], lambda: [SimpleSpanProcessor(exported)])
    tracing.tracer().start_span("before").end()
    provider.set()
    tracing.tracer().start_span("after").end()
    assert tracing.adopted
    assert provider.seen.names == ["after"]  # by the app's own exporter
    assert exported.names == ["before"]  # ours do not send it a second time
    assert ours.names == ["before", "after"]
    provider.get_tracer("app").start_span("of the app").end()
    assert ours.names[-1] == "of the app"
    tracing.shutdown()
    provider.get_tracer("app").start_span("alone").end()
    assert provider.seen.names[-1] == "alone"
    assert "alone" not in ours.names


def test_coming_and_going_adds_one_processor_to_the_apps_provider(provider):
    provider.set()
    for _ in range(5):
        ours = Seen()
        tracing = Tracing([SimpleSpanProcessor(ours)])
        tracing.tracer().start_span("x").end()
        assert ours.names == ["x"]
        tracing.shutdown()
    assert len(provider._active_span_processor._span_processors) == 2


def test_many_threads_take_over_once(provider):
    provider.set()
    tracing = Tracing([])
    gate = threading.Barrier(8)

    def ask():
        gate.wait()
        tracing.tracer().start_span("x").end()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(provider._active_span_processor._span_processors) == 2
    assert provider.seen.names == ["x"] * 8
    tracing.shutdown()


@pytest.fixture
def collector():
    """An OTLP/HTTP endpoint that remembers which paths were posted to."""
    posts = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posts.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", posts
    server.shutdown()
    thread.join()
    server.server_close()


APP = """
import penstock
runtime = penstock.instrument()
with penstock.task("hello"):
    pass
print(runtime.spans)
"""


def test_an_otlp_endpoint_gets_spans_and_metrics_and_no_file_is_written(collector, tmp_path):
    url, posts = collector
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL", "PENSTOCK"))}
    out = subprocess.run(
        [sys.executable, "-c", APP], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
        env={**clean, "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SERVICE_NAME": "shop"},
    )  # fmt: skip
    assert out.stdout == "None\n", out.stderr
    assert list(tmp_path.iterdir()) == []
    (spans,) = [body for path, body in posts if path == "/v1/traces"]
    assert b"task hello" in spans
    assert b"shop" in spans
    assert b"service.instance.id" in spans
    assert any(b"penstock_tasks" in body for path, body in posts if path == "/v1/metrics")


def test_a_missing_exporter_is_one_warning(tmp_path):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL", "PENSTOCK"))}
    out = subprocess.run(
        [sys.executable, "-c", "import logging; logging.basicConfig()" + APP], cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=True,
        env={**clean, "OTEL_TRACES_EXPORTER": "nowhere"},
    )  # fmt: skip
    assert out.stderr.count("pip install 'penstock[otlp]'") == 1


def test_a_named_file_is_written_beside_an_endpoint(collector, tmp_path):
    url, posts = collector
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL", "PENSTOCK"))}
    subprocess.run(
        [sys.executable, "-c", APP], cwd=tmp_path, capture_output=True, timeout=60, check=True,
        env={**clean, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url + "/v1/traces", "PENSTOCK_SPANS": "s.jsonl"},
    )  # fmt: skip
    row = json.loads((tmp_path / "s.jsonl").read_text())
    assert row["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] == "task hello"
    assert [path for path, _ in posts] == ["/v1/traces"]
