"""What LiteLLM makes of the simulator's refusals. It pins openai 2, so it runs in the other environment."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.simulator import Config, Simulator, profile, serve

OPENAI_2 = Path(__file__).parents[2] / ".venv-openai2" / "bin" / "python"
APP = """
import json, os, sys
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
from penstock.classifiers import SpanKind, verdict_of_exception

for model, base in json.loads(sys.argv[1]) * int(sys.argv[2]):
    try:
        ask = [{"role": "user", "content": "hi"}]
        litellm.completion(model, ask, api_key="k", api_base=base, max_retries=0, num_retries=0)
    except Exception as error:
        found = verdict_of_exception(error, span_kind=SpanKind.LLM)
        print(type(error).__name__, found.error_class, found.retryable)
"""
# As LiteLLM names a model, and where it then sends the call.
MODELS = {
    "openai": ("openai/m", "/v1"),
    "anthropic": ("anthropic/claude-m", "/v1/messages"),
    "groq": ("groq/m", ""),
}
WAIT, NEVER, PAY = "rate_limit True", "rate_limit False", "quota False"
KINDS = {
    "requests": (429, {"openai": WAIT, "anthropic": WAIT, "groq": WAIT}),
    "too_large": (429, {"openai": NEVER, "anthropic": WAIT, "groq": NEVER}),
    "exhausted": (429, {"openai": PAY, "anthropic": PAY, "groq": WAIT}),
    "overloaded": (503, dict.fromkeys(MODELS, "overloaded True")),
    "outage": (500, dict.fromkeys(MODELS, "server_error True")),
}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with serve(Config(pools=tuple(profile(name) for name in MODELS))) as running:
        yield running


def test_a_wrapper_hides_nothing(simulator: Simulator) -> None:
    calls = [(model, f"{simulator.url}/{pool}{path}") for pool, (model, path) in MODELS.items()]
    for kind, (status, _) in KINDS.items():
        simulator.script(*[{"status": status, "kind": kind}] * len(MODELS))
    done = subprocess.run(
        [OPENAI_2, "-W", "ignore", "-c", APP, json.dumps(calls), str(len(KINDS))],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    found = [line.partition(" ")[2] for line in done.stdout.splitlines() if line.endswith(("True", "False"))]
    assert found == [told[pool] for _, told in KINDS.values() for pool in MODELS], done.stderr + done.stdout
