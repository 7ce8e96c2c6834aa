"""What the words say, when no machine word decided.

Each rule is about a meaning, not a message: several verbs, several nouns, short gaps. A rule counts
only when the status (if any) is one its class can have, so that a 404 page which mentions an
overloaded server stays a 404. The first rule that holds wins; the order is precedence: what cannot
be cured by waiting comes before what can.
"""

from typing import Final

from penstock.classifiers._rule import Rule
from penstock.classifiers.rules.access import ACCOUNT, RIGHTS
from penstock.classifiers.rules.answers import ANSWERS, CALLS
from penstock.classifiers.rules.caller import CALLER, REQUEST
from penstock.classifiers.rules.limits import CAPACITY, MONEY
from penstock.classifiers.rules.transport import SERVER, TRANSPORT

TEXTS: Final[tuple[Rule, ...]] = (
    *CALLER, *MONEY, *CAPACITY, *ACCOUNT, *CALLS, *RIGHTS, *ANSWERS, *TRANSPORT, *REQUEST, *SERVER,
)  # fmt: skip
