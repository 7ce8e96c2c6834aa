"""One cell: an app below several instrumentors, in a process of its own, and what is wrong with its spans.

    python -m benchmarks.instrumentors.cells URL < cells as JSON lines > findings as JSON lines

The process imports what the cells need, then forks one child a cell: instrumentors patch for good. A child
that takes more than its CPU time hangs, and is ended by the kernel.
"""

import contextlib
import importlib
import json
import os
import resource
import sys
import urllib.request
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import penstock
from benchmarks.instrumentors.apps import ANSWERS, APPS
from benchmarks.instrumentors.others import OTHERS, PENSTOCK
from penstock.telemetry import metrics
from penstock.telemetry import semconv as names

CPU_SECONDS: Final = 20
_LLM_OPERATIONS: Final = ("chat", "text_completion", "generate_content")
_OUTPUT_TOKENS: Final = (names.USAGE_OUTPUT, "gen_ai.usage.completion_tokens", "llm.token_count.completion")
_IMPORTS: Final = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "langchain": ("langchain_openai",),
    "pydantic-ai": ("pydantic_ai.models.openai",),
    "openai-agents": ("agents",),
    "litellm": ("litellm",),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """An app and the instrumentors over it, in the order in which they are switched on."""

    app: str
    order: tuple[str, ...]


@dataclass(slots=True)
class Finding:
    """What one cell's spans and metrics say, beside what the provider served."""

    cell: Cell
    calls: int = 0
    llm_spans: int = 0
    adopted: int = 0
    attempts: int = 0
    served: int = 0
    roles: dict[str, int] = field(default_factory=dict)
    tokens_claimed: int = 0
    tokens_served: int = 0
    problems: list[str] = field(default_factory=list)


def run(cell: Cell, url: str) -> Finding:
    """Make the calls of one app; patches this process for good."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    runtime = None
    for name in cell.order:
        if name == PENSTOCK:
            runtime = penstock.instrument(limit="off", spans="off")
        else:
            OTHERS[name]()
    assert runtime is not None, "a cell without Penstock"
    before = len(_served(url))
    finding = Finding(cell)
    classes: Counter[str | None] = Counter()
    with APPS[cell.app](url) as calls:
        for name, call in calls.items():
            classes[ANSWERS[name].error_class] += 1
            _script(url, ANSWERS[name].outcomes)
            try:
                call()
            except Exception as error:  # noqa: BLE001 - a call that is to fail, does
                if ANSWERS[name].error_class is None:
                    finding.problems.append(f"{name} raised {type(error).__name__}: {error}")
            else:
                if ANSWERS[name].error_class is not None:
                    finding.problems.append(f"{name} did not raise")
    finding.calls = classes.total()
    runtime.telemetry.tracing.force_flush()
    if runtime.telemetry.engine.live:
        finding.problems.append(f"{runtime.telemetry.engine.live} attempts still in flight")
    families = {family.metric: family.series for family in runtime.telemetry.registry.collect()}
    if any(families[metrics.HOOK_ERRORS].values()):
        finding.problems.append(f"our hooks failed: {families[metrics.HOOK_ERRORS]}")
    runtime.shutdown()
    _judge(finding, exporter.get_finished_spans(), _served(url)[before:], classes)
    return finding


def read_finding(line: str) -> Finding:
    """Read what this module's command wrote of one cell."""
    told = json.loads(line)
    cell = told.pop("cell")
    return Finding(Cell(cell["app"], tuple(cell["order"])), **told)


def _judge(
    finding: Finding,
    spans: Iterable[ReadableSpan],
    served: list[Mapping[str, Any]],
    classes: Counter[str | None],
) -> None:
    told = [dict(span.attributes or {}) | {"scope": _scope(span)} for span in spans]
    attempts = [facts for facts in told if facts.get(names.SPAN_KIND) == names.KIND_ATTEMPT]
    llm = [facts for facts in told if _describes_a_call(facts)]
    owners = [facts for facts in llm if facts.get(names.DEDUPE) == names.DEDUPE_OWNER]
    finding.llm_spans, finding.attempts, finding.served = len(llm), len(attempts), len(served)
    finding.adopted = sum(facts["scope"] != "penstock" for facts in owners)
    finding.roles = dict(Counter(str(facts.get(names.DEDUPE)) for facts in llm))
    finding.tokens_served = sum(entry["output_tokens"] for entry in served if entry["kind"] == "ok")
    finding.tokens_claimed = sum(_tokens(facts) for facts in owners)
    checks = {
        f"{len(attempts)} attempts seen, {len(served)} served": len(attempts) == len(served),
        f"{len(owners)} owners of {finding.calls} calls": len(owners) == finding.calls,
        f"roles {finding.roles}": all(names.DEDUPE in facts for facts in llm if _tokens(facts)),
        "attempts of the owners": sum(facts[names.ATTEMPTS] for facts in owners) == len(served),
        "classes of the owners": Counter(facts.get(names.ERROR_CLASS) for facts in owners) == classes,
        f"{finding.tokens_claimed} tokens claimed of {finding.tokens_served}": (
            finding.tokens_claimed <= finding.tokens_served
        ),
    }
    finding.problems += [problem for problem, holds in checks.items() if not holds]


def _describes_a_call(facts: Mapping[str, Any]) -> bool:
    return facts.get(names.OPERATION_NAME) in _LLM_OPERATIONS or facts.get("openinference.span.kind") == "LLM"


def _tokens(facts: Mapping[str, Any]) -> int:
    return next((int(facts[name]) for name in _OUTPUT_TOKENS if name in facts), 0)


def _scope(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope is not None else ""


def _served(url: str) -> list[Mapping[str, Any]]:
    with urllib.request.urlopen(f"{url}/_sim/log") as answer:
        return [json.loads(line) for line in answer]


def _script(url: str, outcomes: Iterable[Mapping[str, object]]) -> None:
    body = json.dumps(list(outcomes)).encode()
    request = urllib.request.Request(f"{url}/_sim/script", body, {"content-type": "application/json"})
    urllib.request.urlopen(request).close()


def _forked(cell: Cell, url: str) -> Finding:
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        try:
            finding = run(cell, url)
        except Exception as error:  # noqa: BLE001 - the finding is that it raised
            finding = Finding(cell, problems=[f"raised {type(error).__name__}: {error}"])
        with os.fdopen(theirs, "w") as out:
            out.write(json.dumps(asdict(finding)))
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if not text:
        return Finding(cell, problems=[f"ended by signal {os.WTERMSIG(status)}: it hangs"])
    return read_finding(text)


def main() -> None:
    warnings.simplefilter("ignore")
    url = sys.argv[1]
    findings = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what SDKs print is not ours
    cells = [Cell(given["app"], tuple(given["order"])) for given in map(json.loads, sys.stdin)]
    for app in {cell.app for cell in cells}:
        for module in _IMPORTS[app]:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
    for cell in cells:
        print(json.dumps(asdict(_forked(cell, url))), file=findings, flush=True)


if __name__ == "__main__":
    main()
