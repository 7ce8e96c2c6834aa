"""The whole of Penstock in front of the simulator; what it wrote is read back from its span file."""

import json
import urllib.request
from dataclasses import dataclass, replace

import pytest

import penstock
from penstock.simulator import Config, Distribution, profile, serve


@pytest.fixture(scope="session")
def simulator():
    quick = Distribution("constant", 0.01)
    pools = [replace(profile(name, rpm=60_000), latency_seconds=quick) for name in ("openai", "anthropic")]
    with serve(Config(pools=tuple(pools), tool_call_share=0.0)) as running:
        yield running


@dataclass(frozen=True)
class Span:
    name: str
    id: str
    parent: str
    trace: str
    facts: dict

    def __getitem__(self, name):
        return self.facts.get(name)

    @property
    def kind(self):
        return self["penstock.span.kind"]


def read(path):
    for line in path.read_text().splitlines():
        raw = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
        facts = {a["key"]: next(iter(a["value"].values())) for a in raw["attributes"]}
        facts = {k: int(v) if k.startswith("penstock.task") and v.isdigit() else v for k, v in facts.items()}
        yield Span(raw["name"], raw["spanId"], raw.get("parentSpanId", ""), raw["traceId"], facts)


class Play:
    """Script the simulator's next answers."""

    limited = {"status": 429, "headers": {"retry-after-ms": "5", "retry-after": "0"}}  # noqa: RUF012
    calls_tool = {"status": 200, "tool": True, "output_tokens": 8}  # noqa: RUF012
    says_done = {"status": 200, "text": "done", "output_tokens": 8}  # noqa: RUF012

    def __init__(self, simulator):
        self._simulator = simulator
        clear = urllib.request.Request(f"{simulator.url}/_sim/script", method="DELETE")
        urllib.request.urlopen(clear).close()

    def __call__(self, *outcomes):
        self._simulator.script(*outcomes)


@pytest.fixture
def play(simulator):
    return Play(simulator)


@pytest.fixture
def read_spans():
    return lambda path: list(read(path))


class Scene:
    """Penstock over the simulator; `told` is what it wrote."""

    def __init__(self, simulator, path, runtime):
        self.simulator, self.path, self.runtime = simulator, path, runtime
        self.url = f"{simulator.url}/v1"
        self._before = len(simulator.entries())

    @property
    def served(self):
        return len(self.simulator.entries()) - self._before

    def told(self):
        self.runtime.telemetry.tracing.force_flush()
        self.runtime.shutdown()
        return list(read(self.path))

    def counted(self, metric):
        """Series that are not 0, by labels."""
        families = {family.metric: family.series for family in self.runtime.telemetry.registry.collect()}
        return {labels: value for labels, value in families[metric].items() if value}


@pytest.fixture
def scene(simulator, tmp_path):
    path = tmp_path / "spans.jsonl"
    with penstock.instrument(spans=path, limit="off") as runtime:
        yield Scene(simulator, path, runtime)
        engine = runtime.telemetry.engine
        assert engine.live == 0
