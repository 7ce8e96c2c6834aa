"""Make this folder's traces with the real exporters and SDKs: an openai client against `penstock simulate`.

python examples/traces/make.py
"""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

HERE = Path(__file__).parent
TASKS, CALLS = 6, 4


class Keep(SpanExporter):
    """Keeps finished spans, in the order in which they ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


def record(base_url: str, keep: Keep) -> None:
    """Run a few agents, with the SDK's own retries, against a small quota."""
    provider = TracerProvider(resource=Resource.create({"service.name": "agents"}))
    provider.add_span_processor(SimpleSpanProcessor(keep))
    trace.set_tracer_provider(provider)
    import penstock

    penstock.instrument()
    import openai

    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="example")

    def agent(number: int) -> None:
        with penstock.task(f"invoice-{number}"):
            for step in range(CALLS):
                try:
                    client.chat.completions.create(
                        model="gpt-5-mini",
                        max_tokens=64,
                        messages=[{"role": "user", "content": f"step {step}"}],
                    )
                except openai.RateLimitError:
                    return

    agents = [threading.Thread(target=agent, args=(number,)) for number in range(TASKS)]
    for one in agents:
        one.start()
    for one in agents:
        one.join()


@contextmanager
def provider(rpm: int = 60) -> Iterator[str]:
    """Run `penstock simulate` with a quota of requests per minute; give its address."""
    command = [
        sys.executable,
        "-m",
        "penstock",
        "simulate",
        "--profile",
        "openai",
        "--rpm",
        str(rpm),
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            line = next(line for line in server.stdout if "http://" in line)
            yield "http://" + line.split("http://", 1)[1].split()[0].rstrip("/").removesuffix("/v1")
        finally:
            server.terminate()


def main() -> None:
    """Start the simulator, record, and write each format."""
    keep = Keep()
    with provider() as base_url:
        record(base_url, keep)
    write(keep.spans)


def write(spans: Sequence[ReadableSpan]) -> None:
    """Write the console exporter's text, OTLP protobuf, and the Collector's JSON lines, plain and gzipped."""
    from google.protobuf.json_format import MessageToDict

    request = encode_spans(spans)
    (HERE / "otlp.pb").write_bytes(request.SerializeToString())
    (HERE / "console.txt").write_text("".join(span.to_json() + "\n" for span in spans))
    told = json.dumps(MessageToDict(request), separators=(",", ":")).encode() + b"\n"
    (HERE / "otlp-base64-ids.json.gz").write_bytes(gzip.compress(told, mtime=0))


if __name__ == "__main__":
    main()
