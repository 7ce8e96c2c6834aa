"""Rows of JSON: an error as somebody wrote it down, and a verdict to write down."""

from collections.abc import Mapping
from typing import Final

from penstock.classifiers._envelope import decode
from penstock.classifiers.evidence import Evidence, SpanKind, Verdict

_KINDS: Final = {kind.value: kind for kind in SpanKind}


_FIELDS: Final = frozenset({
    "framework", "provider", "exception_type", "status_code", "message", "body", "headers", "span_kind",
})  # fmt: skip


def is_row(value: Mapping[str, object]) -> bool:
    """Tell a row from an error's own JSON, such as `{"error": {…}}`."""
    return not _FIELDS.isdisjoint(value)


def evidence_of_row(row: Mapping[str, object]) -> Evidence:
    """Read a row with any of framework, provider, exception_type, status_code, message, body, headers,
    span_kind. Other fields and odd values are ignored; an object with none of these is an error's body.
    """
    if not is_row(row):
        row = {"body": {key: value for key, value in row.items() if key != "id"} or None}
    name = _text(row.get("exception_type"))
    message = _text(row.get("message"))
    headers = row.get("headers")
    body = row.get("body")
    return Evidence(
        provider=_text(row.get("provider")),
        framework=_text(row.get("framework")),
        span_kind=_KINDS.get((_text(row.get("span_kind")) or "").lower(), SpanKind.UNKNOWN),
        status=_status(row.get("status_code")),
        message=message,
        body=body if body is not None else _decoded(message),
        headers={str(k).lower(): str(v) for k, v in headers.items()} if isinstance(headers, Mapping) else {},
        exception_types=(name.rpartition(".")[2],) if name else (),
    )


def row_of_verdict(verdict: Verdict, row_id: object = None) -> dict[str, object]:
    """Write a verdict down as a flat row; null for what is absent."""
    return {
        "id": row_id,
        "class": verdict.error_class.value,
        "group": verdict.group.value,
        "layer": verdict.layer.value,
        "reason": verdict.reason,
        "retryable": verdict.retryable,
        "retry_after": verdict.retry_after,
        "fault": verdict.fault.value,
        "limit_dimension": verdict.limit_dimension,
        "scope": verdict.scope,
        "side_effects": verdict.side_effects.value,
        "evidence": list(verdict.evidence),
        "confidence": verdict.confidence,
        "taxonomy_version": verdict.taxonomy_version,
    }


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else str(value)


def _decoded(message: str | None) -> object:
    value = decode(message) if message else None
    return None if isinstance(value, str) else value


def _status(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:6])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599 else None
