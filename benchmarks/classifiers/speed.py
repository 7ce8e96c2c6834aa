"""Time classification in CPU time: real errors first seen, codes alone, long texts; beside LiteLLM's mapping.

    python -m benchmarks.classifiers.speed

Of each case the fastest of several repeats counts, in microseconds. Nothing is remembered between the
calls unless the line says so: evidence with a body never is. `control` is fixed work in plain Python, to
compare machines by. For LiteLLM run it with an environment that has it, and `PYTHONPATH=src:.`.
"""

import json
import time
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from benchmarks.classifiers.score import INPUTS, Row, litellm_mapping
from penstock.classifiers import Evidence, SpanKind, classify, evidence_of_response, evidence_of_row

DATA: Final = Path(__file__).parent / "data"
SHORT: Final = (
    "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4 in organization org-X on tokens "
    "per min (TPM): Limit 10000, Used 9348, Requested 5086. Please try again in 26.604s.', 'type': 'tokens', "
    "'code': 'rate_limit_exceeded'}}"
)
TRACE: Final = (
    '  File "/srv/app/agent.py", line 7, in run\n    answer = client.chat.completions.create(**request)\n'
)
BODY: Final = (
    b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}'
)
PROSE: Final = "the worker wrote what it saw on the way and went on with the next part of its day "
EMPTY: Final[dict[str, object]] = {}
"""A body that says nothing, and keeps evidence from being remembered."""


def microseconds(call: Callable[[], object], number: int = 20) -> float:
    call()
    return min(timeit.repeat(call, number=number, repeat=7, timer=time.process_time)) / number * 1e6


def show(name: str, times: list[float]) -> None:
    tail = f"   90 % within {quantiles(times, n=10)[8]:.1f}" if len(times) > 1 else ""
    print(f"{name:<52} {median(times):>9.1f} us{tail}")


def control() -> object:
    return sorted(dict.fromkeys(map(str, range(60))))


def rows() -> list[Row]:
    lines = (line for file in sorted(DATA.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines())
    return [{key: row.get(key) for key in INPUTS} for row in map(json.loads, lines)]


def timed(evidence: Evidence, number: int = 20) -> float:
    return microseconds(lambda: classify(evidence), number)


def main() -> None:
    llm = SpanKind.LLM
    real = rows()
    texts = [evidence_of_row(row) for row in real]
    codes = [replace(e, message=None, body=None, headers={}) for e in texts]
    trace = (TRACE * 20)[: 2000 - len(SHORT)] + "\n" + SHORT
    prose = (PROSE * 25)[: 2000 - len(SHORT)] + " " + SHORT
    show("control", [microseconds(control, 200)])
    show(
        f"{len(codes)} real errors, codes alone: first seen",
        [timed(replace(e, body=EMPTY)) for e in codes],
    )
    show(f"{len(codes)} real errors, codes alone: seen before", [timed(e, 200) for e in codes])
    show(
        f"{len(texts)} real errors, text and all: first seen",
        [timed(replace(e, body=e.body or EMPTY)) for e in texts],
    )
    show(f"{len(texts)} real errors, text and all: seen before", [timed(e, 200) for e in texts])
    show("a JSON body off the wire, read and classified", [
        microseconds(lambda: classify(evidence_of_response(529, {}, BODY)), 200)
    ])  # fmt: skip
    show(
        f"an error of {len(SHORT)} characters",
        [timed(Evidence(span_kind=llm, status=429, message=SHORT, body=EMPTY), 200)],
    )
    show("2 kB: a traceback and the error", [timed(Evidence(span_kind=llm, message=trace, body=EMPTY), 100)])
    show("2 kB: prose and the error", [timed(Evidence(span_kind=llm, message=prose, body=EMPTY), 100)])
    show("10 MB of prose and the error", [timed(Evidence(span_kind=llm, message=PROSE * 120_000 + SHORT))])
    mapping = litellm_mapping()
    if mapping is None:
        print("LiteLLM: skipped, not installed")
        return
    show("LiteLLM: the same real errors", [microseconds(lambda row=row: mapping(row), 5) for row in real])  # type: ignore[misc]


if __name__ == "__main__":
    main()
