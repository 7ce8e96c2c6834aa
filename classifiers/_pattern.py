"""The rule language for texts: words, groups and gaps, searched fast.

A pattern is a regular expression over a message's plain form, whole words only, where `~` stands for
up to five words. Python's engine tries every alternative at every word, which is slow for patterns of
many meanings. So each alternative knows the letters it cannot do without, and is tried only where they
stand close together: a substring test costs a hundredth of a search.
"""

import re
from typing import Final

_GAP: Final = r"(?:\S+ ){0,5}?"
_PLAIN: Final = re.compile(r"[a-z0-9_ ]+")
_OPTIONAL: Final = ("?", "*", "{0")
_SHORTEST: Final = 3
_REACH: Final = 100

Needs = tuple[tuple[str, ...], ...]


class Pattern:
    """Alternatives, each looked for only around the rarest letters it needs."""

    __slots__ = ("_alternatives",)

    def __init__(self, text: str) -> None:
        self._alternatives = tuple(_Alternative(part) for part in split(text))

    def search(self, text: str) -> bool:
        """Tell whether any alternative is in `text`."""
        return any(alternative.search(text) for alternative in self._alternatives)


class _Alternative:
    __slots__ = ("_anchors", "_needs", "_regex", "_text")

    def __init__(self, text: str) -> None:
        found = needs(text)
        rarest = max(found, key=lambda part: min(map(len, part)), default=())
        self._text = text
        self._anchors = () if "$" in text or "^" in text else rarest
        self._needs = tuple(part for part in found if part is not rarest)
        self._regex: re.Pattern[str] | None = None

    def search(self, text: str) -> bool:
        if not self._anchors:
            return self._matches(text)
        for anchor in self._anchors:
            position = text.find(anchor)
            while position >= 0:
                start, end = _around(text, position, position + len(anchor))
                if self._matches(text[start:end]):
                    return True
                position = text.find(anchor, max(position + 1, end - _REACH))
        return False

    def _matches(self, window: str) -> bool:
        for need in self._needs:
            for letters in need:
                if letters in window:
                    break
            else:
                return False
        if self._regex is None:
            self._regex = re.compile(rf"\b(?:{self._text.replace('~', _GAP)})\b")
        return self._regex.search(window) is not None


def _around(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a span by what gaps and neighbours take, to whole words."""
    first = text.rfind(" ", 0, start - _REACH) + 1 if start > _REACH else 0
    last = text.find(" ", end + _REACH)
    return first, last if last >= 0 else len(text)


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


def needs(text: str) -> Needs:
    """List what one alternative cannot match without: for each mandatory part, letters of which some
    must be there. Empty when nothing can be said.
    """
    found: list[tuple[str, ...]] = []
    position = 0
    while position < len(text):
        if text[position] == "(":
            end = _closing(text, position)
            inner, after = text[position + 1 : end], text[end + 1 : end + 3]
            if not after.startswith(_OPTIONAL) and not inner.startswith(("?!", "?=", "?<")):
                found.append(_branches(inner.removeprefix("?:")))
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
    return tuple(part for part in found if part and all(len(letters) >= _SHORTEST for letters in part))


def _branches(inner: str) -> tuple[str, ...]:
    """Give the most telling letters of each branch; empty when some branch has none."""
    letters: list[str] = []
    for branch in split(inner):
        best = max(needs(branch), key=lambda part: min(map(len, part)), default=())
        if not best:
            return ()
        letters.extend(best)
    return tuple(letters)


def _closing(text: str, start: int) -> int:
    depth = 0
    for position in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position
    raise ValueError(f"unclosed group in {text!r}")
