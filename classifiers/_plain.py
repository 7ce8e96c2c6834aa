"""A message's plain form: lower case, punctuation gone, words one space apart, stack frames dropped.

Punctuation, quoting and JSON escapes differ between the same error's many prints; words do not. One
table-driven pass over bytes keeps 2 kB at a few microseconds.
"""

import re
from collections.abc import Set
from typing import Final, NamedTuple

_RAW_PART: Final = 8192
_PLAIN_PART: Final = 2048
_TABLE: Final = bytes(
    ord(chr(b).lower()) if chr(b).isalnum() or b == ord("_") or b > 127 else ord(" ") for b in range(256)
)
_DELETED: Final = b"'"
_FRAMES: Final = re.compile(
    r"^[ \t|+]*(?:File \"[^\"\n]{0,300}\", line \d+.*(?:\n[ \t|]{4,}.*){0,2}|[-> ]*at .*|\^+)$\n?",
    re.MULTILINE,
)
# Google names windows GenerateRequestsPerDayPerProjectPerModel.
_WINDOW_NAME: Final = re.compile(r"\w*Per(?:Minute|Day|Hour)\w*")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
# "Limit 7000, Used 0, Requested ~12903": patterns cannot compare numbers, so it is said in words.
_ASKED: Final = re.compile(r"Limit ([1-9]\d{0,14}), (?:Used \d+, )?Requested ~?(\d{1,15})\b")
_ASKED_TOO_MUCH: Final = " requested exceeds limit"
# A response's headers, printed into a message, speak of limits that were not hit.
_HEADER: Final = re.compile(r"\b[\w-]{1,20}-ratelimit-[\w-]{1,60}")
_WIDE: Final = re.compile("[\u2018\u2019]")
_WIDE_BREAKS: Final = re.compile(r"[^\w\x00-\x7f]+")


class Plain(NamedTuple):
    """`text` to match patterns on (a space on either side), those of its `words` that somebody asks for,
    `raw` clipped (for hints that bear numbers), `wide` when it holds letters beyond ASCII.
    """

    text: str
    words: Set[str]
    raw: str
    wide: bool


EMPTY: Final = Plain("", frozenset(), "", False)


def plain(message: str, vocabulary: frozenset[str]) -> Plain:
    """Reduce a message of any length; head and tail stand for a long one. Words outside `vocabulary` are
    in the text only.
    """
    raw = message
    if len(raw) > 2 * _RAW_PART:
        raw = f"{raw[:_RAW_PART]}\n{raw[-_RAW_PART:]}"
    if "\n" in raw and ('File "' in raw or "\n    at " in raw or "^^" in raw):
        raw = _FRAMES.sub("", raw)
    if len(raw) > 2 * _PLAIN_PART:
        raw = f"{raw[:_PLAIN_PART]}\n{raw[-_PLAIN_PART:]}"
    cooked = raw.replace("\\n", " ").replace("\\", "") if "\\" in raw else raw
    if "PerMinute" in cooked or "PerDay" in cooked:
        cooked = _WINDOW_NAME.sub(lambda match: _HUMP.sub(" ", match[0]), cooked)
    if "ratelimit-" in cooked:
        cooked = _HEADER.sub(" ", cooked)
    if "Requested" in cooked and (asked := _ASKED.search(cooked)) and int(asked[2]) > int(asked[1]):
        cooked += _ASKED_TOO_MUCH
    wide = not cooked.isascii()
    if wide:
        cooked = _WIDE_BREAKS.sub(" ", _WIDE.sub("", cooked))
        wide = not cooked.isascii()
    spoken = cooked.encode("utf-8", "replace").translate(_TABLE, _DELETED).decode("utf-8", "replace").split()
    return Plain(f" {' '.join(spoken)} ", vocabulary.intersection(spoken), raw, wide)
