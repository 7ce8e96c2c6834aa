"""`classify`: evidence in, verdict out."""

from penstock.classifiers._retry_after import retry_after
from penstock.classifiers.evidence import Evidence, SpanKind, Verdict
from penstock.classifiers.taxonomy import CLASSES, ErrorClass

_STATUS = {
    429: ErrorClass.RATE_LIMIT, 402: ErrorClass.QUOTA, 529: ErrorClass.OVERLOADED, 503: ErrorClass.OVERLOADED,
    408: ErrorClass.TIMEOUT, 504: ErrorClass.TIMEOUT, 524: ErrorClass.TIMEOUT, 401: ErrorClass.AUTH,
    403: ErrorClass.AUTH, 400: ErrorClass.INVALID_REQUEST, 404: ErrorClass.INVALID_REQUEST,
    413: ErrorClass.INVALID_REQUEST, 422: ErrorClass.INVALID_REQUEST, 499: ErrorClass.CANCELLED,
}  # fmt: skip
_NAMES = {
    "APITimeoutError": ErrorClass.TIMEOUT, "ReadTimeout": ErrorClass.TIMEOUT,
    "TimeoutError": ErrorClass.TIMEOUT,
    "CancelledError": ErrorClass.CANCELLED, "APIConnectionError": ErrorClass.NETWORK,
    "ConnectionError": ErrorClass.NETWORK, "ConnectError": ErrorClass.NETWORK,
}  # fmt: skip


def classify(evidence: Evidence) -> Verdict:
    """Decide what failed. Pure; never raises; `unknown` rather than a guess."""
    found, decided = ErrorClass.UNKNOWN, "none"
    if evidence.span_kind is SpanKind.TOOL:
        found, decided = ErrorClass.TOOL, "span_kind=tool"
    elif evidence.code == "insufficient_quota":
        found, decided = ErrorClass.QUOTA, "code=insufficient_quota"
    elif evidence.status is not None and evidence.status >= 400:
        found = _STATUS.get(
            evidence.status, ErrorClass.SERVER_ERROR if evidence.status >= 500 else ErrorClass.INVALID_REQUEST
        )
        decided = f"status={evidence.status}"
    else:
        for name in evidence.exception_types:
            if name in _NAMES:
                found, decided = _NAMES[name], f"exception={name}"
                break
    facts = CLASSES[found]
    return Verdict(
        error_class=found,
        reason="unspecified",
        retryable=facts.retryable,
        fault=facts.fault,
        side_effects=facts.side_effects,
        retry_after=retry_after(evidence.headers, evidence.body, evidence.message, now_unix=evidence.now_unix)
        if facts.retryable
        else None,
        evidence=(decided,),
    )
