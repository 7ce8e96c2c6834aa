"""Write a large OTLP/JSON file as the Collector's file exporter does: 512 spans a line, about 1.5 kB and 19 attributes a span.

python benchmarks/ingest/generate.py --spans 200000 spans.jsonl
"""

# ruff: noqa: E501 - spans read as the tables they are

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

BATCH: Final = 512
START_NS: Final = 1_760_000_000_000_000_000
MODELS: Final = (
    ("openai", "gpt-5"),
    ("openai", "gpt-5-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gcp.gemini", "gemini-3-pro"),
)
CHILDREN: Final = 8


def attribute(key: str, value: object) -> dict[str, object]:
    """Encode one attribute as OTLP/JSON: integers travel as text."""
    match value:
        case bool():
            return {"key": key, "value": {"boolValue": value}}
        case int():
            return {"key": key, "value": {"intValue": str(value)}}
        case float():
            return {"key": key, "value": {"doubleValue": value}}
        case list():
            return {
                "key": key,
                "value": {"arrayValue": {"values": [{"stringValue": item} for item in value]}},
            }
        case _:
            return {"key": key, "value": {"stringValue": value}}


def spans(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield traces of one agent span, LLM calls with retries, and tool calls."""
    rng = random.Random(seed)
    made = 0
    clock = START_NS
    while made < count:
        clock += rng.randrange(20_000_000, 60_000_000)
        trace, root = f"{rng.getrandbits(128):032x}", f"{rng.getrandbits(64):016x}"
        at = clock
        children: list[dict[str, Any]] = []
        for step in range(CHILDREN):
            length = rng.randrange(300_000_000, 6_000_000_000)
            failed = rng.random() < 0.075
            tool = step % 4 == 3
            children.append(
                _span(
                    rng,
                    trace,
                    root,
                    at,
                    at + length,
                    _tool(rng, step) if tool else _call(rng, step, failed),
                    failed,
                )
            )
            at += rng.randrange(100_000_000, 800_000_000)
        yield from children
        yield _span(
            rng,
            trace,
            None,
            clock,
            at + 6_000_000_000,
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "planner",
                "gen_ai.agent.id": "asst_5j66UpCpwteGg4YSxUnt7lPY",
                "gen_ai.conversation.id": f"conv-{rng.randrange(5000)}",
                "app.tenant": f"tenant-{rng.randrange(40)}",
                "app.release": "2026.01.3",
                "app.region": "eu-west-1",
            },
            False,
            root,
        )
        made += CHILDREN + 1


def _call(rng: random.Random, step: int, failed: bool) -> dict[str, object]:
    provider, model = rng.choice(MODELS)
    found: dict[str, object] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.response.model": f"{model}-2026-01-15",
        "gen_ai.response.id": f"resp_{rng.getrandbits(96):024x}",
        "gen_ai.request.max_tokens": 2048,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.conversation.id": f"conv-{rng.randrange(5000)}",
        "gen_ai.agent.name": "planner",
        "server.address": f"api.{provider}.com",
        "server.port": 443,
        "http.response.status_code": 429 if failed else 200,
        "app.step": step,
        "app.tenant": f"tenant-{rng.randrange(40)}",
        "app.release": "2026.01.3",
        "app.region": rng.choice(("eu-west-1", "us-east-1")),
        "gen_ai.request.top_p": 0.95,
        "gen_ai.output.type": "text",
        "openai.request.service_tier": "auto",
        "app.prompt.version": f"v{rng.randrange(12)}",
    }
    if failed:
        return found | {"error.type": "openai.RateLimitError"}
    read = rng.randrange(0, 900)
    return found | {
        "gen_ai.usage.input_tokens": 900 + read,
        "gen_ai.usage.output_tokens": rng.randrange(10, 900),
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.response.finish_reasons": ["stop"],
    }


def _tool(rng: random.Random, step: int) -> dict[str, object]:
    name = rng.choice(("search", "sql", "browse"))
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": f"Run {name} for the agent and return what it found as text",
        "gen_ai.tool.call.id": f"call_{rng.getrandbits(64):016x}",
        "gen_ai.agent.name": "planner",
        "app.step": step,
        "app.tenant": f"tenant-{rng.randrange(40)}",
        "app.release": "2026.01.3",
        "app.region": rng.choice(("eu-west-1", "us-east-1")),
        "app.tool.rows": rng.randrange(500),
        "app.tool.cached": rng.random() < 0.3,
    }


def _span(
    rng: random.Random,
    trace: str,
    parent: str | None,
    start: int,
    end: int,
    held: dict[str, object],
    failed: bool,
    own: str | None = None,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": trace, "spanId": own or f"{rng.getrandbits(64):016x}", "parentSpanId": parent or "", "flags": 257,
        "name": f"{held['gen_ai.operation.name']} {held.get('gen_ai.request.model', '')}".strip(), "kind": 3,
        "startTimeUnixNano": str(start), "endTimeUnixNano": str(end),
        "attributes": [attribute(key, value) for key, value in held.items()], "status": {},
    }  # fmt: skip
    if failed:
        message = "Error code: 429 - Rate limit reached for requests per min (RPM): Limit 500, Used 500, Requested 1."
        found["status"] = {"code": 2, "message": message}
        found["events"] = [{"name": "exception", "timeUnixNano": str(end), "attributes": [
            attribute("exception.type", "openai.RateLimitError"), attribute("exception.message", message)]}]  # fmt: skip
    return found


def write(path: Path, count: int, seed: int = 1, batch: int = BATCH) -> int:
    """Write about `count` spans and return how many."""
    resource = {
        "attributes": [attribute("service.name", "agents"), attribute("service.instance.id", "host-1")]
    }
    written, held = 0, []
    with path.open("wb") as out:

        def flush() -> None:
            scope = {"scope": {"name": "opentelemetry.instrumentation.openai_v2"}, "spans": held}
            out.write(
                orjson.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}) + b"\n"
            )

        for span in spans(count, seed):
            held.append(span)
            written += 1
            if len(held) == batch:
                flush()
                held.clear()
        if held:
            flush()
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=BATCH)
    options = parser.parse_args()
    print(write(options.path, options.spans, options.seed, options.batch), "spans")
