"""`classify`: evidence in, verdict out."""

from typing import Final

from penstock.classifiers._facts import Facts
from penstock.classifiers._retry_after import retry_after
from penstock.classifiers._rule import CONFIDENCE, UNSPECIFIED, Rule, Tier
from penstock.classifiers._table import RuleTable, holds
from penstock.classifiers.evidence import Evidence, SpanKind, Verdict
from penstock.classifiers.rules import RULES
from penstock.classifiers.taxonomy import CLASSES, ErrorClass, SideEffects

_WAITS: Final = frozenset({
    ErrorClass.RATE_LIMIT, ErrorClass.QUOTA, ErrorClass.OVERLOADED, ErrorClass.TIMEOUT,
    ErrorClass.SERVER_ERROR, ErrorClass.TOOL, ErrorClass.UNKNOWN,
})  # fmt: skip
_UNSURE: Final = 0.2
_REMEMBERED: Final = 1024
_MEMORABLE: Final = 8192
# Verdicts by codes and the text's hash: errors come in storms, and this keeps nobody's words.
_memory: dict[tuple[object, ...], Verdict] = {}

# Built when first needed: an app pays nothing for it until something fails.
_table: RuleTable | None = None


def active() -> RuleTable:
    """Give the table in use."""
    return _table or use(RuleTable(RULES))


def use(table: RuleTable) -> RuleTable:
    """Put a table in use."""
    global _table
    _table = table
    _memory.clear()
    return table


def classify(evidence: Evidence) -> Verdict:
    """Decide what failed. Pure; never raises; `unknown` rather than a guess."""
    try:
        if evidence.body is None and not evidence.headers and len(evidence.message or "") <= _MEMORABLE:
            return _remembered(evidence)
        return _classify(evidence)
    except Exception as error:  # noqa: BLE001 - a foreign object inside may do anything
        return _unknown(evidence, f"internal_error={type(error).__name__}")


def _remembered(evidence: Evidence) -> Verdict:
    key = (
        evidence.provider, evidence.span_kind, evidence.status, evidence.code, evidence.type,
        evidence.exception_types, evidence.finish_reason, evidence.stream_started, hash(evidence.message),
    )  # fmt: skip
    try:
        verdict = _memory.get(key)
    except TypeError:  # somebody gave a list where a tuple belongs
        return _classify(evidence)
    if verdict is None:
        if len(_memory) >= _REMEMBERED:
            _memory.clear()
        verdict = _memory[key] = _classify(evidence)
    return verdict


def _classify(evidence: Evidence) -> Verdict:
    table = active()
    facts = Facts(evidence, table.distinct, table.vocabulary)
    for slot in table.found(facts):
        if holds(slot, facts):
            rule = slot.rule
            detail = rule if rule.reason != UNSPECIFIED else table.detail(rule, facts)
            return _verdict(evidence, facts, rule, detail)
    return _unknown(evidence)


def _verdict(evidence: Evidence, facts: Facts, rule: Rule, detail: Rule) -> Verdict:
    """Spell out what a rule, and the one that knows the details, mean for this evidence."""
    error_class = rule.error_class
    known = CLASSES[error_class]
    effects = detail.side_effects or rule.side_effects or known.side_effects
    if evidence.stream_started and facts.kind is not SpanKind.TOOL:
        effects = SideEffects.CERTAIN
    wait = None
    if error_class in _WAITS:
        said = facts.plain
        wait = retry_after(
            evidence.headers, evidence.body, said.raw, now_unix=evidence.now_unix, words=said.words
        )
    retryable = detail.retryable if detail.retryable is not None else rule.retryable
    scope = detail.scope or rule.scope
    if scope is None and (error_class is ErrorClass.RATE_LIMIT or error_class is ErrorClass.QUOTA):
        scope = facts.scope()
    return Verdict(
        error_class,
        detail.reason,
        known.retryable if retryable is None else retryable,
        detail.fault or rule.fault or known.fault,
        effects,
        wait,
        detail.limit_dimension or rule.limit_dimension,
        scope,
        _evidence(rule, facts),
        _UNSURE if error_class is ErrorClass.UNKNOWN else CONFIDENCE[rule.tier],
    )


def _evidence(rule: Rule, facts: Facts) -> tuple[str, ...]:
    """Name what decided: the rule, and the machine word or status it saw. Never message text."""
    seen = [f"rule={rule.id}"]
    if rule.tier is Tier.OWNER:
        seen.append("owner=tool")
    if rule.signals:
        for signal in facts.signals:
            if signal in rule.keys:
                seen.append(f"signal={signal}")
                break
    if facts.finish is not None:
        seen.append(f"finish={facts.finish}")
    if facts.status is not None:
        seen.append(f"status={facts.status}")
    return tuple(seen)


def _unknown(evidence: Evidence, *seen: str) -> Verdict:
    known = CLASSES[ErrorClass.UNKNOWN]
    return Verdict(
        error_class=ErrorClass.UNKNOWN,
        reason="insufficient_evidence",
        retryable=known.retryable,
        fault=known.fault,
        side_effects=SideEffects.CERTAIN if evidence.stream_started else known.side_effects,
        evidence=seen,
        confidence=_UNSURE,
    )
