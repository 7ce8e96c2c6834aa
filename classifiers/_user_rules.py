"""Rules of the user's own: in code, from a TOML file, from an entry point.

They stand before the built-in rules of the same tier, so they can correct them.

    [[rule]]
    id = "acme.busy"
    verdict = "overloaded.capacity"
    tier = "signal"
    providers = "acme"
    signals = "ACME_BUSY"
    source = "our gateway"
"""

import re
from collections.abc import Iterable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, Final

from penstock.classifiers import _classify
from penstock.classifiers._pattern import Pattern
from penstock.classifiers._rule import Rule, Tier, rule
from penstock.classifiers._table import RuleTable
from penstock.classifiers.rules import RULES
from penstock.errors import UsageError

ENTRY_POINT: Final = "penstock.classifiers"

_added: list[Rule] = []


def register_rules(rules: Iterable[Rule]) -> None:
    """Put rules before the built-in ones; a rule with a known id takes that rule's place."""
    fresh = list(rules)
    names = {r.id for r in fresh}
    _added[:] = [*fresh, *(r for r in _added if r.id not in names)]
    _activate()


def reset_rules() -> None:
    """Go back to the built-in rules."""
    if _added:
        _added.clear()
        _activate()


def load_rules(path: str | Path) -> tuple[Rule, ...]:
    """Read rules from a TOML file: `[[rule]]` tables with the fields of `rule()`.

    Raises:
        UsageError: if the file cannot be read, or a rule in it makes no sense.
    """
    import tomllib

    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read rules from {path}: {error}") from error
    tables = data.get("rule")
    if not isinstance(tables, list) or not tables:
        raise UsageError(f"{path} has no [[rule]] table: write one with id, verdict and a condition")
    return tuple(_rule_of_table(table, number, path) for number, table in enumerate(tables, 1))


def register_entry_points() -> None:
    """Add the rules of installed packages: entry points in group `penstock.classifiers` that are rules,
    or functions that return them.
    """
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINT):
        found = point.load()
        register_rules(found() if callable(found) else found)


def _rule_of_table(table: object, number: int, path: object) -> Rule:
    where = f"{path}, rule {number}"
    if not isinstance(table, Mapping):
        raise UsageError(f"{where}: {table!r} is no table; write [[rule]] and its fields below")
    known = {"id", *list(signature(rule).parameters)[1:]}
    unknown = set(table) - known
    if unknown:
        raise UsageError(f"{where}: unknown field {min(unknown)!r}; known are {', '.join(sorted(known))}")
    fields = dict(table)
    name, verdict = fields.pop("id", None), fields.pop("verdict", None)
    if not isinstance(name, str) or not isinstance(verdict, str):
        raise UsageError(f'{where}: id and verdict are needed, as in verdict = "rate_limit.rpm"')
    if not fields.keys() & {"signals", "statuses", "finishes", "text", "words", "substrings", "headers"}:
        raise UsageError(
            f"{where} ({name}): give a condition: signals, statuses, finishes, headers, text, words …"
        )
    tier = str(fields.pop("tier", "signal")).upper()
    if tier not in Tier.__members__:
        raise UsageError(
            f"{where} ({name}): tier is one of {', '.join(Tier.__members__).lower()}, not {tier.lower()!r}"
        )
    fields.setdefault("source", str(path))
    fields.setdefault("example", {})
    fields.setdefault("not_example", {})
    try:
        made = rule(name, verdict, tier=Tier[tier], **_tuples(fields))
        for pattern in (made.text, made.unless):
            re.compile(pattern)
            Pattern(pattern)
    except Exception as error:
        raise UsageError(f"{where} ({name}): {error}") from error
    return made


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value)
        if key == "substrings"
        else " ".join(map(str, value))
        if isinstance(value, list)
        else value
        for key, value in fields.items()
    }


def _activate() -> None:
    replaced = {r.id for r in _added}
    _classify.use(RuleTable([*_added, *(r for r in RULES if r.id not in replaced)]))
