"""Look for input that breaks the classifier, guided by coverage (needs atheris, which is no dependency).

python -m benchmarks.classifiers.fuzz --seconds 60
"""

import argparse
import json
import sys

try:
    import atheris
except ImportError:
    sys.exit("skipped: not installed (pip install atheris)")

with atheris.instrument_imports(include=["penstock"]):
    from penstock.classifiers import (
        Evidence,
        classify,
        evidence_of_mcp_result,
        evidence_of_response,
        evidence_of_row,
        evidence_of_span,
        redacted_row,
        retry_after,
        row_of_verdict,
        verdict_of_exception,
    )


def sound(evidence: Evidence) -> None:
    verdict = classify(evidence)
    assert not any(seen.startswith("internal_error") for seen in verdict.evidence), verdict.evidence
    json.dumps(row_of_verdict(verdict))


def one_input(data: bytes) -> None:
    feed = atheris.FuzzedDataProvider(data)
    status = feed.ConsumeIntInRange(0, 700)
    text = feed.ConsumeUnicode(400)
    raw = feed.ConsumeBytes(2000)
    sound(Evidence(status=status, message=text, code=text[:30], exception_types=(text[:20],)))
    sound(evidence_of_response(status, {"retry-after": text[:40]}, raw))
    sound(evidence_of_mcp_result(raw))
    sound(evidence_of_span({"error.type": text, "gen_ai.operation.name": text[:12]}, text))
    verdict_of_exception(RuntimeError(text, raw))
    wait = retry_after({"retry-after": text, "date": text}, None, text, now_unix=1.7e9)
    assert wait is None or 0 <= wait <= 31 * 86_400
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError):
        row = {"message": raw.decode("latin-1"), "status_code": status}
    if isinstance(row, dict):
        evidence = evidence_of_row(row)
        sound(evidence)
        json.dumps(redacted_row(evidence), default=str)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="how long to look")
    limit = parser.parse_args().seconds
    atheris.Setup([sys.argv[0], f"-max_total_time={limit}", "-max_len=4096"], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
