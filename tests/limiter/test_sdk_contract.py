"""What an app sees of the limiter, for every SDK of the telemetry matrix: real clients, real HTTP."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPENAI_2 = ROOT / ".venv-openai2" / "bin" / "python"

OPENAI = {"openai", "openai responses", "openai embeddings"}
BEDROCK = {"boto3 bedrock", "boto3 invoke"}
SDKS = {
    sys.executable: OPENAI | BEDROCK | {
        "anthropic", "groq", "google-genai", "mistralai", "cohere", "ollama", "aiobotocore", "langchain",
        "pydantic-ai", "openai-agents",
    },
    str(OPENAI_2): {"openai", "litellm", "llama-index"},
}  # fmt: skip
NAMES_IT_SO = OPENAI | {"anthropic", "groq", "openai-agents", "litellm", "llama-index"}


@pytest.mark.parametrize("python", SDKS, ids=["openai 3", "openai 2"])
def test_every_sdk_raises_its_own_error_keeps_its_timeout_and_does_not_see_an_observer(python):
    only = [] if python == sys.executable else [f"--sdk={name}" for name in SDKS[python]]
    done = subprocess.run(
        [python, "-m", "benchmarks.sdk_matrix.limited", "--json", *only],
        cwd=ROOT, capture_output=True, text=True, timeout=170, check=False,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )  # fmt: skip
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert {row["sdk"] for row in result["cells"]} == SDKS[python]
    assert [row for row in result["cells"] if row["wrong"]] == []
    assert result["hook_errors"] == {}
    refusals = {row["sdk"]: row["raised"] for row in result["cells"] if row["cell"] != "observed"}
    assert {refusals[sdk] for sdk in NAMES_IT_SO & SDKS[python]} == {"RateLimitError"}
