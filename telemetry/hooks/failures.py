"""The log line of a failed attempt: key=value, with the trace id, never any text of the exchange."""

from opentelemetry.trace import format_trace_id

from penstock.classifiers import ErrorClass
from penstock.telemetry.guard import logger
from penstock.telemetry.records import Attempt


def log_failure(attempt: Attempt) -> None:
    """Write one line at WARNING on logger `penstock`."""
    verdict = attempt.verdict
    if verdict is None or verdict.error_class is ErrorClass.CANCELLED or attempt.ended_ns is None:
        return
    facts: dict[str, object | None] = {
        "provider": attempt.provider,
        "pool": attempt.pool,
        "model": attempt.model,
        "attempt": attempt.number,
        "class": verdict.error_class.value,
        "reason": verdict.reason,
        "status": attempt.status,
        "end": attempt.end,
        "limit": verdict.limit_dimension,
        "retry_after_seconds": verdict.retry_after,
        "retryable": str(verdict.retryable).lower(),
        "queued_seconds": round(attempt.queued_seconds, 3) or None,
        "seconds": round((attempt.ended_ns - attempt.started_ns) / 1e9, 3),
        "request_id": attempt.request_id,
        "trace_id": format_trace_id(attempt.span.get_span_context().trace_id)
        if attempt.span is not None
        else None,
    }
    line = " ".join(f"{key}={_word(value)}" for key, value in facts.items() if value is not None)
    logger.warning("attempt failed %s", line)


def _word(value: object) -> str:
    """Keep a value one word: log lines are split at spaces."""
    return "_".join(str(value).split()) or '""'
