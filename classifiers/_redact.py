"""Errors that may leave the house: what nobody could classify, without who, where and which key."""

import re
from collections.abc import Mapping
from typing import Final

from penstock.classifiers._envelope import read
from penstock.classifiers.evidence import Evidence

_MESSAGE: Final = 1000
_SECRETS: Final = (
    (re.compile(r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]{8,}"), "<credential>"),
    (re.compile(r"\b(?:[spr]k|gsk|hf|xai|AIza|A[KS]IA|gh[pousr]|glpat|tvly|nvapi)[-_]?[\w-]{8,}"), "<key>"),
    (
        re.compile(
            r"(?i)\b(?:api[-_ ]?key|token|secret|password|authorization)\b[\"']?\s*[:=]\s*[\"']?[^\s\"',}]+"
        ),
        "<secret>",
    ),
    (re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]+\b"), "<email>"),
    (re.compile(r"\b(?:org|user|proj|acct|req|call|toolu|chatcmpl|msg|resp|ak|file)[-_][\w-]{6,}"), "<id>"),
    (re.compile(r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "<ip>"),
    (re.compile(r"(https?://)[^/\s\"'<>]+[^\s\"'<>]*"), r"\1<url>"),
    (re.compile(r"(?:/(?:home|Users|root|tmp|var|opt)|[A-Z]:\\)[^\s\"',:;)]*"), "<path>"),
    (re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])[A-Za-z0-9_-]{24,}\b"), "<token>"),
    (re.compile(r"([\"'`])(?:(?!\1).){80,}\1"), r"\1<text>\1"),
)  # fmt: skip


def redacted(text: str) -> str:
    """Take keys, addresses, identifiers, paths and long quotations out of a text; keep its words."""
    text = text[:_MESSAGE]
    for pattern, put in _SECRETS:
        text = pattern.sub(put, text)
    return text


def redacted_row(evidence: Evidence) -> dict[str, object]:
    """Write evidence down for the next round of labelling: the schema of `penstock classify`, scrubbed.

    Bodies are reduced to their codes and messages; of headers only the names are kept.
    """
    envelope = read(evidence.body) if isinstance(evidence.body, Mapping | list) else None
    message = evidence.message or (envelope.message if envelope else "")
    return {
        "framework": evidence.framework,
        "provider": evidence.provider,
        "exception_type": evidence.exception_types[0] if evidence.exception_types else None,
        "status_code": evidence.status,
        "message": redacted(message),
        "body": {"codes": [redacted(code) for code in envelope.codes]}
        if envelope and envelope.codes
        else None,
        "headers": dict.fromkeys(evidence.headers, "") or None,
        "span_kind": evidence.span_kind.value,
    }
