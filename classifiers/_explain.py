"""Why: the walk that led to a verdict."""

from dataclasses import dataclass

from penstock.classifiers import _classify
from penstock.classifiers._facts import Facts
from penstock.classifiers._rule import Rule
from penstock.classifiers._table import holds
from penstock.classifiers.evidence import Evidence, Verdict


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that was worth trying. `held`: its conditions were met."""

    rule: str
    tier: str
    verdict: str
    held: bool
    source: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict and how it came about. The first step that held decided; later ones would have."""

    verdict: Verdict
    owner: str
    provider: str
    status: int | None
    signals: tuple[str, ...]
    steps: tuple[Step, ...]


def explain(evidence: Evidence) -> Explanation:
    """Classify and show the walk: what was seen, which rules were tried, which held."""
    table = _classify.active()
    facts = Facts(evidence, table.distinct, table.vocabulary)
    tried: dict[str, tuple[Rule, bool]] = {}
    for slot in table.found(facts):
        rule = slot.rule
        tried[rule.id] = (rule, holds(slot, facts) or tried.get(rule.id, (rule, False))[1])
    steps = tuple(
        Step(rule.id, rule.tier.name.lower(), f"{rule.error_class}.{rule.reason}", held, rule.source)
        for rule, held in tried.values()
    )
    return Explanation(
        _classify.classify(evidence),
        facts.kind.value,
        facts.provider,
        facts.status,
        tuple(s for s in facts.signals if s in table.signals),
        steps,
    )
