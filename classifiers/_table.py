"""A rule table with an index: from what the evidence shows to the few rules worth trying."""

from collections.abc import Iterable, Iterator, Set
from typing import Final, NamedTuple

from penstock.classifiers._facts import WORDS_OF_FACTS, Facts
from penstock.classifiers._needs import split
from penstock.classifiers._parties import TOOL_SIGNALS
from penstock.classifiers._pattern import Alternative
from penstock.classifiers._retry_after import ASKING_WORDS
from penstock.classifiers._rule import UNSPECIFIED, Rule, Tier, spellings, stands_out
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
_NOT_TOOLS: Final = frozenset(SpanKind) - {SpanKind.TOOL}


_Spoken = dict[str, list[tuple[int, tuple[frozenset[str], ...]]]]


class Slot(NamedTuple):
    """A rule, or one alternative of its text filed by itself, and what is cheap to ask first."""

    rule: Rule
    statuses: frozenset[int] | None
    alternative: Alternative | None
    more: bool


class _Shelf:
    """Where the slots of one kind of span stand. `before` is what is said that outranks or is as good as a
    machine word, `texts` all else that is said, and `details` that by class; each under a word, with the
    other words it needs.
    """

    __slots__ = ("always", "before", "details", "finishes", "signals", "statuses", "texts", "wide")

    def __init__(self) -> None:
        self.always: list[int] = []
        self.wide: list[int] = []
        self.signals: dict[str, list[int]] = {}
        self.statuses: dict[int | None, list[int]] = {}
        self.finishes: dict[str | None, list[int]] = {}
        self.before: _Spoken = {}
        self.texts: _Spoken = {}
        self.details: dict[ErrorClass, _Spoken] = {name: {} for name in ErrorClass}

    def machine(self, facts: Facts) -> list[int]:
        """List what the machine words call for."""
        found = [*self.always]
        for signal in facts.signals:
            if signal in self.signals:
                found += self.signals[signal]
        if facts.status in self.statuses:
            found += self.statuses[facts.status]
        if facts.finish in self.finishes:
            found += self.finishes[facts.finish]
        if facts.plain.wide:
            found += self.wide
        return sorted(set(found)) if len(found) > 1 else found


class RuleTable:
    """Rules in order of precedence, found by signal, status or finish, or by what their texts need.

    A text is filed by alternatives: each under the words it cannot do without, once for every kind of
    span that it may speak of. One look-up a word leaves the few alternatives worth searching for.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(sorted(rules, key=lambda r: r.tier))
        self._slots: list[Slot] = []
        self._shelves = {kind: _Shelf() for kind in SpanKind}
        for rule in self.rules:
            self._file(rule)
        self._first_text = sum(slot.rule.tier < Tier.TEXT for slot in self._slots)
        self.signals = frozenset(key for rule in self.rules for key in rule.keys)
        self.distinct = TOOL_SIGNALS | {
            key for rule in self.rules for s in rule.signals if stands_out(s) for key in spellings(s)
        }
        self.vocabulary = self._vocabulary()

    def found(self, facts: Facts) -> Iterator[Slot]:
        """Yield what is worth trying, best first. Where machine words decide nobody asks for more, and the
        texts are not looked up.
        """
        slots, shelf, known = self._slots, self._shelves[facts.kind], facts.plain.words
        filed = shelf.machine(facts)
        if known:
            if not shelf.before.keys().isdisjoint(known):
                filed = sorted({*filed, *_said(shelf.before, known)})
            early = [slot for slot in filed if slot < self._first_text]
            for slot in early:
                yield slots[slot]
            filed = sorted({*filed[len(early) :], *_said(shelf.texts, known)})
        for slot in filed:
            yield slots[slot]

    def detail(self, rule: Rule, facts: Facts) -> Rule:
        """Find the reason in what else was said, when the rule that decided only knew the class."""
        shelf, known = self._shelves[facts.kind], facts.plain.words
        said = _said(shelf.before, known) + _said(shelf.details[rule.error_class], known)
        for number in sorted({*shelf.machine(facts), *said}):
            slot = self._slots[number]
            other = slot.rule
            if other.error_class is rule.error_class and other.reason != UNSPECIFIED and holds(slot, facts):
                return other
        return rule

    def _file(self, rule: Rule) -> None:
        """Index a rule under the one condition that is rarest, for the kinds of span it may speak of."""
        shelves = [self._shelves[kind] for kind in rule.spans or _NOT_TOOLS]
        if _by_words(rule):
            for text in split(rule.text):
                self._file_text(rule, text, shelves)
            return
        slot = self._add(rule)
        for shelf in shelves:
            if rule.signals:
                for signal in rule.keys:
                    shelf.signals.setdefault(signal, []).append(slot)
            elif rule.finishes:
                for finish in rule.finishes:
                    shelf.finishes.setdefault(finish, []).append(slot)
            elif rule.substrings:
                (shelf.wide if all(map(_is_wide, rule.substrings)) else shelf.always).append(slot)
            elif rule.statuses and rule.tier in (Tier.SIGNAL, Tier.STATUS, Tier.OWNER):
                for status in rule.statuses:
                    shelf.statuses.setdefault(status, []).append(slot)
            else:
                shelf.always.append(slot)

    def _file_text(self, rule: Rule, text: str, shelves: Iterable[_Shelf]) -> None:
        """Index an alternative under its most telling words, or the rule's own if those are asked for."""
        alternative = Alternative(text) if text else None
        needed = alternative.words if alternative is not None else ()
        if rule.words and not any(words <= rule.words for words in needed):
            needed = (rule.words, *needed)
        slot = self._add(rule, alternative)
        for shelf in shelves:
            if not needed:
                shelf.always.append(slot)
                continue
            texts = (shelf.texts, shelf.details[rule.error_class])
            for spoken in texts if rule.tier >= Tier.TEXT else (shelf.before,):
                for word in needed[0]:
                    spoken.setdefault(word, []).append((slot, needed[1:]))

    def _add(self, rule: Rule, alternative: Alternative | None = None) -> int:
        statuses: frozenset[int] | None = rule.statuses or None
        if statuses is None and rule.tier is Tier.TEXT:
            statuses = _COMPATIBLE.get(rule.error_class, _NO_STATUS)
        asked = (rule.providers, rule.signals, rule.headers, rule.finishes, rule.substrings, rule.unless)
        more = any(asked) or (bool(rule.text) and alternative is None)
        self._slots.append(Slot(rule, statuses, alternative, more))
        return len(self._slots) - 1

    def _vocabulary(self) -> frozenset[str]:
        """List the words that anybody asks for: what else a message says is never looked at again."""
        said = {word for shelf in self._shelves.values() for word in (*shelf.before, *shelf.texts)}
        for slot in self._slots:
            said.update(*(slot.alternative.words if slot.alternative is not None else ()))
        for rule in self.rules:
            for pattern in (None if _by_words(rule) else rule.pattern, rule.exclusion):
                said |= pattern.vocabulary if pattern is not None else frozenset()
        return frozenset(said).union(self.distinct, WORDS_OF_FACTS, ASKING_WORDS)


def _said(spoken: _Spoken, known: Set[str]) -> list[int]:
    """Look the words up: the alternatives that could be said with them."""
    found = []
    for word in known:
        if word in spoken:
            for slot, needed in spoken[word]:
                for words in needed:
                    if words.isdisjoint(known):
                        break
                else:
                    found.append(slot)
    return found


def holds(slot: Slot, facts: Facts) -> bool:
    """Test what a slot asks, cheapest first: which status, what was said, all else."""
    rule, statuses, alternative, more = slot
    return (
        (statuses is None or (facts.status or 0) in statuses)
        and (alternative is None or alternative.search(facts.plain.text, facts.plain.words))
        and (not more or _meets(rule, facts))
    )


def _is_wide(letters: str) -> bool:
    """Tell whether a text that holds these letters counts as wide."""
    return any(letter.isalnum() and not letter.isascii() for letter in letters)


def _holds_any(text: str, parts: Iterable[str]) -> bool:
    return any(part in text for part in parts)


def _by_words(rule: Rule) -> bool:
    return bool(rule.words or rule.text) and not rule.signals and not rule.finishes


def _meets(rule: Rule, facts: Facts) -> bool:
    """Test what only some rules ask."""
    plain = facts.plain
    if rule.providers and facts.provider not in rule.providers:
        return False
    if rule.signals and rule.keys.isdisjoint(facts.signals):
        return False
    pattern = None if _by_words(rule) else rule.pattern
    if pattern is not None and not pattern.search(plain.text, plain.words):
        return False
    if rule.finishes and facts.finish not in rule.finishes:
        return False
    if rule.headers and rule.headers.isdisjoint(facts.headers):
        return False
    if rule.substrings and not _holds_any(plain.raw.lower(), rule.substrings):
        return False
    return rule.exclusion is None or not rule.exclusion.search(plain.text, plain.words)
