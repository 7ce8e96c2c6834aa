"""The rule language for texts: words, groups and gaps, searched fast.

A pattern is a regular expression over a message's plain form, whole words only, where `~` stands for
up to five words. Python's engine tries every alternative at every word, which is slow for patterns of
many meanings. So each alternative knows the letters it cannot do without, and is tried only when they
are in the text: a substring test costs a hundredth of a search.
"""

import re
from functools import cached_property
from typing import Final

_GAP: Final = r"(?:\S+ ){0,5}?"
_PLAIN: Final = re.compile(r"[a-z0-9_ ]+")
_OPTIONAL: Final = ("?", "*", "{0")
_SHORTEST: Final = 3

Needs = tuple[tuple[str, ...], ...]


class Pattern:
    """Alternatives, each with what it needs."""

    __slots__ = ("_alternatives",)

    def __init__(self, text: str) -> None:
        self._alternatives = tuple(_Alternative(part) for part in split(text))

    def search(self, text: str) -> bool:
        """Tell whether any alternative is in `text`."""
        for alternative in self._alternatives:
            for need in alternative.needs:
                for letters in need:
                    if letters in text:
                        break
                else:
                    break
            else:
                if alternative.regex.search(text):
                    return True
        return False


class _Alternative:
    def __init__(self, text: str) -> None:
        self.text = text
        self.needs = needs(text)

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return re.compile(rf"\b(?:{self.text.replace('~', _GAP)})\b")


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
