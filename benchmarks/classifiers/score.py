"""Score error classification on labelled errors: Penstock beside LiteLLM's mapping and a status rule.

    python -m benchmarks.classifiers.score benchmarks/classifiers/data/errors_dev.jsonl
    python -m benchmarks.classifiers.score FILE --hide-span --misses --confusion

Any JSONL in the schema of `data/` works: inputs (framework, provider, exception_type, status_code,
message, body, headers, span_kind) and labels (label_class, retryable, adversarial, ambiguous).
Ambiguous rows are left out. LiteLLM needs an environment of its own (it pins openai < 3): run this
file with that interpreter and `PYTHONPATH=src`; where it is absent its rows say so.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.classifiers import CLASSES, ErrorClass, classify, evidence_of_row

Row = dict[str, Any]
Answer = tuple[str, bool]
INPUTS = (
    "framework", "provider", "exception_type", "status_code", "message", "body", "headers", "span_kind",
)  # fmt: skip
STATUS = {
    400: "invalid_request", 401: "auth", 402: "quota", 403: "auth", 404: "invalid_request", 408: "timeout",
    413: "invalid_request", 422: "invalid_request", 429: "rate_limit", 499: "cancelled", 503: "overloaded",
    504: "timeout", 524: "timeout", 529: "overloaded",
}  # fmt: skip
LITELLM = {
    "RateLimitError": "rate_limit", "ContextWindowExceededError": "context_length",
    "ContentPolicyViolationError": "content_filter", "AuthenticationError": "auth",
    "PermissionDeniedError": "auth", "NotFoundError": "invalid_request", "BadRequestError": "invalid_request",
    "UnsupportedParamsError": "invalid_request", "UnprocessableEntityError": "invalid_request",
    "Timeout": "timeout", "ServiceUnavailableError": "overloaded", "InternalServerError": "server_error",
    "BadGatewayError": "server_error", "APIError": "server_error", "APIConnectionError": "network",
    "BudgetExceededError": "quota", "JSONSchemaValidationError": "model",
    "APIResponseValidationError": "server_error",
}  # fmt: skip


@dataclass
class Score:
    """What one contestant got right."""

    right: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    hard: int = 0
    hard_right: int = 0
    retry: int = 0
    retry_right: int = 0
    billing_retried: int = 0
    tool_blamed: int = 0
    confident_misses: int = 0
    misses: list[tuple[Row, str]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, row: Row, found: str, retryable: bool) -> None:
        truth = row["label_class"]
        self.true[truth] += 1
        self.given[found] += 1
        self.pairs[truth, found] += 1
        self.right[truth] += found == truth
        self.hard += bool(row.get("adversarial"))
        self.hard_right += bool(row.get("adversarial")) and found == truth
        if row.get("retryable") is not None:
            self.retry += 1
            self.retry_right += retryable == row["retryable"]
        self.billing_retried += truth == "quota" and retryable
        self.tool_blamed += truth == "tool" and found not in {"tool", "model", "cancelled", "unknown"}
        if found != truth:
            self.misses.append((row, found))
            self.confident_misses += found != "unknown"

    def line(self, name: str) -> str:
        rows = sum(self.true.values())
        return (
            f"{name:<22} acc {sum(self.right.values()) / rows:.3f}  macro-F1 {self.macro_f1():.3f}  "
            f"adversarial {self.hard_right / max(1, self.hard):.3f}  "
            f"retryable {self.retry_right / max(1, self.retry):.3f}  "
            f"billing retried {self.billing_retried}  tool blamed on provider {self.tool_blamed}  "
            f"wrong and sure {self.confident_misses}  {self.seconds / rows * 1e6:.0f} us/row"
        )

    def macro_f1(self) -> float:
        return sum(self.f1(name) for name in self.true) / max(1, len(self.true))

    def f1(self, name: str) -> float:
        return 2 * self.right[name] / max(1, self.given[name] + self.true[name])


def penstock(row: Row) -> Answer:
    found = classify(evidence_of_row(row))
    return found.error_class.value, found.retryable


def status_rule(row: Row) -> Answer:
    status = row.get("status_code")
    if not isinstance(status, int):
        return "unknown", True
    found = STATUS.get(status, "server_error" if status >= 500 else "invalid_request")
    return found, CLASSES[ErrorClass(found)].retryable


def status_and_span(row: Row) -> Answer:
    return ("tool", False) if row.get("span_kind") == "tool" else status_rule(row)


def litellm_mapping() -> Callable[[Row], Answer] | None:
    """Drive LiteLLM's exception mapping with exceptions rebuilt from rows; None where it is absent."""
    try:
        import httpx
        import litellm
        from litellm.litellm_core_utils.exception_mapping_utils import exception_type
    except ImportError:
        return None
    litellm.suppress_debug_info = True
    known = {str(getattr(provider, "value", provider)) for provider in litellm.provider_list}
    classes = {name: getattr(httpx, name) for name in ("ReadTimeout", "ConnectError", "RemoteProtocolError")}

    def answer(row: Row) -> Answer:
        name = str(row.get("exception_type") or "Exception").rpartition(".")[2]
        message = str(row.get("message") or row.get("body") or "")
        base = classes.get(name, Exception)
        error = type(name.replace(" ", "_"), (base,), {})(message)
        error.message = message
        if row.get("status_code"):
            error.status_code = row["status_code"]
            request = httpx.Request("POST", "http://127.0.0.1/")
            error.response = httpx.Response(row["status_code"], text=message, request=request)
        provider = row.get("provider") if row.get("provider") in known else "openai"
        try:
            exception_type(model="m", original_exception=error, custom_llm_provider=provider)
        except Exception as mapped:  # noqa: BLE001 - that is how it answers
            found = next(
                (LITELLM[c.__name__] for c in type(mapped).__mro__ if c.__name__ in LITELLM), "unknown"
            )
            return found, CLASSES[ErrorClass(found)].retryable
        return "unknown", True

    return answer


def run(rows: list[Row], contestant: Callable[[Row], Answer], *, hide_span: bool) -> Score:
    score = Score()
    for row in rows:
        given = {key: row[key] for key in INPUTS if row.get(key) is not None}
        if hide_span:
            given.pop("span_kind", None)
        start = time.perf_counter()
        found, retryable = contestant(given)
        score.seconds += time.perf_counter() - start
        score.add(row, found, retryable)
    return score


def show_confusion(score: Score) -> None:
    print("\nclass             rows   F1    taken for")
    for name in sorted(score.true):
        wrong = {found: n for (truth, found), n in sorted(score.pairs.items()) if truth == name != found}
        taken = ", ".join(f"{found} {n}" for found, n in wrong.items()) or "-"
        print(f"{name:<16} {score.true[name]:>5}  {score.f1(name):.2f}   {taken}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--hide-span", action="store_true", help="do not show the span kind")
    parser.add_argument("--misses", action="store_true", help="list what Penstock got wrong")
    parser.add_argument("--confusion", action="store_true", help="show each class")
    args = parser.parse_args()
    lines = args.file.read_text(encoding="utf-8-sig").split("\n")
    rows = [row for row in map(json.loads, filter(str.strip, lines)) if not row.get("ambiguous")]
    print(
        f"{args.file.name}: {len(rows)} unambiguous rows" + (", span kind hidden" if args.hide_span else "")
    )
    ours = run(rows, penstock, hide_span=args.hide_span)
    print(ours.line("penstock"))
    print(run(rows, status_rule, hide_span=args.hide_span).line("status code"))
    print(run(rows, status_and_span, hide_span=args.hide_span).line("status and span kind"))
    mapping = litellm_mapping()
    if mapping is None:
        print("litellm                skipped: not installed")
    else:
        print(run(rows, mapping, hide_span=args.hide_span).line("litellm"))
    if args.confusion:
        show_confusion(ours)
    for row, found in ours.misses if args.misses else ():
        truth = f"{row['label_class']}.{row.get('label_reason')}"
        said = str(row.get("message") or row.get("body") or "")
        print(f"{row.get('id')}: {truth} taken for {found}: {said[:120]!r}")


if __name__ == "__main__":
    main()
