"""A provider without its sockets: request bytes in, a reply and its timing out."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from penstock.providers import Usage
from penstock.simulator import _anthropic, _openai
from penstock.simulator._answers import CHARACTERS_A_TOKEN, Answer, Asked, Wire, arguments
from penstock.simulator._script import Outcome, Script
from penstock.simulator._spelling import refusal_body, response_headers
from penstock.simulator.quota import Accepted, Fault, Quota, Refusal, Refused, Request
from penstock.simulator.scenario import Distribution, Pool
from penstock.simulator.truth import Entry

BLOCK_TOKENS: Final = 128
CACHE_FROM_TOKENS: Final = 1024
"""OpenAI and Anthropic cache prompts from this length; OpenAI's grow in blocks of 128."""
_REMEMBERED_BLOCKS: Final = 200_000
_MARKER_TOOL: Final = b"sim:tool"
_MARKER_TOKENS: Final = re.compile(rb"sim:tokens=(\d+)")
_TAIL_BYTES: Final = 400
_EVENT_STREAM: Final = "text/event-stream; charset=utf-8"


@dataclass(slots=True)
class Reply:
    """What to send and when. `status` None never answers; `cut_after` chunks the connection breaks."""

    entry: Entry
    status: int | None
    headers: dict[str, str]
    chunks: Sequence[bytes]
    head_seconds: float
    seconds: float
    cut_after: int | None = None
    call: int | None = None
    usage: Usage | None = field(default=None)


class Provider:
    """One pool behind one or both wire formats. Sans-IO: `now` is seconds since the server's start."""

    def __init__(
        self, pool: Pool, script: Script, seed: int, output_tokens: Distribution, tool_call_share: float
    ) -> None:
        self.pool = pool
        self.quota = Quota(pool, seed)
        self.script = script
        self._rng = random.Random(seed + 1)
        self._output_tokens = output_tokens
        self._tool_call_share = tool_call_share
        self._cache: dict[int, None] = {}
        self._wires: dict[str, Wire] = {
            "chat/completions": _openai.AzureChat() if pool.headers == "azure" else _openai.OpenAIChat(),
            "embeddings": _openai.OpenAIEmbeddings(),
            "messages": _anthropic.AnthropicMessages(),
        }

    def reply(
        self,
        now: float,
        wall_ns: int,
        path: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        id: int,
    ) -> Reply:
        """Answer one request; the caller sends it and then calls `settle`.

        Raises:
            BadRequestError: when the body is not what `path` takes.
        """
        wire = self._wires[path]
        asked = wire.asked(body)
        entry = Entry(id, self.pool.name, asked.model, path, asked.stream, wall_ns)
        entry.retry = _count(headers.get("x-stainless-retry-count"))
        entry.input_tokens = asked.input_tokens
        entry.request_id = f"req_{self._rng.getrandbits(128):032x}"
        outcome = self.script.take(asked.model, headers)
        if outcome is not None:
            return self._scripted(now, wall_ns, wire, asked, entry, outcome)
        cached, written = self._look_up(asked)
        tokens = self._tokens(asked)
        request = Request(
            input_tokens=asked.input_tokens,
            output_tokens=tokens,
            max_tokens=asked.max_tokens or 0,
            cached_tokens=cached,
            stream=asked.stream,
        )
        decision = self.quota.ask(now, request)
        if isinstance(decision, Refused):
            return self._refusal(now, wall_ns, wire, asked, entry, decision)
        self._remember(asked)
        answer = self._answer(asked, entry, wall_ns, tokens, cached, written)
        return self._accepted(now, wall_ns, wire, asked, entry, decision, answer)

    def settle(self, now: float, reply: Reply) -> None:
        """End a reply's call in the quota, however it ended."""
        if reply.call is not None:
            self.quota.finish(now, reply.call, reply.usage)
            reply.call = None

    # What is sent

    def _accepted(
        self,
        now: float,
        wall_ns: int,
        wire: Wire,
        asked: Asked,
        entry: Entry,
        accepted: Accepted,
        answer: Answer,
    ) -> Reply:
        entry.charged = accepted.charged_tokens
        usage = Usage(input=answer.input_tokens, output=answer.output_tokens, cache_read=answer.cached_tokens)
        reply = self._ok(now, wall_ns, wire, asked, entry, answer)
        reply.call, reply.usage = accepted.id, usage
        reply.head_seconds, reply.seconds = accepted.head_seconds, accepted.seconds
        if accepted.fault is None:
            return reply
        entry.kind = accepted.fault.value
        if accepted.fault is Fault.TIMEOUT:
            reply.status = entry.status = None
        elif accepted.fault is Fault.SERVER_ERROR:
            failed = Refused(Refusal.OUTAGE, 500)
            status, body = wire.refusal(failed, asked.model, entry.request_id)
            reply.status = entry.status = status
            reply.chunks = [body]
            reply.headers["content-type"] = "application/json"
            reply.head_seconds = reply.seconds
        else:
            reply.cut_after = len(reply.chunks) // 2
        return reply

    def _ok(self, now: float, wall_ns: int, wire: Wire, asked: Asked, entry: Entry, answer: Answer) -> Reply:
        entry.status = 200
        entry.output_tokens, entry.cached_tokens = answer.output_tokens, answer.cached_tokens
        headers = self._headers(now, wall_ns, entry)
        headers["content-type"] = _EVENT_STREAM if asked.stream else "application/json"
        return Reply(entry, 200, headers, wire.answer(asked, answer), 0.0, 0.0)

    def _refusal(
        self, now: float, wall_ns: int, wire: Wire, asked: Asked, entry: Entry, refused: Refused
    ) -> Reply:
        headers = self._headers(now, wall_ns, entry, refused)
        headers["content-type"] = "application/json"
        status, body = refusal_body(
            self.quota.config, refused, wire=wire, model=asked.model, request_id=entry.request_id
        )
        entry.status, entry.kind, entry.retry_after = status, refused.kind.value, refused.retry_after
        return Reply(entry, status, headers, [body], refused.seconds, refused.seconds)

    def _headers(
        self, now: float, wall_ns: int, entry: Entry, refused: Refused | None = None
    ) -> dict[str, str]:
        headers = response_headers(self.quota.config, self.quota.windows(now), wall_ns / 1e9, refused)
        if entry.path == "messages":
            headers["request-id"] = entry.request_id
            headers["anthropic-organization-id"] = "simulated"
        else:
            headers["x-request-id"] = entry.request_id
            headers["openai-version"] = "2020-10-01"
            headers["openai-organization"] = "org-simulated"
        return headers

    # What a script wants

    def _scripted(
        self, now: float, wall_ns: int, wire: Wire, asked: Asked, entry: Entry, outcome: Outcome
    ) -> Reply:
        entry.scripted = True
        if outcome.status >= 400:
            refused = Refused(_kind(outcome), outcome.status, requested=1, limit=1, seconds=0.0)
            reply = self._refusal(now, wall_ns, wire, asked, entry, refused)
            reply.status = entry.status = outcome.status
        else:
            tokens = outcome.output_tokens
            tokens = self._tokens(asked) if tokens is None else tokens
            answer = self._answer(asked, entry, wall_ns, tokens, 0, 0, outcome)
            reply = self._ok(now, wall_ns, wire, asked, entry, answer)
            reply.status = entry.status = outcome.status
        if outcome.body is not None:
            text = isinstance(outcome.body, str)
            reply.chunks = [outcome.body.encode() if text else orjson.dumps(outcome.body)]
        reply.headers |= outcome.headers or {}
        reply.head_seconds = reply.seconds = outcome.delay_seconds or 0.0
        self._spoil(wire, reply, outcome)
        return reply

    def _spoil(self, wire: Wire, reply: Reply, outcome: Outcome) -> None:
        if outcome.fault is None:
            return
        reply.entry.kind = outcome.fault
        if outcome.fault == "hang":
            reply.status = reply.entry.status = None
        elif outcome.fault == "reset":
            reply.cut_after, reply.entry.status = -1, None
        elif outcome.fault == "broken_stream":
            reply.cut_after = outcome.after_chunks
        else:
            kind = Refusal.OVERLOADED if outcome.kind == Refusal.OVERLOADED else None
            module = _anthropic if isinstance(wire, _anthropic.AnthropicMessages) else _openai
            reply.chunks = [*reply.chunks[: outcome.after_chunks], module.in_band_error(kind)]

    # What an answer holds

    def _answer(
        self,
        asked: Asked,
        entry: Entry,
        wall_ns: int,
        tokens: int,
        cached: int,
        written: int,
        outcome: Outcome | None = None,
    ) -> Answer:
        tool = self._tool(asked, outcome is not None and outcome.tool)
        prefix = "msg_" if entry.path == "messages" else "chatcmpl-"
        text = outcome.text if outcome else None
        return Answer(
            id=f"{prefix}{self._rng.getrandbits(96):024x}",
            model=asked.model,
            created=wall_ns // 1_000_000_000,
            input_tokens=asked.input_tokens,
            output_tokens=max(1, len(text) // CHARACTERS_A_TOKEN) if text else tokens,
            cached_tokens=cached,
            cache_written=written if entry.path == "messages" else 0,
            truncated=tool is None
            and text is None
            and asked.max_tokens is not None
            and tokens >= asked.max_tokens,
            tool=tool,
            text=text,
        )

    def _tool(self, asked: Asked, wanted: bool) -> tuple[str, str] | None:
        if not asked.tools or not asked.may_call:
            return None
        tools = dict(asked.tools)
        if asked.must_call in tools:
            name = asked.must_call
        elif (
            wanted
            or _MARKER_TOOL in asked.prompt[-_TAIL_BYTES:]
            or self._rng.random() < self._tool_call_share
        ):
            name = self._rng.choice(list(tools))
        else:
            return None
        assert name is not None
        return name, arguments({"type": "object", **tools[name]}, self._rng)

    def _tokens(self, asked: Asked) -> int:
        if asked.max_tokens == 0:
            return 0
        marker = _MARKER_TOKENS.search(asked.prompt, max(0, len(asked.prompt) - _TAIL_BYTES))
        tokens = int(marker[1]) if marker else max(1, round(self._output_tokens.sample(self._rng)))
        return tokens if asked.max_tokens is None else min(tokens, asked.max_tokens)

    # The prompt cache

    def _blocks(self, asked: Asked) -> list[int]:
        """Fingerprint each prefix of whole blocks."""
        size, prefix, blocks = BLOCK_TOKENS * CHARACTERS_A_TOKEN, hash(asked.model), []
        for at in range(0, len(asked.prompt) - size + 1, size):
            prefix = hash((prefix, asked.prompt[at : at + size]))
            blocks.append(prefix)
        return blocks

    def _look_up(self, asked: Asked) -> tuple[int, int]:
        """Count the prompt's tokens read from the cache, and those that this request writes to it."""
        if not asked.caching or asked.input_tokens < CACHE_FROM_TOKENS:
            return 0, 0
        blocks = self._blocks(asked)
        seen = 0
        for block in blocks:
            if block not in self._cache:
                break
            seen += 1
        read = seen * BLOCK_TOKENS if seen * BLOCK_TOKENS >= CACHE_FROM_TOKENS else 0
        return read, len(blocks) * BLOCK_TOKENS - read

    def _remember(self, asked: Asked) -> None:
        if asked.caching and asked.input_tokens >= CACHE_FROM_TOKENS:
            self._cache.update(dict.fromkeys(self._blocks(asked)))
            while len(self._cache) > _REMEMBERED_BLOCKS:
                del self._cache[next(iter(self._cache))]


def _kind(outcome: Outcome) -> Refusal:
    if outcome.kind is not None:
        return Refusal(outcome.kind)
    return Refusal.REQUESTS if outcome.status == 429 else Refusal.OUTAGE


def _count(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
