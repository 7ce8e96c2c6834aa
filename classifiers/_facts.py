"""Evidence, made ready to be matched: what was said, by whom, in which words."""

import re
from collections.abc import Iterator, Mapping, Set
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
    are believed wherever they stand in the text. `known` are those of the text's words that anybody
    asks for: they are looked up once, and most words are not among them.
    """

    __slots__ = ("finish", "headers", "kind", "known", "plain", "provider", "signals", "status")

    def __init__(self, evidence: Evidence, distinct: frozenset[str], vocabulary: frozenset[str]) -> None:
        body = evidence.body
        envelope = _envelope.read(_envelope.decode(body)) if body else _envelope.EMPTY
        message = evidence.message or ""
        if envelope.message and envelope.message not in message:
            message = f"{message}\n{envelope.message}" if message else envelope.message
        self.plain: Plain = plain(message) if message else EMPTY
        self.known: Set[str] = vocabulary & self.plain.words
        self.provider = provider_name(evidence.provider)
        self.headers: Mapping[str, str] = evidence.headers
        self.signals = _signals(evidence, envelope, self.plain.raw, self.known & distinct)
        finish = evidence.finish_reason or envelope.finish
        self.finish = signal_key(finish) if finish and signal_key(finish) not in _NORMAL_ENDS else None
        self.status = _status(evidence.status, envelope.status, self.plain.text, self.known)
        self.kind = self._owner(evidence.span_kind)

    def _owner(self, kind: SpanKind) -> SpanKind:
        """Say whose failure this is when the span does not: a tool's, if it shows."""
        if kind is SpanKind.TOOL or kind is SpanKind.LLM:
            return kind
        if kind is SpanKind.UNKNOWN and self.provider in TOOL_SERVICES:
            return SpanKind.TOOL
        text, words = self.plain.text, self.plain.words
        if not TOOL_SIGNALS.isdisjoint(self.signals) or TOOL_WORDS.search(text, words):
            return SpanKind.TOOL
        if TOOL_NAMES.search(text, words) and not MODEL_WORDS.search(text, words):
            return SpanKind.TOOL
        return kind


def _signals(evidence: Evidence, envelope: _envelope.Envelope, raw: str, spoken: Set[str]) -> dict[str, None]:
    found: dict[str, None] = {}
    for code in (evidence.code, evidence.type, *envelope.codes):
        if code:
            _add(found, code)
    for name in evidence.exception_types:
        found[signal_key(name.rpartition(".")[2])] = None
    if not raw:
        return found
    for code in _codes_in(raw):
        _add(found, code)
    if "-32" in raw:
        found.update((f"_{number}", None) for number in _JSON_RPC.findall(raw))
    found.update(dict.fromkeys(spoken))
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


def _status(given: int | None, inside: int | None, text: str, known: Set[str]) -> int | None:
    """Prefer the innermost status where the outer one is a wrapper's."""
    if given is not None and given not in _VAGUE:
        return given
    if inside in _ERRORS_INSIDE and (given is None or inside not in (500, 502, 503)):
        return inside
    if given is not None:
        if STATUS_WORDS.isdisjoint(known):
            return given
        said = [int(number) for number in _EXPLICIT_STATUS.findall(text)]
        return next((number for number in reversed(said) if number in _ERRORS_INSIDE and number < 500), given)
    return _said(text, known)


def _said(text: str, known: Set[str]) -> int | None:
    """Find the last status that the words speak of."""
    found: tuple[int, int] | None = None
    for number in STATUS_WORDS & known:
        position = text.rfind(number)
        near = text[max(0, position - 40) : position + 24]
        if _STATUS.search(near) or position == 1:
            found = max(found or (0, 0), (position, int(number)))
    return found[1] if found else None
