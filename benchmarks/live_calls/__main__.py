"""How many calls are live at a time: by the provider's own log, by Penstock, and by other spans.

    python -m benchmarks.live_calls [--waves 4] [--json FILE]

Streams of mixed lengths, some refused first. All figures are weighted by time, over the same calls of one
process: Penstock's while they run, those of its attempt spans, of HTTP client spans (OpenTelemetry's httpx
instrumentation, which ends a span at the head of the answer) and of SDK spans (OpenTelemetry's GenAI
instrumentation, whose spans hold the SDK's back-off too). Exit 1 if Penstock's p50, p95 or p99 are not the
provider's.
"""

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import penstock
from benchmarks.live_calls import load
from penstock.simulator.truth import Live, live
from penstock.telemetry.levels import LevelSummary

SERVER: Final = "the provider's log"
OURS: Final = "penstock, live"
OUR_SPANS: Final = "penstock, attempt spans"
_HTTP: Final = "HTTP client spans"
_SDK: Final = "SDK spans"
_SCOPES: Final = {
    "penstock": OUR_SPANS,
    "opentelemetry.instrumentation.httpx": _HTTP,
    "opentelemetry.instrumentation.genai.openai": _SDK,
}


def measure(waves: int) -> dict[str, Live | LevelSummary]:
    """Make the calls and ask everyone."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    HTTPX2ClientInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    with load.server() as server, penstock.instrument(limit="off", spans="off") as runtime:
        asyncio.run(load.run(server, waves))
        (levels,) = runtime.telemetry.metering.levels().values()
        log = server.log()
    intervals = _intervals(exporter.get_finished_spans())
    return {
        SERVER: live(log),
        OURS: levels[0],
        **{name: live(intervals[name]) for name in _SCOPES.values()},
    }


def percentiles(figures: Live | LevelSummary) -> tuple[int, int, int]:
    """Give what people read."""
    return figures.p50, figures.p95, figures.p99


def _intervals(spans: Iterable[ReadableSpan]) -> Mapping[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in _SCOPES.values()}
    for span in spans:
        scope = span.instrumentation_scope
        if scope is not None and scope.name in _SCOPES and span.start_time and span.end_time:
            found[_SCOPES[scope.name]].append((span.start_time, span.end_time))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_calls")
    parser.add_argument("--waves", type=int, default=4, help="four seconds each; the last has a burst")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    measured = measure(options.waves)
    print(f"{'live calls, weighted by time':<30}{'p50':>5}{'p95':>5}{'p99':>5}{'max':>5}{'mean':>8}")
    for name, figures in measured.items():
        p50, p95, p99 = percentiles(figures)
        print(f"{name:<30}{p50:>5}{p95:>5}{p99:>5}{figures.max:>5}{figures.mean:>8.2f}")
    if options.json is not None:
        told: dict[str, Any] = {name: dataclasses.asdict(figures) for name, figures in measured.items()}
        options.json.write_text(json.dumps(told, indent=2))
    wrong = [n for n in (OURS, OUR_SPANS) if percentiles(measured[n]) != percentiles(measured[SERVER])]
    for name in wrong:
        print(f"{name} differs from the provider's log", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
