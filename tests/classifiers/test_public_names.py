"""What the room offers, and what it does not load."""

import subprocess
import sys

from penstock import classifiers


def test_names_exist_once() -> None:
    assert len(set(classifiers.__all__)) == len(classifiers.__all__)
    assert all(hasattr(classifiers, name) for name in classifiers.__all__)


def test_no_sdk_and_no_client_is_imported() -> None:
    heavy = {"openai", "anthropic", "httpx", "httpx2", "requests", "opentelemetry", "typer", "rich", "duckdb"}
    code = f"import sys, penstock.classifiers; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
