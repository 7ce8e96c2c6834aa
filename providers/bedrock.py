"""Amazon Bedrock's wire: Converse and InvokeModel, documents and AWS event streams.

Sources: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, …_ConverseStream.html,
…_InvokeModelWithResponseStream.html; docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
(event stream framing).
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import orjson

from penstock.providers.anthropic import read_anthropic
from penstock.providers.bodies import JsonReader, Notes, count, decode, part, text
from penstock.providers.facts import BodyReader, Endpoint, Outcome, Quota, RequestFacts
from penstock.providers.openai import BACKPRESSURE, read_openai, refusal_headers
from penstock.providers.prompts import read_request

CONVERSE: Final = "bedrock.converse"
INVOKE: Final = "bedrock.invoke"
CONVERSE_STREAM: Final = "bedrock.converse-stream"
INVOKE_STREAM: Final = "bedrock.invoke-stream"

_PATH: Final = re.compile(r"/model/(.+)/([a-z-]+)\Z")
_METHODS: Final = {
    "converse": CONVERSE,
    "converse-stream": CONVERSE_STREAM,
    "invoke": INVOKE,
    "invoke-with-response-stream": INVOKE_STREAM,
}
METHODS: Final = tuple(_METHODS)
_FRAME_LIMIT: Final = 1024 * 1024
_PRELUDE: Final = 12
_CRC: Final = 4


@dataclass(frozen=True, slots=True)
class Bedrock:
    """The Bedrock runtime."""

    name: str = "bedrock"

    def endpoint(self, host: str, path: str) -> Endpoint | None:
        """Tell by the method at the path's end; the model is part of the path."""
        found = _PATH.search(path)
        if found is None or found[2] not in _METHODS:
            return None
        return Endpoint(self.name, "chat", _METHODS[found[2]], unquote(found[1]))

    def request(self, endpoint: Endpoint, body: bytes) -> RequestFacts | None:
        """Read a request body; InvokeModel's is the model vendor's own."""
        converse = endpoint.wire in (CONVERSE, CONVERSE_STREAM)
        return read_request(
            body,
            prompt_fields=("toolConfig", "tools", "system", "messages", "prompt", "inputText"),
            max_tokens_fields=("maxTokens",) if converse else ("max_tokens", "max_gen_len", "maxTokenCount"),
            limits_in="inferenceConfig" if converse else None,
            model=endpoint.model,
            stream=endpoint.wire in (CONVERSE_STREAM, INVOKE_STREAM),
        )

    def quota(self, headers: Mapping[str, str]) -> Quota | None:
        """Bedrock sends no quota headers."""
        return None

    def reader(self, endpoint: Endpoint, content_type: str) -> BodyReader:
        """Make a reader."""
        if "eventstream" in content_type:
            return EventStreamReader()
        return JsonReader(read_bedrock)

    def refusal(self, eta_seconds: float, message: str) -> tuple[dict[str, str], bytes]:
        """Build a 429 as Bedrock words one."""
        headers = refusal_headers(eta_seconds) | {"x-amzn-errortype": "ThrottlingException"}
        return headers, orjson.dumps({"message": message, "code": BACKPRESSURE})


class EventStreamReader:
    """Reads AWS's binary frames: total length, header length, CRC, headers, payload, CRC."""

    __slots__ = ("_notes", "_rest", "_skip")

    def __init__(self) -> None:
        self._notes = Notes()
        self._rest = bytearray()
        self._skip = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self._skip:
            skipped = min(self._skip, len(chunk))
            self._skip -= skipped
            chunk = chunk[skipped:]
        self._rest += chunk
        while len(self._rest) >= _PRELUDE:
            total = int.from_bytes(self._rest[:4], "big")
            if total < _PRELUDE + _CRC:
                self._rest.clear()  # no frame at all
                return
            if total > _FRAME_LIMIT:
                self._skip = max(0, total - len(self._rest))
                del self._rest[:total]
                continue
            if len(self._rest) < total:
                return
            self._frame(bytes(self._rest[:total]))
            del self._rest[:total]

    def outcome(self) -> Outcome:
        """Tell what was learnt so far."""
        return self._notes.outcome()

    def _frame(self, frame: bytes) -> None:
        size = int.from_bytes(frame[4:8], "big")
        headers = dict(_headers(frame[_PRELUDE : _PRELUDE + size]))
        payload = decode(frame[_PRELUDE + size : -_CRC])
        kind = headers.get(":event-type", "")
        if headers.get(":message-type") in ("exception", "error"):
            code = headers.get(":exception-type") or headers.get(":error-code") or "unknown"
            self._notes.error = {**(payload or {}), "code": code, "type": code}
            self._notes.complete = True
        elif payload is not None:
            _event(kind, payload, self._notes)


def _headers(block: bytes) -> Iterator[tuple[str, str]]:
    """Walk the headers of a frame as far as they are strings (type 7), which those that matter are."""
    at = 0
    while at < len(block):
        size = block[at]
        name = block[at + 1 : at + 1 + size].decode("utf-8", "replace")
        at += 1 + size
        if at + 3 > len(block) or block[at] != 7:
            return
        length = int.from_bytes(block[at + 1 : at + 3], "big")
        yield name, block[at + 3 : at + 3 + length].decode("utf-8", "replace")
        at += 3 + length


def _event(kind: str, payload: Mapping[str, object], notes: Notes) -> None:
    if kind == "chunk":
        _vendor_chunk(payload, notes)
    elif kind == "messageStop":
        notes.finish_reason = text(payload, "stopReason") or notes.finish_reason
        notes.complete = True
    elif kind == "metadata":
        _usage(part(payload, "usage"), notes)


def _vendor_chunk(payload: Mapping[str, object], notes: Notes) -> None:
    """InvokeModel streams the vendor's own events, in base64."""
    try:
        inner = decode(base64.b64decode(text(payload, "bytes") or "", validate=True))
    except binascii.Error:
        return
    if inner is None:
        return
    if inner.get("type") in ("message_start", "message_delta", "message_stop", "error"):
        read_anthropic(inner, notes)
    metrics = part(inner, "amazon-bedrock-invocationMetrics")
    if metrics:
        notes.complete = True
        if notes.input is None:
            notes.input = count(metrics, "inputTokenCount")
        notes.output = count(metrics, "outputTokenCount")
        if (cached := count(metrics, "cacheReadInputTokenCount")) is not None:
            notes.cache_read = cached


def read_bedrock(value: Mapping[str, object], notes: Notes) -> None:
    """Learn from a document of Converse, or of InvokeModel for vendors whose own wire we know."""
    if "stopReason" in value:
        notes.finish_reason = text(value, "stopReason")
        _usage(part(value, "usage"), notes)
    elif value.get("type") == "message":
        read_anthropic(value, notes)
    elif "choices" in value:
        read_openai(value, notes)


def _usage(usage: Mapping[str, object], notes: Notes) -> None:
    """Bedrock counts cached tokens beside input; ours is inclusive."""
    read, written = count(usage, "cacheReadInputTokens"), count(usage, "cacheWriteInputTokens")
    fresh = count(usage, "inputTokens")
    notes.cache_read = notes.cache_read if read is None else read
    notes.cache_write = notes.cache_write if written is None else written
    if fresh is not None:
        notes.input = fresh + (read or 0) + (written or 0)
    if (output := count(usage, "outputTokens")) is not None:
        notes.output = output
