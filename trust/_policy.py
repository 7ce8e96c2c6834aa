"""What a piece of irreversible work demands before it may run, and how its key is made."""

import importlib
import inspect
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from penstock.errors import UsageError
from penstock.trust._ledger import Codec, Ledger
from penstock.trust._levels import Level, Trust


class Outcome(StrEnum):
    """How a guarded piece of work ended; the words of the metric and the span."""

    RAN = "ran"
    RECHECKED = "rechecked"
    ASKED = "asked"
    REFUSED = "refused"
    REPLAYED = "replayed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What `ask` is asked: may `action` run with these arguments on answers of this trust?

    `why` says why a re-check did not settle it, where there was one.
    """

    action: str
    trust: Trust
    required: Level
    arguments: Mapping[str, object] = field(repr=False)
    why: str = ""


Key = Callable[..., object] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that is demanded of one action.

    `recheck` and `key` are called with the work's own arguments, `ask` with a `Question`. `key` may be
    a template such as "{invoice_id}". `not_done` are exceptions that prove the work did not happen;
    after them the key is free again.
    """

    action: str
    requires: Level = Level.PRIMARY
    recheck: Callable[..., object] | None = None
    ask: Callable[[Question], object] | None = None
    key: Key | None = None
    ledger: Ledger | None = None
    not_done: tuple[type[BaseException], ...] = ()
    codec: Codec = field(default_factory=Codec)

    def key_of(self, arguments: Mapping[str, object], args: tuple[Any, ...], kwargs: Any) -> str | None:
        """Make the operation's key, `action:key`; None where the policy has none.

        Raises:
            UsageError: the template names an argument that is not there, is None or empty, or the key is.
        """
        if self.key is None:
            return None
        if callable(self.key):
            made = self.key(*args, **kwargs)
        else:
            try:
                made = _WHOLE.vformat(self.key, (), arguments)
            except (KeyError, IndexError, AttributeError, ValueError) as error:
                names = ", ".join(arguments) or "none"
                raise UsageError(
                    f"key {self.key!r} of {self.action!r} does not fit its arguments ({names}): {error}"
                ) from error
        if made is None or not str(made).strip():
            raise UsageError(f"the key of {self.action!r} is empty; it must name one logical operation")
        return f"{self.action}:{made}"


class _Whole(string.Formatter):
    """Fills a template, and leaves no part of it out: operations that lack one would share a key."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        found, first = super().get_field(field_name, args, kwargs)
        if found is None or found == "":
            raise ValueError(f"{field_name} is {found!r}")
        return found, first


_WHOLE: Final = _Whole()
_RULE_KEYS: Final = {"requires", "recheck", "ask", "key"}


def read_rules(table: Mapping[str, object]) -> dict[str, Policy]:
    """Read `[trust.tools."name"]`: requires, key (a template), recheck and ask (`module:function`).

    Raises:
        UsageError: an unknown option, level or function.
    """
    return {name: _read_rule(name, rule) for name, rule in table.items()}


def _read_rule(name: str, rule: object) -> Policy:
    where = f'[trust.tools."{name}"]'
    if not isinstance(rule, Mapping) or not all(isinstance(value, str) for value in rule.values()):
        raise UsageError(f'{where}: {rule!r} is not a table of strings; write requires = "primary"')
    unknown = sorted(set(rule) - _RULE_KEYS)
    if unknown:
        raise UsageError(f"{where}: unknown option {unknown[0]!r}; known: {', '.join(sorted(_RULE_KEYS))}")
    return Policy(
        action=name,
        requires=Level.demanded(rule.get("requires", Level.PRIMARY)),
        key=rule.get("key"),
        recheck=_named(where, rule.get("recheck")),
        ask=_named(where, rule.get("ask")),
    )


def _named(where: str, path: str | None) -> Callable[..., Any] | None:
    """Find `module:function` when it is first called: the app's modules load after its settings."""
    if path is None:
        return None
    module, colon, attribute = path.partition(":")
    if not (module and colon and attribute):
        raise UsageError(f"{where}: {path!r} is not module:function")

    def call(*args: Any, **kwargs: Any) -> object:
        try:
            function = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UsageError(f"{where}: cannot load {path!r}: {error}") from error
        return function(*args, **kwargs)

    return call


def bind(function: Callable[..., object], args: tuple[Any, ...], kwargs: Any) -> dict[str, object]:
    """Name the arguments, for templates and questions; a call that does not fit is left to fail by itself."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return dict(kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)
