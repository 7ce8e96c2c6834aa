"""Stay correct: who answered, whether that is good enough, what was already done, what may be reused."""

import sys
from types import ModuleType

from penstock.trust._cache import ResponseCache
from penstock.trust._carry import carry, follow_threads
from penstock.trust._feed import AnswerFeed
from penstock.trust._interceptor import Lineage
from penstock.trust._irreversible import guard, guard_tool, irreversible
from penstock.trust._ledger import Codec, Entry, Ledger, MemoryLedger, State, resolve
from penstock.trust._ledger_redis import RedisLedger
from penstock.trust._ledger_sqlite import SqliteLedger
from penstock.trust._levels import Level, Origin, Trust
from penstock.trust._lineage import distrust, follow_tasks, lineage, trust, verified
from penstock.trust._marks import primary_only, repeatable
from penstock.trust._perform import idempotency_key
from penstock.trust._policy import Outcome, Policy, Question, read_rules
from penstock.trust._prompt_cache import PromptCache
from penstock.trust._room import TrustRoom
from penstock.trust._settings import TrustSettings, activate
from penstock.trust._stores import AnswerStore, MemoryStore, RedisStore
from penstock.trust._validity import Validity, cached

__all__ = [
    "AnswerFeed",
    "AnswerStore",
    "Codec",
    "Entry",
    "Ledger",
    "Level",
    "Lineage",
    "MemoryLedger",
    "MemoryStore",
    "Origin",
    "Outcome",
    "Policy",
    "PromptCache",
    "Question",
    "RedisLedger",
    "RedisStore",
    "ResponseCache",
    "SqliteLedger",
    "State",
    "Trust",
    "TrustRoom",
    "TrustSettings",
    "Validity",
    "activate",
    "cached",
    "carry",
    "distrust",
    "follow_tasks",
    "follow_threads",
    "guard",
    "guard_tool",
    "idempotency_key",
    "irreversible",
    "lineage",
    "primary_only",
    "read_rules",
    "repeatable",
    "resolve",
    "trust",
    "verified",
]


class _CallableRoom(ModuleType):
    """Let `penstock.trust()` ask: the façade's name for the question is also this package's name."""

    def __call__(self) -> Trust:
        return trust()


sys.modules[__name__].__class__ = _CallableRoom
