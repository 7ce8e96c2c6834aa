"""`classify`: evidence in, verdict out."""

from collections.abc import Sequence
from typing import Final

from penstock.classifiers._facts import Facts
from penstock.classifiers._pattern import Pattern
from penstock.classifiers._retry_after import retry_after
from penstock.classifiers._rule import CONFIDENCE, Rule, Tier
from penstock.classifiers._table import RuleTable, holds
from penstock.classifiers.evidence import Evidence, SpanKind, Verdict
from penstock.classifiers.rules import RULES
from penstock.classifiers.taxonomy import CLASSES, ErrorClass, SideEffects

_WAITS: Final = frozenset({
    ErrorClass.RATE_LIMIT, ErrorClass.QUOTA, ErrorClass.OVERLOADED, ErrorClass.TIMEOUT,
    ErrorClass.SERVER_ERROR, ErrorClass.TOOL, ErrorClass.UNKNOWN,
})  # fmt: skip
_SCOPES: Final = (
    ("org", Pattern("organization|organisation|workspace|team")),
    ("project", Pattern("project|\\w*perproject\\w*")),
    ("key", Pattern("api key|trial key|key limit")),
    ("account", Pattern("accounts?|subscription")),
    ("model", Pattern("model|\\w*permodel\\w*")),
)
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
    candidates = table.candidates(facts)
    return _verdict(evidence, facts, decide(facts, candidates), candidates)


def decide(facts: Facts, candidates: Sequence[Rule]) -> Rule | None:
    """Find the rule that decides: the first that holds."""
    for rule in candidates:
        if holds(rule, facts):
            return rule
    return None


def _verdict(evidence: Evidence, facts: Facts, rule: Rule | None, candidates: Sequence[Rule]) -> Verdict:
    """Spell out what a rule means for this evidence."""
    if rule is None:
        return _unknown(evidence)
    error_class = rule.error_class
    detail = _detail(rule, facts, candidates)
    known = CLASSES[error_class]
    effects = detail.side_effects or rule.side_effects or known.side_effects
    if evidence.stream_started and facts.kind is not SpanKind.TOOL:
        effects = SideEffects.CERTAIN
    wait = None
    if error_class in _WAITS:
        wait = retry_after(
            evidence.headers,
            evidence.body,
            facts.plain.raw,
            now_unix=evidence.now_unix,
            words=facts.plain.words,
        )
    limited = error_class in (ErrorClass.RATE_LIMIT, ErrorClass.QUOTA)
    retryable = detail.retryable if detail.retryable is not None else rule.retryable
    return Verdict(
        error_class=error_class,
        reason=detail.reason,
        retryable=known.retryable if retryable is None else retryable,
        fault=detail.fault or rule.fault or known.fault,
        side_effects=effects,
        retry_after=wait,
        limit_dimension=detail.limit_dimension or rule.limit_dimension,
        scope=detail.scope or rule.scope or (_scope(facts) if limited else None),
        evidence=_evidence(rule, facts),
        confidence=_UNSURE if error_class is ErrorClass.UNKNOWN else CONFIDENCE[rule.tier],
    )


def _detail(rule: Rule, facts: Facts, candidates: Sequence[Rule]) -> Rule:
    """Find the reason in the words when the deciding rule only knew the class."""
    if rule.reason != "unspecified":
        return rule
    for other in candidates:
        if other.error_class is rule.error_class and other.reason != "unspecified" and holds(other, facts):
            return other
    return rule


def _scope(facts: Facts) -> str | None:
    said = facts.plain
    if not said.words:
        return None
    return next((scope for scope, pattern in _SCOPES if pattern.search(said.text, said.words)), None)


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
