"""Labelled errors, and a short way to ask."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.classifiers import Verdict, classify, evidence_of_row, reset_rules

Row = dict[str, Any]
DATA = Path(__file__).parents[2] / "benchmarks" / "classifiers" / "data"
INPUTS = (
    "framework", "provider", "exception_type", "status_code", "message", "body", "headers", "span_kind",
)  # fmt: skip


@pytest.fixture(scope="session")
def labelled() -> Callable[[str], list[Row]]:
    """Read the unambiguous rows of a labelled file."""

    def read(name: str) -> list[Row]:
        lines = (DATA / f"errors_{name}.jsonl").read_text(encoding="utf-8").splitlines()
        return [row for row in map(json.loads, lines) if not row["ambiguous"]]

    return read


@pytest.fixture(scope="session")
def ask() -> Callable[..., Verdict]:
    """Classify a row's inputs, some of them replaced."""

    def classified(row: Row, **changes: object) -> Verdict:
        given = {key: row.get(key) for key in INPUTS} | changes
        return classify(evidence_of_row(given))

    return classified


@pytest.fixture(autouse=True)
def _built_in_rules() -> Any:
    yield
    reset_rules()
