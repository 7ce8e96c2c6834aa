"""The rule language for texts: words, groups and gaps, searched fast.

A pattern is a regular expression over a message's plain form (words with a space on either side),
whole words only, where `~` stands for up to five words. Python's engine tries every alternative at
every word, which is slow for patterns of many meanings. So each alternative knows the words it cannot
do without, which are looked up in the set of the message's words, and the letters: in a long text it
is tried only around those.
"""

import re
from collections.abc import Iterable, Set
from typing import Final

from penstock.classifiers._needs import is_literal, needed_words, needs, split, trimmed

_GAP: Final = r"(?:\S+ ){0,5}?"
_REACH: Final = 160
_SHORT_TEXT: Final = 400
_SELDOM: Final = 2
_START: Final = re.compile(r"(?<![\[\\])\^")
_END: Final = re.compile(r"(?<!\\)\$")


class Pattern:
    """Alternatives, each looked for only where the words it needs were said."""

    __slots__ = ("_always", "_by_word", "_words")

    def __init__(self, text: str) -> None:
        by_word: dict[str, list[Alternative]] = {}
        always = []
        for part in split(text):
            alternative = Alternative(part)
            for word in alternative.words[0] if alternative.words else ():
                by_word.setdefault(word, []).append(alternative)
            if not alternative.words:
                always.append(alternative)
        self._always = tuple(always)
        self._by_word = by_word
        self._words = frozenset(by_word)

    @property
    def vocabulary(self) -> frozenset[str]:
        """All words that an alternative asks for."""
        wanted = [words for found in self._by_word.values() for a in found for words in a.words]
        return frozenset().union(*wanted)

    def search(self, text: str, words: Set[str]) -> bool:
        """Tell whether any alternative is in `text`, a plain form; `words` are those of its words that
        the vocabulary holds, or all of them.
        """
        for alternative in self._always:
            if alternative.search(text, words):
                return True
        if self._words.isdisjoint(words):
            return False
        for word in self._words & words:
            for alternative in self._by_word[word]:
                if alternative.possible(words) and alternative.search(text, words):
                    return True
        return False


class Alternative:
    """One way to say it. `words` are sets of which a text must hold one word each, the most telling first."""

    __slots__ = ("_edged", "_letters", "_literal", "_reach", "_regex", "_text", "words")

    def __init__(self, text: str) -> None:
        text = trimmed(text)
        self.words = needed_words(text)
        self._text = text
        self._literal = f" {text} " if is_literal(text) else None
        self._regex: re.Pattern[str] | None = None

    def possible(self, words: Set[str]) -> bool:
        """Tell whether a text of these words can match."""
        return not any(needed.isdisjoint(words) for needed in self.words)

    def search(self, text: str, words: Set[str]) -> bool:
        """Look for it in a text of these words, which is possible."""
        if self._literal is not None:
            return self._literal in text
        regex = self._regex or self._compile()
        for part in self._letters:
            if not any(letters in text for letters in part):
                return False
        if len(text) <= _SHORT_TEXT or self._edged:
            return regex.search(text) is not None
        for anchor in self._anchors(text, words):
            position = text.find(anchor)
            while position >= 0:
                start, end = _around(text, position, position + len(anchor), self._reach)
                if regex.search(text, start, end) is not None:
                    return True
                position = text.find(anchor, max(position + 1, end - self._reach))
        return False

    def _anchors(self, text: str, words: Set[str]) -> Iterable[str]:
        """Choose what to look around in a long text: something a match must hold that was said seldom."""
        if not self.words:
            return max((*self._letters, (" ",)), key=_telling)
        anchors: list[str] = []
        for needed in self.words:
            anchors = [f" {word} " for word in needed & words]
            if sum(map(text.count, anchors)) <= _SELDOM:
                break
        return anchors

    def _compile(self) -> re.Pattern[str]:
        """Make ready when first needed. A space in front, unlike a word boundary, is something to skip to."""
        # The look-up of words has settled what is within one word.
        self._letters = tuple(part for part in needs(self._text) if not self.words or _spans_words(part))
        gaps = any(sign in self._text for sign in "~*+{")
        self._reach = _REACH if gaps else min(_REACH, len(self._text))
        self._edged = "^" in self._text or "$" in self._text
        text = _END.sub("(?= $)", _START.sub("(?<=^ )", self._text.replace("~", _GAP)))
        self._regex = re.compile(f" (?:{text})(?= )")
        return self._regex


def _spans_words(part: tuple[str, ...]) -> bool:
    return any(" " in letters.strip() for letters in part)


def _telling(part: tuple[str, ...]) -> float:
    """Rate letters to look around for: long ones are rare, and few are found fast."""
    return min(map(len, part)) / len(part)


def _around(text: str, start: int, end: int, reach: int) -> tuple[int, int]:
    """Widen a span by what gaps and neighbours take, to whole words and the spaces around them."""
    first = text.rfind(" ", 0, start - reach) if start > reach else 0
    last = text.find(" ", end + reach) + 1
    return max(first, 0), last or len(text)
