"""Evidence, made ready to be matched: what was said, by whom, in which words."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from penstock.classifiers import _envelope
from penstock.classifiers._parties import (
    MODEL_WORDS,
    TOOL_NAMES,
    TOOL_SERVICES,
    TOOL_SIGNALS,
    TOOL_WORDS,
    provider_name,
)
from penstock.classifiers._plain import EMPTY, Plain, plain
from penstock.classifiers._rule import signal_key
from penstock.classifiers.evidence import Evidence, SpanKind

# A code in text that prints JSON, however often it was quoted: 'code': 'x', \"type\":\"x\", status=x.
_PAIR_KEYS: Final = ("code", "type", "tatus", "eason")
_PAIR: Final = re.compile(
    r"(?:code|type|tatus|eason)[\\\"']{0,6}\s?[:=]\s?[\\\"']{0,6}([A-Za-z0-9_.\-]{2,60})"
)
_JSON_RPC: Final = re.compile(r"-(32[0-7]\d\d)\b")
_STATUS: Final = re.compile(
    r"\b(?:codes?|status|status_code|statuscode|http|http 1 1|http 2|apierror|returned|responded with|"
    r"failed with|response|rejected|received|\w{0,80}exception|\w{0,80}errors?|upstream|"
    r"api request failed|\S+ api)"
    r"(?: error| status| code| status code| a)?(?: of)? ([45]\d\d)\b"
    r"|\b([45]\d\d) (?:too many|unauthorized|bad gateway|bad request|internal|service|forbidden|not found|"
    r"payment|gateway|resource_exhausted|unavailable|invalid_argument|permission_denied|client error|"
    r"server error|resource|type error|status code)\b"
)
_EXPLICIT_STATUS: Final = re.compile(
    r"\b(?:status code|error code|statuscode|status_code|http)(?: of)? (4\d\d|5\d\d)\b"
)
STATUS_WORDS: Final = frozenset(
    str(number) for number in (*range(400, 432), 451, 498, 499, *range(500, 512), *range(520, 531), 529, 598)
)
# Whose limit it is: words, and letters that Google's names for windows end in.
_SCOPES: Final[tuple[tuple[str, frozenset[str], tuple[str, ...]], ...]] = (
    ("org", frozenset({"organization", "organisation", "workspace", "team"}), ()),
    ("project", frozenset({"project"}), ("perproject",)),
    ("key", frozenset(), (" api key ", " trial key ", " key limit ")),
    ("account", frozenset({"account", "accounts", "subscription"}), ()),
    ("model", frozenset({"model"}), ("permodel",)),
)
WORDS_OF_FACTS: Final = STATUS_WORDS.union(
    *(names for _, names, _ in _SCOPES),
    *(pattern.vocabulary for pattern in (TOOL_WORDS, TOOL_NAMES, MODEL_WORDS)),
)
_VAGUE: Final = frozenset({200, 400, 500, 502, 503})
_ERRORS_INSIDE: Final = frozenset({401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 524, 529})
_NORMAL_ENDS: Final = frozenset(
    {
        "stop",
        "end_turn",
        "tool_calls",
        "tool_use",
        "stop_sequence",
        "complete",
        "function_call",
        "completed",
        "eos",
        "success",
        "none",
        "",
    }
)


class Facts:
    """What rules are matched against. `signals` in order: innermost envelope first; the `distinct` ones
    are believed wherever they stand in the text. Of the text's words only those of the `vocabulary` are
    kept: most words nobody asks for.
    """

    __slots__ = ("finish", "headers", "kind", "plain", "provider", "signals", "status")

    def __init__(self, evidence: Evidence, distinct: frozenset[str], vocabulary: frozenset[str]) -> None:
        envelope = _reading(evidence) if evidence.body else _envelope.EMPTY
        message = evidence.message or ""
        if envelope.message and envelope.message not in message:
            message = f"{message}\n{envelope.message}" if message else envelope.message
        self.plain: Plain = plain(message, vocabulary) if message else EMPTY
        self.provider = provider_name(evidence.provider)
        self.headers: Mapping[str, str] = evidence.headers
        self.signals = _signals(evidence, envelope, self.plain, distinct)
        finish = evidence.finish_reason or envelope.finish
        self.finish = _abnormal(finish) if finish else None
        self.status = _status(evidence.status, envelope.status, self.plain)
        kind = evidence.span_kind
        self.kind = kind if kind is SpanKind.TOOL or kind is SpanKind.LLM else self._owner(kind)

    def _owner(self, kind: SpanKind) -> SpanKind:
        """Say whose failure this is when the span does not: a tool's, if it shows."""
        if kind is SpanKind.UNKNOWN and self.provider in TOOL_SERVICES:
            return SpanKind.TOOL
        text, words = self.plain.text, self.plain.words
        if not TOOL_SIGNALS.isdisjoint(self.signals) or TOOL_WORDS.search(text, words):
            return SpanKind.TOOL
        if TOOL_NAMES.search(text, words) and not MODEL_WORDS.search(text, words):
            return SpanKind.TOOL
        return kind

    def scope(self) -> str | None:
        """Say whose limit the words speak of."""
        text, words = self.plain.text, self.plain.words
        for scope, names, letters in _SCOPES:
            if not names.isdisjoint(words) or any(part in text for part in letters):
                return scope
        return None


def _reading(evidence: Evidence) -> _envelope.Envelope:
    """Take the extractor's reading of the body, if it is of this body."""
    reading, body = evidence.reading, evidence.body
    if reading is not None and reading.of is body:
        return reading
    return _envelope.read(_envelope.decode(body))


def _abnormal(finish: str) -> str | None:
    key = signal_key(finish)
    return None if key in _NORMAL_ENDS else key


def _signals(
    evidence: Evidence, envelope: _envelope.Envelope, said: Plain, distinct: frozenset[str]
) -> dict[str, None]:
    found: dict[str, None] = {}
    if evidence.code:
        _add(found, evidence.code)
    if evidence.type:
        _add(found, evidence.type)
    for code in envelope.codes:
        if code:
            _add(found, code)
    for name in evidence.exception_types:
        found[signal_key(name.rpartition(".")[2])] = None
    raw = said.raw
    if not raw:
        return found
    for code in _codes_in(raw):
        _add(found, code)
    if "-32" in raw:
        found.update((f"_{number}", None) for number in _JSON_RPC.findall(raw))
    if spoken := said.words & distinct:
        found.update(dict.fromkeys(sorted(spoken)))
    return found


def _codes_in(raw: str) -> Iterator[str]:
    """Find codes in text that prints JSON; a search for the keys costs less than a search for pairs."""
    for key in _PAIR_KEYS:
        position = raw.find(key)
        while position >= 0:
            if match := _PAIR.match(raw, position):
                yield match[1]
            position = raw.find(key, position + len(key))


def _add(found: dict[str, None], code: str) -> None:
    """Note a code; of a dotted one (`Throttling.AllocationQuota`) its parts as well."""
    key = signal_key(code)
    found[key] = None
    if "." in key:
        found.update(dict.fromkeys(key.split(".")))


def _status(given: int | None, inside: int | None, said: Plain) -> int | None:
    """Prefer the innermost status where the outer one is a wrapper's."""
    if given is not None and given not in _VAGUE:
        return given
    if inside in _ERRORS_INSIDE and (given is None or inside not in (500, 502, 503)):
        return inside
    if STATUS_WORDS.isdisjoint(said.words):
        return given
    if given is None:
        return _said(said)
    numbers = [int(number) for number in _EXPLICIT_STATUS.findall(said.text)]
    return next((number for number in reversed(numbers) if number in _ERRORS_INSIDE and number < 500), given)


def _said(said: Plain) -> int | None:
    """Find the last status that the words speak of."""
    text = said.text
    found: tuple[int, int] | None = None
    for number in STATUS_WORDS & said.words:
        position = text.rfind(number)
        near = text[max(0, position - 40) : position + 24]
        if _STATUS.search(near) or position == 1:
            found = max(found or (0, 0), (position, int(number)))
    return found[1] if found else None
