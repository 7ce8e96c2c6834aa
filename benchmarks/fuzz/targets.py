"""The parsers of this project, each as a function of bytes: it may refuse clearly, and may not break."""

import collections
import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from penstock import _config
from penstock.analysis._address import address_of
from penstock.analysis._reading import Decoded
from penstock.analysis.formats import read_file
from penstock.analysis.gate import Gate
from penstock.analysis.moments import nanoseconds
from penstock.classifiers import (
    Evidence,
    classify,
    evidence_of_mcp_result,
    evidence_of_response,
    evidence_of_row,
    evidence_of_span,
    load_rules,
    redacted_row,
    retry_after,
    row_of_verdict,
    verdict_of_exception,
)
from penstock.errors import UsageError
from penstock.limiter import parse_settings
from penstock.providers import lookup
from penstock.simulator import read_scenario
from penstock.telemetry import metrics as m
from penstock.telemetry.exposition.merge import dump, load, merge
from penstock.telemetry.registry import Registry
from penstock.trust._configure import read_options

Target = Callable[[bytes], None]

WIRES: Final = (  # one address a wire
    ("api.openai.com", "/v1/chat/completions"),
    ("api.openai.com", "/v1/responses"),
    ("api.anthropic.com", "/v1/messages"),
    ("api.mistral.ai", "/v1/chat/completions"),
    ("api.cohere.com", "/v2/chat"),
    ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:streamGenerateContent"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/anthropic.claude/converse-stream"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/anthropic.claude/invoke"),
    ("127.0.0.1", "/api/chat"),
)
CONTENT_TYPES: Final = (
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
)
QUOTA_HEADERS: Final = (
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
)
LONGEST_WAIT: Final = 31 * 86_400


def classifier(data: bytes) -> None:
    """Error texts, bodies, headers, exceptions, rows and finished spans."""
    text, status = data.decode("utf-8", "replace"), len(data) * 7 % 701
    _sound(Evidence(status=status, message=text, code=text[:30], exception_types=(text[:20],)))
    _sound(evidence_of_response(status, {"retry-after": text[:40]}, data))
    _sound(evidence_of_mcp_result(data))
    _sound(evidence_of_span({"error.type": text, "gen_ai.operation.name": text[:12]}, text))
    verdict_of_exception(RuntimeError(text, data))
    wait = retry_after({"retry-after": text, "date": text}, None, text, now_unix=1.7e9)
    assert wait is None or 0 <= wait <= LONGEST_WAIT, wait
    try:
        row = json.loads(data)
    except (ValueError, RecursionError):
        row = {"message": text, "status_code": status}
    if isinstance(row, dict):
        evidence = evidence_of_row(row)
        _sound(evidence)
        json.dumps(redacted_row(evidence), default=str)


def _sound(evidence: Evidence) -> None:
    verdict = classify(evidence)
    assert not any(seen.startswith("internal_error") for seen in verdict.evidence), verdict.evidence
    json.dumps(row_of_verdict(verdict))


def wires(data: bytes) -> None:
    """Requests, quota headers and answers of each provider, whole and in pieces."""
    text = data.decode("latin-1")
    for host, path in WIRES:
        found = lookup(host, path)
        assert found is not None, (host, path)
        provider, endpoint = found
        provider.request(endpoint, data)
        provider.quota(dict.fromkeys(QUOTA_HEADERS, text))
        for content_type in CONTENT_TYPES:
            reader = provider.reader(endpoint, content_type)
            middle = len(data) // 2
            reader.feed(data[:middle])
            reader.feed(data[middle:])
            reader.outcome()


def spans(data: bytes) -> None:
    """Span files of any format."""
    with contextlib.suppress(UsageError):
        collections.deque(read_file(io.BytesIO(data), "fuzz", len(data), 0, Decoded()), maxlen=0)


def scenario(data: bytes) -> None:
    """Scenario files of the lab and the simulator."""
    with contextlib.suppress(UsageError):
        read_scenario(data.decode("utf-8", "replace"))


def configuration(data: bytes) -> None:
    """penstock.toml, with the tables of the limiter and of the trust room."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "penstock.toml").write_bytes(data)
        with contextlib.suppress(UsageError):
            settings = _config.load(environ={}, folder=Path(folder))
            parse_settings(settings.limiter)
            # A ledger is opened when it is named, wherever a broken name points to.
            read_options({name: held for name, held in settings.trust.items() if name != "ledger"})


def rules(data: bytes) -> None:
    """Rules of the user's own for error classes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rules.toml").write_bytes(data)
        with contextlib.suppress(UsageError):
            load_rules(Path(folder, "rules.toml"))


def words(data: bytes) -> None:
    """What people type after a flag: gates, times, addresses."""
    text = data.decode("utf-8", "replace")
    answer = {"attempts": {"total": 3, "failed": 1, "by_class": {}}, "live": {"total": {"p99": 5}}}
    with contextlib.suppress(UsageError):
        Gate.parse(text).broken(answer)
    with contextlib.suppress(ValueError):
        nanoseconds(text)
    with contextlib.suppress(UsageError):
        shown = str(address_of(f"clickhouse://someone:zq7@{text}"))
        assert "zq7" not in shown or "zq7" in text, shown


def remains(data: bytes) -> None:
    """What a worker left for its colleagues' metrics page, half written perhaps."""
    merge([load(data), load(data[: len(data) // 2])])


def _registry() -> Registry:
    """Make metrics as a worker has them."""
    registry = Registry()
    registry.set(m.LIVE, ("p",), 2.0)
    registry.observe(m.FIRST_BYTE, ("p",), 0.2)
    return registry


TARGETS: Final[dict[str, Target]] = {
    target.__name__: target
    for target in (classifier, wires, spans, scenario, configuration, rules, words, remains)
}
SEEDS: Final[dict[str, list[bytes]]] = {
    "classifier": [
        b'{"status_code": 429, "message": "Rate limit reached, try again in 1m30s"}',
        b'{"error": {"code": "insufficient_quota", "type": "x", "details": [{"retryDelay": "18s"}]}}',
    ],
    "wires": [
        b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": [{"type": "text"}]}]}',
        b'data: {"usage": {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}}\n\n'
        b"data: [DONE]\n\n",
        b'event: message_delta\ndata: {"type": "message_delta", "usage": {"output_tokens": 5}}\r\n\r\n',
        b'{"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 1}}\n',
        b"\x00\x00\x00\x20\x00\x00\x00\x10\x00\x00\x00\x00:event-type\x07\x00\x05chunk{}\x00\x00\x00\x00",
    ],
    "spans": [
        b'{"resourceSpans": [{"resource": {"attributes": [{"key": "pid", "value": {"intValue": "7"}}]}, '
        b'"scopeSpans": [{"spans": [{"traceId": "0123456789abcdef0123456789abcdef", '
        b'"spanId": "0123456789abcdef", "name": "chat m", "startTimeUnixNano": "1", "endTimeUnixNano": 2, '
        b'"attributes": [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "3"}}]}]}]}]}\n',
        b'{"name": "chat", "context": {"trace_id": "0x1", "span_id": "0x2"}, '
        b'"start_time": "2026-01-01T00:00:00Z"}\n',
        b'{"data": [{"traceID": "1", "spans": [{"spanID": "2", "tags": [{"key": "a", "value": 1}]}]}]}',
        b'[{"traceId": "1", "id": "2", "timestamp": 1, "duration": 2, "tags": {}}]',
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
        b"\n\x20\x12\x1e\x12\x1c\n\x10" + bytes(16),
    ],
    "scenario": [
        b'[workload]\ntasks = 5\ntool_seconds = {distribution = "lognormal", mean = 1}\n'
        b'[[pools]]\nname = "a"\nrequests_per_minute = 5\nerror_rates = {timeout = 0.1}\n'
        b"[[pools.events]]\nat_seconds = 3\noutage_seconds = 5\n",
    ],
    "configuration": [
        b'limit = "enforce"\nwait_up_to_seconds = 3\n[[pools]]\nname = "a"\nmatch = "https://x/*"\n'
        b'fallback = ["b"]\n[trust.tools]\npay = "primary"\n',
        b'limit = "observe"\n[pools.a]\ncapabilities = ["json"]\nfallback = [{pool = "b"}]\n'
        b"[trust.cache]\nevery_call = true\nttl_seconds = 3\n"
        b'[trust.tools.pay]\nkey = "{id}"\n',
    ],
    "rules": [
        b'[[rule]]\nid = "mine"\nverdict = "rate_limit.rpm"\nstatus = 429\ntext = "slow down"\n',
    ],
    "words": [
        b"p99_live>180",
        b"attempts.failed>=5%",
        b"2026-05-01T12:00:00.5",
        b"u:p@h:8123/db?table=t",
        b"17.5",
    ],
    "remains": [
        b'{"penstock_attempts_total": [[["openai", "m", "p", "ok"], 3.0]], '
        b'"penstock_live_calls": [[["p"], 2.0]]}',
        dump(_registry().collect()),
    ],
}
