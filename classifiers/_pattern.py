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

_GAP: Final = r"(?:\S+ ){0,5}?"
_PLAIN: Final = re.compile(r"[a-z0-9_ ]+")
_OPTIONAL: Final = ("?", "*", "{0")
_SHORTEST: Final = 3
_REACH: Final = 160
_SHORT_TEXT: Final = 400
_WHOLE_WORD: Final = re.compile(r"(?<= )[a-z0-9_]+(?= )")
# What whole words may be left out between two others: gaps, `(the |a )?`, `(\S+ ){0,3}?`.
_LEFT_OUT: Final = re.compile(r"(?<= )(?:~|\((?:\?:)?(?:[^()|]* \|)*[^()|]* \)(?:[?*]|\{0,\d+\})\??)+")
_START: Final = re.compile(r"(?<![\[\\])\^")
_END: Final = re.compile(r"(?<!\\)\$")
_LAST_LETTER: Final = re.compile(r"(?<![\\a-z0-9_])([a-z0-9_]+)([a-z0-9_])\?")

Needs = tuple[tuple[str, ...], ...]


class Pattern:
    """Alternatives, each looked for only where a word it needs was said, around the rarest letters."""

    __slots__ = ("_always", "_by_word", "_words")

    def __init__(self, text: str) -> None:
        by_word: dict[str, list[_Alternative]] = {}
        always = []
        for part in split(text):
            alternative = _Alternative(part)
            for word in alternative.words[0] if alternative.words else ():
                by_word.setdefault(word, []).append(alternative)
            if not alternative.words:
                always.append(alternative)
        self._always = tuple(always)
        self._by_word = by_word
        self._words = frozenset(by_word)

    def search(self, text: str, words: Set[str]) -> bool:
        """Tell whether any alternative is in `text`, a plain form whose words are `words`."""
        for alternative in self._always:
            if alternative.search(text, words):
                return True
        if self._words.isdisjoint(words):
            return False
        for word in self._words & words:
            for alternative in self._by_word[word]:
                if alternative.search(text, words):
                    return True
        return False


class _Alternative:
    __slots__ = ("_anchors", "_needs", "_regex", "_text", "words")

    def __init__(self, text: str) -> None:
        found = needs(text)
        rarest = max(found, key=_telling, default=())
        self.words = needed_words(text)
        self._text = text
        self._anchors = () if "$" in text or "^" in text else rarest
        self._needs = tuple(part for part in found if part is not rarest)
        self._regex: re.Pattern[str] | None = None

    def search(self, text: str, words: Set[str]) -> bool:
        for needed in self.words:
            if needed.isdisjoint(words):
                return False
        if not self._anchors:
            return self._matches(text)
        if len(text) <= _SHORT_TEXT:
            for anchor in self._anchors:
                if anchor in text:
                    return self._matches(text)
            return False
        if not self._possible(text):
            return False
        for anchor in self._anchors:
            position = text.find(anchor)
            while position >= 0:
                start, end = _around(text, position, position + len(anchor))
                if self._matches(text[start:end]):
                    return True
                position = text.find(anchor, max(position + 1, end - _REACH))
        return False

    def _possible(self, window: str) -> bool:
        for need in self._needs:
            for letters in need:
                if letters in window:
                    break
            else:
                return False
        return True

    def _matches(self, window: str) -> bool:
        if not self._possible(window):
            return False
        if self._regex is None:
            self._regex = _compiled(self._text)
        return self._regex.search(window) is not None


def _compiled(text: str) -> re.Pattern[str]:
    """Compile one alternative. Unlike a word boundary, a space in front is a prefix the engine skips to."""
    text = _END.sub("(?= $)", _START.sub("(?<=^ )", text.replace("~", _GAP)))
    return re.compile(f" (?:{text})(?= )")


def _around(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a span by what gaps and neighbours take, to whole words and the spaces around them."""
    first = text.rfind(" ", 0, start - _REACH) if start > _REACH else 0
    last = text.find(" ", end + _REACH) + 1
    return first, last or len(text)


def split(text: str) -> list[str]:
    """Split a pattern at its outermost `|`."""
    parts, depth, start = [], 0, 0
    for position, char in enumerate(text):
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "|" and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def needed_words(text: str) -> tuple[frozenset[str], ...]:
    """List what whole words one alternative needs: one of each set. The most telling set comes first."""
    found = []
    for part in needs(f" {text} ", whole_words=True):
        words = [max(_WHOLE_WORD.findall(letters), key=len, default="") for letters in part]
        if all(words):
            found.append(frozenset(words))
    return tuple(sorted(found, key=lambda words: -min(map(len, words))))


def needs(text: str, *, whole_words: bool = False) -> Needs:
    """List what one alternative cannot match without: for each mandatory part, letters of which some
    must be there. Empty when nothing can be said. With `whole_words`, words that may stand in between
    are passed over, so that the letters on either side show where words end.
    """
    if whole_words:
        text = _LAST_LETTER.sub(r"(\1|\1\2)", _LEFT_OUT.sub("", text))
    found: list[tuple[str, ...]] = []
    position = 0
    while position < len(text):
        if text[position] == "(":
            end = _closing(text, position)
            inner, after = text[position + 1 : end], text[end + 1 : end + 4]
            if not after.startswith(_OPTIONAL) and not inner.startswith(("?!", "?=", "?<")):
                before = " " if text[position - 1 : position] == " " else ""
                behind = " " if after.startswith(" ") and not after[1:].startswith(_OPTIONAL) else ""
                branches = [f"{before}{branch}{behind}" for branch in split(inner.removeprefix("?:"))]
                found.append(_branches(branches, whole_words=whole_words))
            position = end + 1
        elif text[position] == "[":
            position = text.index("]", position) + 1
        elif text[position] == "\\":
            position += 2
        elif match := _PLAIN.match(text, position):
            letters, position = match[0], match.end()
            if text[position : position + 2].startswith(_OPTIONAL):
                letters = letters[:-1]
            found.append((letters,))
        else:
            position += 1
    return tuple(part for part in found if part and all(len(x.strip()) >= _SHORTEST for x in part))


def _branches(branches: list[str], *, whole_words: bool) -> tuple[str, ...]:
    """Give the most telling letters of each branch; empty when some branch has none."""
    letters: list[str] = []
    for branch in branches:
        best = _rarest(needs(branch, whole_words=whole_words))
        if not best:
            return ()
        letters.extend(best)
    return tuple(letters)


def _telling(part: tuple[str, ...]) -> float:
    """Rate letters to look around for: long ones are rare, and few are found fast."""
    return min(map(len, part)) / len(part)


def _rarest(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Choose the part whose shortest letters are longest; empty when there is none."""
    return max(parts, key=lambda part: min(map(len, part)), default=())


def _closing(text: str, start: int) -> int:
    depth = 0
    for position in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position
    raise ValueError(f"unclosed group in {text!r}")
