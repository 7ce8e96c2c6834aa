"""Time classification: on codes alone, on a short error, on 2 kB of text, on 10 MB; beside LiteLLM.

    python benchmarks/classifiers/speed.py

CPU time of the fastest of several repeats, in microseconds; nothing is remembered between the calls
unless the line says so.
"""

import time
import timeit
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from score import litellm_mapping  # type: ignore[import-not-found]

from penstock.classifiers import Evidence, SpanKind, classify, evidence_of_response

SHORT = (
    "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4 in organization org-X on tokens "
    "per min (TPM): Limit 10000, Used 9348, Requested 5086. Please try again in 26.604s.', 'type': 'tokens', "
    "'code': 'rate_limit_exceeded'}}"
)
TRACE = '  File "/srv/app/agent.py", line 7, in run\n    answer = client.chat.completions.create(**request)\n'
BODY = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}'
PROSE = "the worker wrote what it saw on the way and went on with the next part of its day "


def microseconds(call: Callable[[], object], number: int) -> float:
    call()
    return min(timeit.repeat(call, number=number, repeat=7, timer=time.process_time)) / number * 1e6


def main() -> None:
    fresh = count()
    llm = SpanKind.LLM
    codes = Evidence(provider="openai", span_kind=llm, status=429, code="insufficient_quota")
    short = Evidence(provider="openai", span_kind=llm, status=429, message=SHORT)
    trace = Evidence(span_kind=llm, message=(TRACE * 20)[: 2000 - len(SHORT)] + "\n" + SHORT)
    prose = Evidence(span_kind=llm, message=(PROSE * 25)[: 2000 - len(SHORT)] + " " + SHORT)
    huge = Evidence(span_kind=llm, message=PROSE * 120_000 + SHORT)
    cases: list[tuple[str, Callable[[], object], int]] = [
        ("a code, met before", lambda: classify(codes), 2000),
        (
            "a code, met for the first time",
            lambda: classify(replace(codes, exception_types=(f"E{next(fresh)}",))),
            500,
        ),
        (
            "a JSON body off the wire, read and classified",
            lambda: classify(evidence_of_response(529, {}, BODY)),
            500,
        ),
        (f"an error of {len(SHORT)} characters", lambda: classify(short), 500),
        ("2 kB: a traceback and the error", lambda: classify(trace), 300),
        ("2 kB: prose and the error", lambda: classify(prose), 300),
        ("10 MB of prose and the error", lambda: classify(huge), 20),
    ]
    for name, call, number in cases:
        print(f"{name:<48} {microseconds(call, number):>9.1f} us")
    mapping = litellm_mapping()
    if mapping is None:
        print(f"{'LiteLLM: the short error':<48} skipped: not installed")
        return
    row = {"provider": "openai", "status_code": 429, "exception_type": "RateLimitError", "message": SHORT}
    print(f"{'LiteLLM: the short error':<48} {microseconds(lambda: mapping(row), 100):>9.1f} us")


if __name__ == "__main__":
    main()
