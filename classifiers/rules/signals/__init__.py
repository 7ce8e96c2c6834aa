"""Machine words that decide: codes, types, gRPC reasons and exception classes with one meaning.

Order is precedence: where an envelope or a traceback holds several, the first rule here wins, so
billing stands before windows and the particular before the general.
"""

from typing import Final

from penstock.classifiers._rule import Rule
from penstock.classifiers.rules.signals.answers import ANSWERS
from penstock.classifiers.rules.signals.caller import CALLER
from penstock.classifiers.rules.signals.capacity import CAPACITY
from penstock.classifiers.rules.signals.money import MONEY
from penstock.classifiers.rules.signals.numbers import NUMBERS
from penstock.classifiers.rules.signals.policy import POLICY
from penstock.classifiers.rules.signals.transport import TRANSPORT

SIGNALS: Final[tuple[Rule, ...]] = (*NUMBERS, *ANSWERS, *POLICY, *MONEY, *CAPACITY, *CALLER, *TRANSPORT)

__all__ = ["SIGNALS"]
