"""Record one agent with each of the instrumentations that other tools bring, as OTLP/JSON lines.

python examples/traces/dialects.py
"""

import importlib
import json
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from formats import collector, plain, spans
from make import Keep, provider
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

HERE = Path(__file__).parent
INSTRUMENTORS = {
    "openinference": "openinference.instrumentation.openai",
    "openllmetry": "opentelemetry.instrumentation.openai",
    "otel-genai": "opentelemetry.instrumentation.genai.openai",
}
CALLS, RPM = 4, 12
_EDGES = ("startTimeUnixNano", "endTimeUnixNano")


def record(name: str, base_url: str) -> None:
    """Call until the quota is spent, with the SDK's own retries."""
    keep = Keep()
    tracers = TracerProvider(resource=Resource.create({"service.name": "agents"}))
    tracers.add_span_processor(SimpleSpanProcessor(keep))
    trace.set_tracer_provider(tracers)
    importlib.import_module(INSTRUMENTORS[name]).OpenAIInstrumentor().instrument(tracer_provider=tracers)
    import openai

    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="example", max_retries=1)
    for step in range(CALLS):
        with suppress(openai.RateLimitError):
            client.chat.completions.create(
                model="gpt-5-mini", max_tokens=64, messages=[{"role": "user", "content": f"step {step}"}]
            )
    told = collector(encode_spans(keep.spans))
    for folder in (sys.prefix, sys.base_prefix, str(HERE.parents[1])):  # stack traces name them
        told = told.replace(folder.encode() + b"/", b"")
    (HERE / f"{name}.jsonl").write_bytes(told)


def phoenix() -> None:
    """Write OpenInference's spans as `px.Client().get_spans_dataframe().to_parquet()` does."""
    import pandas

    rows = []
    for _, _, span in spans(json.loads((HERE / "openinference.jsonl").read_text())):
        held, status = plain(span), span.get("status", {})
        start, end = (pandas.Timestamp(int(span[key]), tz="UTC") for key in _EDGES)
        rows.append({
            "name": span["name"], "span_kind": held.get("openinference.span.kind"), "parent_id": None,
            "start_time": start.floor("us"), "end_time": end.floor("us"),
            "status_code": status.get("code", "STATUS_CODE_UNSET").rsplit("_", 1)[-1],
            "status_message": status.get("message", ""),
            "events": [_event(one) for one in span.get("events", [])],
            "context.span_id": span["spanId"], "context.trace_id": span["traceId"],
            **{f"attributes.{key}": _typed(key, value) for key, value in held.items()},
        })  # fmt: skip
    pandas.DataFrame(rows).set_index("context.span_id", drop=False).to_parquet(HERE / "phoenix.parquet")


def _typed(key: str, value: Any) -> Any:
    return int(value) if "token_count" in key else value


def _event(event: dict[str, Any]) -> dict[str, Any]:
    when = datetime.fromtimestamp(int(event["timeUnixNano"]) / 1e9, UTC).isoformat()
    return {"name": event["name"], "timestamp": when, "attributes": plain(event)}


def main() -> None:
    """Record each in a process of its own: they all patch the same client."""
    if len(sys.argv) > 1:
        record(*sys.argv[1:])
        return
    for name in INSTRUMENTORS:
        with provider(RPM) as base_url:
            subprocess.run([sys.executable, __file__, name, base_url], check=True)
    phoenix()


if __name__ == "__main__":
    main()
