"""A rule table with an index: from what the evidence shows to the few rules worth trying."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from penstock.classifiers._facts import STATUS_WORDS, Facts
from penstock.classifiers._parties import TOOL_SIGNALS
from penstock.classifiers._plain import Vocabulary
from penstock.classifiers._rule import Rule, Tier, signal_key, stands_out
from penstock.classifiers.evidence import SpanKind
from penstock.classifiers.taxonomy import ErrorClass

_REFUSED: Final = frozenset({0, 200, 400, 401, 402, 403, 412, 422, 429, 500, 503})
_BROKEN: Final = frozenset({0, 200, 500, 501, 502, 503, 520, 521, 523})
# Statuses that a text may be believed with: a page about overload behind a 404 is a 404.
_COMPATIBLE: Final[dict[ErrorClass, frozenset[int]]] = {
    ErrorClass.RATE_LIMIT: frozenset({0, 200, 400, 403, 429, 500, 502, 503, 529}),
    ErrorClass.QUOTA: _REFUSED,
    ErrorClass.OVERLOADED: frozenset({0, 200, 408, 424, 429, 498, 500, 502, 503, 529}),
    ErrorClass.TIMEOUT: frozenset({0, 200, 408, 499, 500, 502, 503, 504, 522, 524}),
    ErrorClass.NETWORK: _BROKEN,
    ErrorClass.SERVER_ERROR: _BROKEN,
    ErrorClass.AUTH: frozenset({0, 200, 400, 401, 403, 407, 500}),
    ErrorClass.INVALID_REQUEST: frozenset({0, 200, 400, 404, 405, 409, 413, 415, 422, 500, 501}),
    ErrorClass.CONTEXT_LENGTH: frozenset({0, 200, 400, 413, 422, 424, 500}),
    ErrorClass.CONTENT_FILTER: frozenset({0, 200, 400, 403, 422, 424, 451, 500}),
    ErrorClass.MODEL: frozenset({0, 200, 400, 422, 500}),
    ErrorClass.CANCELLED: frozenset({0, 200, 499, 500}),
}


class RuleTable:
    """Rules in order of precedence, found by signal, word, status or finish."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(sorted(rules, key=lambda r: r.tier))
        self._index: dict[str, list[int]] = defaultdict(list)
        self._always: list[int] = []
        self._wide: list[int] = []
        for position, rule in enumerate(self.rules):
            self._file(position, rule)
        self.signals = frozenset(signal_key(s) for rule in self.rules for s in rule.signals)
        distinct = {
            signal_key(s) for rule in self.rules for s in rule.signals if stands_out(s)
        } | TOOL_SIGNALS
        words = {word for rule in self.rules for word in rule.words} | STATUS_WORDS | distinct
        self.vocabulary = Vocabulary(frozenset(words), frozenset(distinct))

    def _file(self, position: int, rule: Rule) -> None:
        """Index a rule under the one condition that is rarest."""
        if rule.signals:
            keys = [f"s{signal_key(signal)}" for signal in rule.signals]
        elif rule.finishes:
            keys = [f"f{finish}" for finish in rule.finishes]
        elif rule.words:
            keys = [f"w{word}" for word in rule.words]
        elif rule.substrings:
            self._wide.append(position)
            return
        elif rule.statuses and rule.tier in (Tier.SIGNAL, Tier.STATUS, Tier.OWNER):
            keys = [f"h{status}" for status in rule.statuses]
        else:
            self._always.append(position)
            return
        for key in keys:
            self._index[key].append(position)

    def candidates(self, facts: Facts) -> list[Rule]:
        """List the rules worth trying, best first."""
        index = self._index
        found = set(self._always)
        for signal in facts.signals:
            found.update(index.get(f"s{signal}", ()))
        for word in facts.plain.words:
            found.update(index.get(f"w{word}", ()))
        if facts.status is not None:
            found.update(index.get(f"h{facts.status}", ()))
        if facts.finish is not None:
            found.update(index.get(f"f{facts.finish}", ()))
        if facts.plain.wide:
            found.update(self._wide)
        return [self.rules[position] for position in sorted(found)]


def holds(rule: Rule, facts: Facts) -> bool:
    """Test a rule's conditions, cheapest first."""
    return _who(rule, facts) and _status_fits(rule, facts) and _said(rule, facts)


def _who(rule: Rule, facts: Facts) -> bool:
    if facts.kind is SpanKind.TOOL:
        if SpanKind.TOOL not in rule.spans:
            return False
    elif rule.spans and facts.kind not in rule.spans:
        return False
    return not rule.providers or facts.provider in rule.providers


def _status_fits(rule: Rule, facts: Facts) -> bool:
    allowed = rule.statuses
    if not allowed:
        if rule.tier is not Tier.TEXT:
            return True
        allowed = _COMPATIBLE.get(rule.error_class, frozenset())
    return (facts.status or 0) in allowed


def _said(rule: Rule, facts: Facts) -> bool:
    if rule.signals and rule.keys.isdisjoint(facts.signals):
        return False
    if rule.finishes and facts.finish not in rule.finishes:
        return False
    if rule.headers and rule.headers.isdisjoint(facts.headers):
        return False
    if rule.pattern is not None and not rule.pattern.search(facts.plain.text):
        return False
    if rule.substrings and not any(part in facts.plain.raw for part in rule.substrings):
        return False
    return rule.exclusion is None or not rule.exclusion.search(facts.plain.text)
