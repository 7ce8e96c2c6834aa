"""Which layer failed, decided on evidence: `Evidence` in, `Verdict` out."""

from penstock.classifiers._classify import classify
from penstock.classifiers._explain import Explanation, Step, explain
from penstock.classifiers._from_exceptions import evidence_of_exception, verdict_of_exception
from penstock.classifiers._from_responses import (
    evidence_of_finish,
    evidence_of_mcp_result,
    evidence_of_response,
    evidence_of_stream_error,
)
from penstock.classifiers._from_spans import SPAN_KEYS, evidence_of_span, kind_of_span
from penstock.classifiers._redact import redacted, redacted_row
from penstock.classifiers._retry_after import retry_after
from penstock.classifiers._rows import evidence_of_row, is_row, row_of_verdict
from penstock.classifiers._rule import Rule, Tier, rule
from penstock.classifiers._user_rules import load_rules, register_entry_points, register_rules, reset_rules
from penstock.classifiers.evidence import Evidence, SpanKind, Verdict
from penstock.classifiers.taxonomy import (
    CLASSES,
    TAXONOMY_VERSION,
    ClassFacts,
    ErrorClass,
    Fault,
    Group,
    Layer,
    SideEffects,
)

__all__ = [
    "CLASSES",
    "SPAN_KEYS",
    "TAXONOMY_VERSION",
    "ClassFacts",
    "ErrorClass",
    "Evidence",
    "Explanation",
    "Fault",
    "Group",
    "Layer",
    "Rule",
    "SideEffects",
    "SpanKind",
    "Step",
    "Tier",
    "Verdict",
    "classify",
    "evidence_of_exception",
    "evidence_of_finish",
    "evidence_of_mcp_result",
    "evidence_of_response",
    "evidence_of_row",
    "evidence_of_span",
    "evidence_of_stream_error",
    "explain",
    "is_row",
    "kind_of_span",
    "load_rules",
    "redacted",
    "redacted_row",
    "register_entry_points",
    "register_rules",
    "reset_rules",
    "retry_after",
    "row_of_verdict",
    "rule",
    "verdict_of_exception",
]
