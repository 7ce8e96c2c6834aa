"""The room, put together for one runtime: lineage and cache before the limiter, guards, counts."""

import os
import time
import weakref
from collections.abc import Callable, Mapping

from penstock.telemetry import metrics as m
from penstock.telemetry.interceptor import Answer, Call, Granted, Interceptor, Next, Settlement, Ticket
from penstock.telemetry.registry import Registry
from penstock.telemetry.tasks import current_task
from penstock.telemetry.tools import add_gate
from penstock.trust import _lineage
from penstock.trust._cache import ResponseCache
from penstock.trust._cache_ticket import BYPASS, COALESCED, HIT, MISS, STALE
from penstock.trust._carry import follow_threads
from penstock.trust._configure import TrustOptions, read_options
from penstock.trust._feed import AnswerFeed
from penstock.trust._frameworks import hook_frameworks
from penstock.trust._interceptor import Lineage
from penstock.trust._irreversible import guard_tool
from penstock.trust._policy import Outcome
from penstock.trust._prompt_cache import PromptCache
from penstock.trust._settings import TrustSettings, activate


class TrustRoom:
    """What a runtime starts and closes. `table` is the configuration's `[trust]`.

    Give `interceptor` and `feed` to the telemetry, then `count_in` its registry. `interceptor` is None
    where there is neither a limiter nor a cache: then every answer is the primary's, and telemetry only
    senses.

    Raises:
        UsageError: an option is unknown or wrong.
    """

    def __init__(self, table: Mapping[str, object], limiter: Interceptor | None) -> None:
        options = read_options(table)
        self._registry: Registry | None = None
        self.prompt_cache = PromptCache()
        self.feed = AnswerFeed()
        self._cache = _cache(options, limiter, self._looked_up)
        inner = self._cache or limiter
        self.interceptor: Interceptor | None = None
        if inner is not None:
            self.interceptor = Lineage(inner, prompt_cache=self.prompt_cache)
        _lineage.follow_tasks(current_task)
        settings = TrustSettings(ledger=options.ledger, tools=options.tools, on_outcome=self._ended)
        hook_frameworks()
        _rooms.add(self)
        self._undo = [
            activate(settings), follow_threads(), add_gate(guard_tool), _lineage.forget_process,
        ]  # fmt: skip

    def move_cost(self, call: Call, pool: str, tokens_per_second: float) -> float:
        """Tell the router what moving a call to `pool` loses in prompt cache, in seconds of its quota."""
        conversation = call.conversation or call.task_id
        return self.prompt_cache.penalty_seconds(call.pool, pool, conversation, tokens_per_second)

    def count_in(self, registry: Registry) -> None:
        """Count guarded work and cache lookups from now on."""
        self._registry = registry
        registry.create(m.IRREVERSIBLE, *((outcome.value,) for outcome in Outcome))
        if self._cache is not None:
            registry.create(m.CACHE_LOOKUPS, *((result,) for result in (HIT, MISS, STALE, COALESCED, BYPASS)))

    def after_fork(self) -> None:
        """Start over in a child; what is kept stays."""
        self.prompt_cache.after_fork()
        if self._cache is not None:
            self._cache.after_fork()

    def close(self) -> None:
        """Stop following threads, forget tasks, finish what the cache writes. Idempotent."""
        while self._undo:
            self._undo.pop(0)()
        _rooms.discard(self)
        if self._cache is not None:
            self._cache.close()

    def _ended(self, outcome: str) -> None:
        if self._registry is not None:
            self._registry.inc(m.IRREVERSIBLE, (str(outcome),))

    def _looked_up(self, result: str) -> None:
        if self._registry is not None:  # a note, since a finalizer may run inside of the registry's lock
            self._registry.backlog.note(self._count_lookup, result, time.time_ns())

    def _count_lookup(self, result: str) -> None:
        if self._registry is not None:
            self._registry.inc(m.CACHE_LOOKUPS, (result,))


_rooms: "weakref.WeakSet[TrustRoom]" = weakref.WeakSet()


def _in_child() -> None:
    for room in tuple(_rooms):
        room.after_fork()


os.register_at_fork(after_in_child=_in_child)


def _cache(
    options: TrustOptions, limiter: Interceptor | None, on_lookup: Callable[[str], None]
) -> ResponseCache | None:
    if options.cache is None:
        return None
    return ResponseCache(
        limiter or _Open(),
        secret=options.cache.secret,
        store=options.cache.store,
        default=options.cache.default,
        on_lookup=on_lookup,
    )


class _Open:
    """Stands where no limiter is: everyone may go, and nothing is learnt."""

    def admit(self, call: Call) -> Ticket:
        return _OPEN_TICKET

    def answer(self, ticket: Ticket, answer: Answer) -> Next:
        return Next.PASS

    def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        return None


class _OpenTicket:
    def wait(self) -> Granted:
        return Granted()

    async def wait_async(self) -> Granted:
        return Granted()


_OPEN_TICKET = _OpenTicket()
