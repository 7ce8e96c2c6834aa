"""The built-in rule table, in order of precedence."""

from typing import Final

from penstock.classifiers._rule import Rule
from penstock.classifiers.rules.finishes import FINISHES
from penstock.classifiers.rules.signals import SIGNALS
from penstock.classifiers.rules.statuses import STATUSES
from penstock.classifiers.rules.texts import TEXTS
from penstock.classifiers.rules.tools import TOOLS
from penstock.classifiers.rules.weak_signals import WEAK_SIGNALS

RULES: Final[tuple[Rule, ...]] = (*TOOLS, *SIGNALS, *FINISHES, *TEXTS, *WEAK_SIGNALS, *STATUSES)

__all__ = ["RULES"]
