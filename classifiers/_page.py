"""The taxonomy as a page for users, generated from the table."""

from collections.abc import Iterable, Iterator
from typing import Final

from penstock.classifiers._rule import CONFIDENCE, Rule, Tier
from penstock.classifiers.rules import RULES
from penstock.classifiers.taxonomy import CLASSES, TAXONOMY_VERSION, ErrorClass

_TIERS: Final = {
    Tier.OWNER: "Whose failure is it? In a tool's span it is the tool's: its 429 and its timeout too.",
    Tier.SIGNAL: "Machine words with one meaning: codes, types, exception classes; 402 and 529.",
    Tier.FINISH: "How an answer with status 200 ended.",
    Tier.TEXT: "What the words mean; believed only with a status that fits.",
    Tier.WEAK_SIGNAL: "Machine words that name a family, such as `invalid_request_error`.",
    Tier.STATUS: "The bare HTTP status.",
}


def errors_page() -> str:
    """Write `docs/errors.md`."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "<!-- Generated: python -m penstock.classifiers > docs/errors.md -->"
    yield "# What failed"
    yield ""
    yield (
        "Every failed attempt, operation and tool call gets a verdict: a class, a reason, whose "
        "fault it was, whether the same request may succeed later, and when. Rules decide, on evidence; "
        "`penstock classify --explain` shows which. "
        f"Taxonomy version {TAXONOMY_VERSION}, {len(RULES)} rules."
    )
    yield ""
    yield "## Classes"
    yield ""
    yield "| class | group | fix the | retry | fault | meaning |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, facts in CLASSES.items():
        retry = "yes" if facts.retryable else "no"
        cells = (f"`{name}`", facts.group, facts.layer, retry, facts.fault, facts.meaning)
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield (
        "`retry` is whether the same request, unchanged, may succeed later; a rule may say otherwise. "
        "Whether repeating it is *safe* is `side_effects`: none, possible, or certain once an answer began."
    )
    yield ""
    yield "## How a verdict comes about"
    yield ""
    yield "The first rule that holds decides, in this order:"
    yield ""
    for tier, meaning in _TIERS.items():
        kind = tier.name.lower().replace("_", " ")
        yield f"{tier + 1}. **{kind}** (confidence {CONFIDENCE[tier]:g}). {meaning}"
    yield ""
    yield (
        "When no rule holds, the class is `unknown`: it is never guessed. An exception listed as `XError` is "
        "known as `XException` too, and the other way round, save for a few whose two names mean two things."
    )
    for error_class in ErrorClass:
        rules = [rule for rule in RULES if rule.error_class is error_class]
        if rules:
            yield from _section(error_class, rules)


def _section(error_class: ErrorClass, rules: Iterable[Rule]) -> Iterator[str]:
    yield ""
    yield f"## {error_class}"
    yield ""
    yield f"{CLASSES[error_class].meaning.capitalize()}."
    yield ""
    yield "| reason | rule | seen by | retry | source |"
    yield "| --- | --- | --- | --- | --- |"
    for rule in rules:
        retry = CLASSES[error_class].retryable if rule.retryable is None else rule.retryable
        cells = (f"`{rule.reason}`", f"`{rule.id}`", _condition(rule), "yes" if retry else "no", rule.source)
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _condition(rule: Rule) -> str:
    """Say in a few words what a rule looks at."""
    parts = []
    if rule.providers:
        parts.append(f"provider {', '.join(sorted(rule.providers))}")
    if rule.signals:
        parts.append(_some("code or class", rule.signals))
    if rule.finishes:
        parts.append(_some("finish reason", rule.finishes))
    if rule.statuses and rule.tier is not Tier.TEXT:
        shown = ", ".join(str(status) if status else "none" for status in sorted(rule.statuses))
        parts.append(f"status {shown}")
    if rule.text or rule.substrings:
        parts.append("words such as “" + _spoken(rule) + "”")
    return "; ".join(parts) or "any failure in a tool's span"


def _spoken(rule: Rule) -> str:
    message = " ".join(str(rule.example.get("message") or rule.example.get("body") or "").split())
    return message if len(message) <= 90 else f"{message[:87]}…"


def _some(kind: str, names: Iterable[str]) -> str:
    listed = sorted(names, key=lambda name: (name.lower(), name))
    more = f" and {len(listed) - 6} more" if len(listed) > 7 else ""
    shown = listed[:6] if more else listed
    return f"{kind} {', '.join(f'`{name}`' for name in shown)}{more}"
