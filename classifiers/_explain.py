"""Why: the walk that led to a verdict."""

from dataclasses import dataclass

from penstock.classifiers import _classify
from penstock.classifiers._facts import Facts
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
    steps = tuple(
        Step(r.id, r.tier.name.lower(), f"{r.error_class}.{r.reason}", holds(r, facts), r.source)
        for r in table.candidates(facts)
    )
    return Explanation(
        _classify.classify(evidence),
        facts.kind.value,
        facts.provider,
        facts.status,
        tuple(s for s in facts.signals if s in table.signals),
        steps,
    )
