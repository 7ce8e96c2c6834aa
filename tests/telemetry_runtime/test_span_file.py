"""The local span file: standard OTLP/JSON, one span a line, one owner, nothing lost in silence."""

import json
import math
import os
import resource
import subprocess
import sys
import threading

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from penstock.telemetry.export import SpanFile, Spool


@pytest.fixture
def path(tmp_path):
    return tmp_path / "penstock-spans.jsonl"


@pytest.fixture
def tracer_of():
    providers = []

    def make(processor, **options):
        provider = TracerProvider(
            resource=Resource({"service.name": "app"}), shutdown_on_exit=False, **options
        )
        provider.add_span_processor(processor)
        providers.append(provider)
        return provider.get_tracer("penstock", "1.0")

    yield make
    for provider in providers:
        provider.shutdown()


def spans(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["resourceSpans"][0]["scopeSpans"][0]["spans"][0] for row in rows]


def attributes(span):
    return {row["key"]: row["value"] for row in span["attributes"]}


def test_a_line_is_standard_otlp_json(path, tracer_of):
    file = SpanFile(path)
    tracer = tracer_of(file)
    parent = tracer.start_span("task", start_time=1)
    from opentelemetry.trace import set_span_in_context

    span = tracer.start_span(
        "attempt gpt-5",
        context=set_span_in_context(parent),
        kind=SpanKind.CLIENT,
        links=[Link(parent.get_span_context())],
        start_time=1_700_000_000_000_000_001,
        attributes={"penstock.pool": "p", "penstock.n": 2**53 + 1, "penstock.b": True, "penstock.f": 0.5},
    )
    span.set_attribute("penstock.list", ["a", "b"])
    span.set_attribute("penstock.inf", math.inf)
    span.add_event("gate", {"penstock.reason": "retry_after"}, timestamp=1_700_000_000_000_000_002)
    span.set_status(Status(StatusCode.ERROR, "text"))
    span.end(1_700_000_000_000_000_003)
    file.shutdown()
    row = json.loads(path.read_text())
    resource = row["resourceSpans"][0]["resource"]["attributes"]
    assert {"key": "service.name", "value": {"stringValue": "app"}} in resource
    assert row["resourceSpans"][0]["scopeSpans"][0]["scope"] == {"name": "penstock", "version": "1.0"}
    (line,) = spans(path)
    context = span.get_span_context()
    assert line["traceId"] == format(context.trace_id, "032x")
    assert line["spanId"] == format(context.span_id, "016x")
    assert line["parentSpanId"] == format(parent.get_span_context().span_id, "016x")
    assert (line["startTimeUnixNano"], line["endTimeUnixNano"]) == (
        "1700000000000000001",
        "1700000000000000003",
    )
    assert line["kind"] == 3
    assert line["status"] == {"code": 2}
    assert attributes(line) == {
        "penstock.pool": {"stringValue": "p"},
        "penstock.n": {"intValue": "9007199254740993"},
        "penstock.b": {"boolValue": True},
        "penstock.f": {"doubleValue": 0.5},
        "penstock.list": {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}},
        "penstock.inf": {"doubleValue": "Infinity"},
    }
    assert line["events"][0]["name"] == "gate"
    assert line["events"][0]["timeUnixNano"] == "1700000000000000002"
    assert line["links"][0]["spanId"] == line["parentSpanId"]


CANARY = "canary-7e1f"
CONTENT = [
    "gen_ai.prompt.0.content", "gen_ai.completion.0.content", "gen_ai.input.messages",
    "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result", "gen_ai.tool.definitions", "gen_ai.tool.description",
    "gen_ai.retrieval.query.text", "gen_ai.embeddings.input", "input.value", "output.value",
    "llm.input_messages.0.message.content", "llm.prompt_template.template", "llm.invocation_parameters",
    "llm.output_messages.0.message.content", "traceloop.entity.input", "traceloop.entity.output",
    "traceloop.association.properties.user", "mlflow.spanInputs", "mlflow.spanOutputs",
    "langfuse.observation.input", "langfuse.observation.metadata.x", "ai.prompt", "ai.response.text",
    "ai.toolCall.args", "ai.toolCall.result", "request_data", "response_data", "url.full", "url.query",
    "http.url", "http.target", "http.request.header.authorization", "http.response.header.set-cookie",
    "http.request.body", "http.response.body.text", "exception.message", "exception.stacktrace",
    "db.statement", "retrieval.documents.0", "tool.parameters", "error.message", "all_messages_events",
    "llm.function_call", "llm.tools.0.tool.json_schema", "gen_ai.agent.description",
    "rpc.grpc.request.metadata.x", "mcp.resource.uri", "server.query",
]  # fmt: skip


def test_no_content_reaches_the_file(path, tracer_of):
    file = SpanFile(path)
    span = tracer_of(file).start_span("chat gpt-5")
    for key in CONTENT:
        span.set_attribute(key, CANARY)
    span.add_event("gen_ai.content.prompt", {"gen_ai.prompt": CANARY, "exception.message": CANARY})
    span.set_status(Status(StatusCode.ERROR, CANARY))
    span.set_attribute("gen_ai.usage.input_tokens", 12)
    span.set_attribute("llm.token_count.prompt", 12)
    span.end()
    file.shutdown()
    assert CANARY not in path.read_text()
    assert set(attributes(spans(path)[0])) == {"gen_ai.usage.input_tokens", "llm.token_count.prompt"}


def test_unsampled_spans_are_left_out(path, tracer_of):
    file = SpanFile(path)
    tracer_of(file, sampler=ALWAYS_OFF).start_span("x").end()
    file.shutdown()
    assert not path.exists()


def test_a_second_writer_writes_beside_the_first(path, tracer_of):
    first, second = SpanFile(path), SpanFile(path)
    tracer_of(first).start_span("a").end()
    tracer_of(second).start_span("b").end()
    second.shutdown()
    first.shutdown()
    beside = path.with_name(f"penstock-spans.{os.getpid()}.jsonl")
    assert [s["name"] for s in spans(path)] == ["a"]
    assert [s["name"] for s in spans(beside)] == ["b"]
    assert (first.owns_main, first.path) == (True, path)


def test_later_runs_append_and_mend_a_torn_last_line(path, tracer_of):
    path.write_bytes(b'{"resourceSpans":[{"resou')
    file = SpanFile(path)
    tracer_of(file).start_span("after").end()
    file.shutdown()
    torn, whole = path.read_text().splitlines()
    assert torn == '{"resourceSpans":[{"resou'
    assert json.loads(whole)


def test_files_rotate_and_stay_few(path):
    spool = Spool(path, max_bytes=100, kept=2)
    for n in range(10):
        spool.append(f"{n}".encode() * 59 + b"\n")
    spool.close()
    kept = sorted(p.name for p in path.parent.iterdir())
    assert kept == [path.name, f"{path.name}.1", f"{path.name}.2"]
    assert [path.read_text()[0], path.with_name(f"{path.name}.1").read_text()[0]] == ["9", "8"]


def test_an_unwritable_file_is_one_warning_and_a_count(tmp_path, tracer_of, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    drops = []
    file = SpanFile(blocked / "spans.jsonl", on_drop=drops.append)
    tracer = tracer_of(file)
    for _ in range(10):
        tracer.start_span("x").end()
        file.force_flush()
    file.shutdown()
    assert caplog.text.count("spans cannot be written") == 1
    assert (file.written, file.dropped, sum(drops)) == (0, 10, 10)


def test_what_was_emitted_is_written_or_counted(path, tracer_of):
    file = SpanFile(path, queue_limit=64)
    tracer = tracer_of(file)
    file._writing.acquire()  # a disk that hangs
    workers = [
        threading.Thread(target=lambda: [tracer.start_span("x").end() for _ in range(50)]) for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    file._writing.release()
    file.shutdown()
    assert file.written + file.dropped == 400
    assert len(spans(path)) == file.written
    assert file.dropped > 0


def test_device_files_are_never_removed(tracer_of):
    file = SpanFile("/dev/null")
    file.shutdown()
    assert os.path.exists("/dev/null")


def test_a_forked_child_writes_its_own_file(path):
    code = f"""
import os
from opentelemetry.sdk.trace import TracerProvider
from penstock.telemetry.export import SpanFile
file = SpanFile({str(path)!r})
os.register_at_fork(after_in_child=file.after_fork)
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(file)
tracer = provider.get_tracer("t")
tracer.start_span("before").end()
pid = os.fork()
tracer.start_span("parent" if pid else "child").end()
file.shutdown()
if not pid:
    os._exit(0)
os.waitpid(pid, 0)
print(pid)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    child = path.with_name(f"penstock-spans.{out.stdout.strip()}.jsonl")
    assert [s["name"] for s in spans(path)] == ["before", "parent"]
    assert [s["name"] for s in spans(child)] == ["child"]


def test_a_disk_that_is_full_in_the_middle_of_a_line_takes_none_of_it(path):
    spool = Spool(path)
    spool.append(b"first\n")
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, former[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            spool.append(b"second\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    spool.append(b"third\n")
    spool.close()
    assert path.read_bytes() == b"first\nthird\n"
