"""A rule table with an index: from what the evidence shows to the few rules worth trying."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from penstock.classifiers._facts import STATUS_WORDS, Facts
from penstock.classifiers._parties import TOOL_SIGNALS
from penstock.classifiers._rule import Rule, Tier, spellings, stands_out
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
_NO_STATUS: Final = frozenset({-1})


_Index = dict[str, tuple[int, ...]]


class RuleTable:
    """Rules in order of precedence, found by signal, word, status or finish."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(sorted(rules, key=lambda r: r.tier))
        self._by_signal: _Index = defaultdict(tuple)
        self._by_finish: _Index = defaultdict(tuple)
        self._by_word: _Index = defaultdict(tuple)
        self._by_status: dict[int, tuple[int, ...]] = defaultdict(tuple)
        self._always: list[int] = []
        self._wide: list[int] = []
        for position, rule in enumerate(self.rules):
            self._file(position, rule)
        self.signals = frozenset(self._by_signal)
        self.distinct = TOOL_SIGNALS | {
            key for rule in self.rules for s in rule.signals if stands_out(s) for key in spellings(s)
        }
        self._words = frozenset(self._by_word)
        self.vocabulary = self._words | self.distinct | STATUS_WORDS

    def _file(self, position: int, rule: Rule) -> None:
        """Index a rule under the one condition that is rarest."""
        here = (position,)
        if rule.signals:
            for signal in rule.keys:
                self._by_signal[signal] += here
        elif rule.finishes:
            for finish in rule.finishes:
                self._by_finish[finish] += here
        elif rule.words:
            for word in rule.words:
                self._by_word[word] += here
        elif rule.substrings:
            self._wide.append(position)
        elif rule.statuses and rule.tier in (Tier.SIGNAL, Tier.STATUS, Tier.OWNER):
            for status in rule.statuses:
                self._by_status[status] += here
        else:
            self._always.append(position)

    def candidates(self, facts: Facts) -> list[Rule]:
        """List the rules worth trying, best first."""
        found = set(self._always)
        for signal in self.signals.intersection(facts.signals):
            found.update(self._by_signal[signal])
        if facts.known:
            for word in self._words & facts.known:
                found.update(self._by_word[word])
        if facts.status in self._by_status:
            found.update(self._by_status[facts.status])
        if facts.finish in self._by_finish:
            found.update(self._by_finish[facts.finish])
        if facts.plain.wide:
            found.update(self._wide)
        return [self.rules[position] for position in sorted(found)]


def holds(rule: Rule, facts: Facts) -> bool:
    """Test a rule's conditions, cheapest first: whose failure, which status, what was said."""
    if rule.providers and facts.provider not in rule.providers:
        return False
    # A tool's failure is for the rules about tools; the others say so where it matters to them.
    if (rule.spans or facts.kind is SpanKind.TOOL) and facts.kind not in rule.spans:
        return False
    allowed = rule.statuses
    if not allowed and rule.tier is Tier.TEXT:
        allowed = _COMPATIBLE.get(rule.error_class, _NO_STATUS)
    if allowed and (facts.status or 0) not in allowed:
        return False
    return _said(rule, facts)


def _said(rule: Rule, facts: Facts) -> bool:
    if rule.signals and rule.keys.isdisjoint(facts.signals):
        return False
    pattern, plain = rule.pattern, facts.plain
    if pattern is not None and not pattern.search(plain.text, plain.words):
        return False
    if rule.finishes and facts.finish not in rule.finishes:
        return False
    if rule.headers and rule.headers.isdisjoint(facts.headers):
        return False
    if rule.substrings and not any(part in plain.raw for part in rule.substrings):
        return False
    return rule.exclusion is None or not rule.exclusion.search(plain.text, plain.words)
