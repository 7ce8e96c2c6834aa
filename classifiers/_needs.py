"""What a pattern cannot match without: the words and letters of its parts, read off its text."""

import re
from collections.abc import Iterable
from typing import Final

_PLAIN: Final = re.compile(r"[a-z0-9_ ]+")
_LITERAL: Final = re.compile(r"[a-z0-9_]+(?: [a-z0-9_]+)*")
_OPTIONAL: Final = ("?", "*", "{0")
_SHORTEST: Final = 3
_WHOLE_WORD: Final = re.compile(r"(?<= )[a-z0-9_]+(?= )")
# What whole words may be left out between two others: gaps, `(the |a )?`, `(\S+ ){0,3}?`.
_LEFT_OUT: Final = re.compile(r"(?<= )(?:~|\((?:\?:)?(?:[^()|]* \|)*[^()|]* \)(?:[?*]|\{0,\d+\})\??)+")
_LAST_LETTER: Final = re.compile(r"(?<![\\a-z0-9_])([a-z0-9_]+)([a-z0-9_])\?")
_ONE_OF: Final = re.compile(r"(?<![^ (|])([a-z0-9_]+)\[([a-z]+)\]([a-z0-9_]+)(?![^ )|])")
_ENDINGS: Final = re.compile(r"(?:(?<![^ (|])|(?<= \?))([a-z0-9_]+)\(([a-z0-9_|]+)\)(\??)(?![^ )|])")
_AFTER: Final = re.compile(r"\((?:\?:)?(?: [^()|]*\|)* [^()|]*\)\?(?=[ )|]|$)")
_HEAD: Final = re.compile(r"^(?:\((?:\?:)?(?:[^()|]* \|)*[^()|]* \)\?)+")
_TAIL: Final = re.compile(r"(?:\((?:\?:)?(?: [^()|]*\|)* [^()|]*\)\?)+$")
_EDGES: Final = re.compile(r"(?<![\[\\])\^|(?<!\\)\$")
_OPTIONS: Final = r"([a-z0-9_]+|\([a-z0-9_|]+\))"
_JOINED: Final = re.compile(rf"(?<![^ (|]){_OPTIONS} \?{_OPTIONS}(?![^ )|])")
# What most errors say anyway: a look-up of these leaves too much to try.
_COMMON: Final = frozenset({
    "error", "errors", "the", "message", "to", "code", "type", "api", "failed", "please", "request", "for",
    "model", "not", "https", "your", "status", "with", "400", "429", "this", "exceeded", "limit", "response",
    "openai", "call", "again", "details", "tokens", "more", "tool", "of", "is", "in", "and", "was", "from",
})  # fmt: skip
_FREQUENT: Final = frozenset({
    "rate", "quota", "too", "many", "after", "found", "invalid", "timed", "out", "server", "content", "http",
    "last", "none", "check", "has", "been", "are", "have", "that", "you", "current", "json", "connection",
    "requested", "occurred", "prompt", "billing", "context", "maximum", "calling", "mcp", "chat", "messages",
    "per", "requests", "can", "retry", "increase", "traceback", "read", "reached", "operation", "exception",
    "url", "no", "key", "plan", "use", "provider", "models", "information", "output", "input", "length",
    "body", "must", "used", "be", "or", "on", "an", "it", "by", "but", "at", "try", "timeout", "limits",
})  # fmt: skip

Needs = tuple[tuple[str, ...], ...]


def split(text: str) -> list[str]:
    """Split a pattern at its outermost `|`."""
    if "(" not in text and "[" not in text:
        return text.split("|")
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
    if is_literal(text):
        return _telling_first([frozenset({word}) for word in text.split()])
    found = []
    for part in needs(_spelled_out(f" {text} "), whole_words=True):
        if len(part) == 1:
            found += [frozenset({word}) for word in _WHOLE_WORD.findall(part[0])]
            continue
        words = [min(_WHOLE_WORD.findall(letters), key=_said, default="") for letters in part]
        if all(words):
            found.append(frozenset(words))
    return _telling_first(found)


def trimmed(text: str) -> str:
    """Leave out what a search can do without: optional words at either end."""
    return _TAIL.sub("", _HEAD.sub("", text))


def is_literal(text: str) -> bool:
    """Tell whether a pattern is no more than words, a space apart."""
    return _LITERAL.fullmatch(text) is not None


def _telling_first(sets: list[frozenset[str]]) -> tuple[frozenset[str], ...]:
    return tuple(sorted(sets, key=lambda words: (sum(map(_said, words)), sorted(words))))


def _said(word: str) -> float:
    """Rate how often a word is said: the common ones most, the long ones least."""
    return (20.0 if word in _COMMON else 5.0 if word in _FREQUENT else 1.0) + 1.0 / len(word)


def _spelled_out(text: str) -> str:
    """Write `limits?`, `throttl(ed|ing)` and `time ?out` as the whole words they stand for."""
    text = _AFTER.sub("", _EDGES.sub("", _LEFT_OUT.sub("", text)))
    text = _LAST_LETTER.sub(r"(\1|\1\2)", text)
    text = _ONE_OF.sub(lambda match: _group(match[1] + letter + match[3] for letter in match[2]), text)
    text = _ENDINGS.sub(
        lambda match: _group(match[1] + end for end in (*match[2].split("|"), *("",) * len(match[3]))), text
    )
    return _JOINED.sub(
        lambda match: _group(
            first + second for first in match[1].strip("()").split("|")
            for second in ("", *match[2].strip("()").split("|"))
        ),
        text,
    )  # fmt: skip


def _group(words: Iterable[str]) -> str:
    return f"({'|'.join(dict.fromkeys(words))})"


def needs(text: str, *, whole_words: bool = False) -> Needs:
    """List what one alternative cannot match without: for each mandatory part, letters of which some
    must be there. Empty when nothing can be said. With `whole_words`, words that may stand in between
    are passed over, so that the letters on either side show where words end.
    """
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
    shortest = 1 if whole_words else _SHORTEST
    return tuple(part for part in found if part and all(len(x.strip()) >= shortest for x in part))


def _branches(branches: list[str], *, whole_words: bool) -> tuple[str, ...]:
    """Give the most telling letters of each branch; empty when some branch has none."""
    letters: list[str] = []
    for branch in branches:
        if _PLAIN.fullmatch(branch) and len(branch.strip()) >= (1 if whole_words else _SHORTEST):
            letters.append(branch)
            continue
        best = _rarest(needs(branch, whole_words=whole_words))
        if not best:
            return ()
        letters.extend(best)
    return tuple(letters)


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
