"""A provider without its sockets: request bytes in, a reply and its timing out."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from penstock.providers import Usage
from penstock.simulator._answers import CHARACTERS_A_TOKEN, JSON, Answer, Asked, arguments
from penstock.simulator._script import Outcome, Script
from penstock.simulator._spelling import refusal_body, response_headers
from penstock.simulator._wire import Wire
from penstock.simulator._wires import Route, wire_of
from penstock.simulator.facts import Accepted, Fault, Refusal, Refused, Request
from penstock.simulator.quota import Quota
from penstock.simulator.scenario import Distribution, Pool
from penstock.simulator.truth import Entry

BLOCK_TOKENS: Final = 128
CACHE_FROM_TOKENS: Final = 1024
"""OpenAI and Anthropic cache prompts from this length; OpenAI's grow in blocks of 128."""
_REMEMBERED_BLOCKS: Final = 200_000
_MARKER_TOOL: Final = b"sim:tool"
_MARKER_TOKENS: Final = re.compile(rb"sim:tokens=(\d+)")
_TAIL_BYTES: Final = 400
_AMZ_ATTEMPT: Final = re.compile(r"attempt=(\d+)")


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


@dataclass(slots=True)
class _Call:
    """A request while it is answered: `now` is the server's clock, `wall_ns` Unix time."""

    now: float
    wall_ns: int
    wire: Wire
    asked: Asked
    entry: Entry


class Provider:
    """One pool, whatever wire it is asked in. Sans-IO: `now` is seconds since the server's start."""

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

    def reply(
        self,
        now: float,
        wall_ns: int,
        route: Route,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        id: int,
    ) -> Reply:
        """Answer one request; the caller sends it and then calls `settle`.

        Raises:
            BadRequestError: when the body is not what the route takes.
        """
        wire = wire_of(route, self.quota.config)
        asked = wire.asked(body, route.target)
        entry = Entry(id, self.pool.name, asked.model, route.target.endpoint, asked.stream, wall_ns)
        entry.retry = _earlier_tries(headers)
        entry.input_tokens = asked.input_tokens
        entry.request_id = f"req_{self._rng.getrandbits(128):032x}"
        call = _Call(now, wall_ns, wire, asked, entry)
        outcome = self.script.take(asked.model, headers)
        return self._by_quota(call) if outcome is None else self._scripted(call, outcome)

    def settle(self, now: float, reply: Reply) -> None:
        """End a reply's call in the quota, however it ended."""
        if reply.call is not None:
            self.quota.finish(now, reply.call, reply.usage)
            reply.call = None

    # What is sent

    def _by_quota(self, call: _Call) -> Reply:
        asked = call.asked
        cached, written = self._look_up(asked)
        tokens = self._tokens(asked)
        request = Request(
            input_tokens=asked.input_tokens,
            output_tokens=tokens,
            max_tokens=asked.max_tokens or 0,
            cached_tokens=cached,
            stream=asked.stream,
        )
        decision = self.quota.ask(call.now, request)
        if isinstance(decision, Refused):
            return self._refusal(call, decision)
        self._remember(asked)
        return self._accepted(call, decision, self._answer(call, tokens, cached, written))

    def _accepted(self, call: _Call, accepted: Accepted, answer: Answer) -> Reply:
        entry = call.entry
        entry.charged = accepted.charged_tokens
        reply = self._ok(call, answer)
        reply.call = accepted.id
        reply.usage = Usage(
            input=answer.input_tokens, output=answer.output_tokens, cache_read=answer.cached_tokens
        )
        reply.head_seconds, reply.seconds = accepted.head_seconds, accepted.seconds
        if accepted.fault is None:
            return reply
        entry.kind = accepted.fault.value
        if accepted.fault is Fault.TIMEOUT:
            reply.status = entry.status = None
        elif accepted.fault is Fault.SERVER_ERROR:
            failed = self._refusal(call, Refused(Refusal.OUTAGE, 500))
            reply.status, reply.headers, reply.chunks = failed.status, failed.headers, failed.chunks
            entry.kind = accepted.fault.value
            reply.head_seconds = reply.seconds
        else:
            reply.cut_after = len(reply.chunks) // 2
        return reply

    def _ok(self, call: _Call, answer: Answer) -> Reply:
        entry, asked, wire = call.entry, call.asked, call.wire
        entry.status = 200
        entry.output_tokens, entry.cached_tokens = answer.output_tokens, answer.cached_tokens
        headers = {
            **response_headers(self.quota.config, self.quota.windows(call.now), call.wall_ns / 1e9),
            **wire.headers(entry.request_id, answer),
            "content-type": asked.content_type,
        }
        chunks = wire.events(asked, answer) if asked.stream else [wire.document(asked, answer)]
        return Reply(entry, 200, headers, chunks, 0.0, 0.0)

    def _refusal(self, call: _Call, refused: Refused) -> Reply:
        entry, wire, config = call.entry, call.wire, self.quota.config
        headers = {
            **response_headers(config, self.quota.windows(call.now), call.wall_ns / 1e9, refused),
            **wire.headers(entry.request_id, None),
            **wire.refusal_headers(refused),
            "content-type": JSON,
        }
        status, body = refusal_body(
            config, refused, wire=wire, model=call.asked.model, request_id=entry.request_id
        )
        entry.status, entry.kind, entry.retry_after = status, refused.kind.value, refused.retry_after
        return Reply(entry, status, headers, [body], refused.seconds, refused.seconds)

    # What a script wants

    def _scripted(self, call: _Call, outcome: Outcome) -> Reply:
        entry = call.entry
        entry.scripted = True
        if outcome.status >= 400:
            reply = self._refusal(call, _refused(outcome, outcome.status))
        else:
            tokens = outcome.output_tokens
            tokens = self._tokens(call.asked) if tokens is None else tokens
            reply = self._ok(call, self._answer(call, tokens, 0, 0, outcome))
        reply.status = entry.status = outcome.status
        if outcome.body is not None:
            text = isinstance(outcome.body, str)
            reply.chunks = [outcome.body.encode() if text else orjson.dumps(outcome.body)]
        reply.headers |= outcome.headers or {}
        reply.head_seconds = outcome.delay_seconds or 0.0
        reply.seconds = reply.head_seconds + outcome.stream_seconds
        if outcome.fault is not None:
            self._spoil(call, reply, outcome)
        return reply

    def _spoil(self, call: _Call, reply: Reply, outcome: Outcome) -> None:
        assert outcome.fault is not None
        reply.entry.kind = outcome.fault
        if outcome.fault == "hang":
            reply.status = reply.entry.status = None
        elif outcome.fault == "reset":
            reply.cut_after, reply.entry.status = -1, None
        elif outcome.fault == "broken_stream":
            reply.cut_after = outcome.after_chunks
        else:
            error = call.wire.in_band_error(_refused(outcome, 500), call.asked.model, call.entry.request_id)
            reply.chunks = [*reply.chunks[: outcome.after_chunks], error]

    # What an answer holds

    def _answer(
        self, call: _Call, tokens: int, cached: int, written: int, outcome: Outcome | None = None
    ) -> Answer:
        asked = call.asked
        tool = self._tool(asked, outcome is not None and outcome.tool)
        text = outcome.text if outcome else None
        return Answer(
            id=f"{call.wire.id_prefix}{self._rng.getrandbits(96):024x}",
            model=asked.model,
            created=call.wall_ns // 1_000_000_000,
            input_tokens=asked.input_tokens,
            output_tokens=max(1, len(text) // CHARACTERS_A_TOKEN) if text else tokens,
            cached_tokens=cached,
            cache_written=written,
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


def _refused(outcome: Outcome, status: int) -> Refused:
    """Make the refusal that a script asks for; inside a stream `status` says what it would have been."""
    kind = Refusal.REQUESTS if status == 429 else Refusal.OUTAGE
    if outcome.kind is not None:
        kind = Refusal(outcome.kind)
    if kind is Refusal.OVERLOADED and status == 500:
        status = 503
    return Refused(kind, status, outcome.retry_after_seconds, requested=1, limit=1, seconds=0.0)


def _earlier_tries(headers: Mapping[str, str]) -> int:
    """Read the client's own count: Stainless' SDKs count retries, Amazon's count attempts from 1."""
    count = headers.get("x-stainless-retry-count", "")
    found = _AMZ_ATTEMPT.match(headers.get("amz-sdk-request", ""))
    return int(found[1]) - 1 if found else int(count) if count.isdigit() else 0
