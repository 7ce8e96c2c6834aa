"""Which layer failed, decided on evidence: `Evidence` in, `Verdict` out."""

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
    "TAXONOMY_VERSION",
    "ClassFacts",
    "ErrorClass",
    "Evidence",
    "Fault",
    "Group",
    "Layer",
    "SideEffects",
    "SpanKind",
    "Verdict",
]
