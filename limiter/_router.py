"""Which pool a call goes to when its own makes it wait."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Final, cast

from penstock.limiter._entry import Entry
from penstock.limiter._pool import Pool
from penstock.limiter._settings import Fallback, PoolSettings
from penstock.limiter._ticket import Ticket
from penstock.telemetry.interceptor import Route

_log: Final = logging.getLogger("penstock")
_RETURN_SECONDS: Final = 10.0
_TAKE_OVER_SECONDS: Final = 0.25
_FIRST_CALLS: Final = 1
_SPENT_SECONDS: Final = 60.0
_SCAN: Final = 64
_STICKY: Final = 10_000


@dataclass(slots=True)
class _Away:
    """One pool's spill to one fallback."""

    since: float
    calm_since: float = inf


class Router:
    """Ordered fallbacks of pools, by expected wait: only what would wait too long moves.

    `pool_of` makes or finds a pool by name. Times are the limiter's clock.
    """

    def __init__(self, pool_of: Callable[[str], Pool]) -> None:
        self._pool_of = pool_of
        self._away: dict[tuple[str, str], _Away] = {}
        self._homes: dict[str, str] = {}
        self._spent: dict[str, float] = {}
        self._keyless: set[str] = set()

    def candidates(self, home: Pool, ticket: Ticket) -> list[Pool]:
        """List the fallbacks that may serve this call, in order; those that can't are closed to it."""
        if ticket.call.primary_only:
            return []
        return [
            pool
            for fallback in home.settings.fallback
            if (pool := self._pool_of(fallback.pool)) is not home
            and _fits(fallback, pool.settings, ticket)
            and self._has_key(pool)
        ]

    def roomier(self, ticket: Ticket, now: float) -> Pool | None:
        """Find the first fallback that can ever hold a call, with whatever wait."""
        fallbacks = self.candidates(ticket.asked, ticket)
        return next((pool for pool in fallbacks if not pool.never_holds(ticket, now)), None)

    def _has_key(self, pool: Pool) -> bool:
        """Whether the fallback's own key is there: without it the call would take the home's key there."""
        variable = pool.settings.api_key_env
        if variable is None or os.environ.get(variable):
            return True
        if pool.name not in self._keyless:
            self._keyless.add(pool.name)
            _log.warning("penstock: fallback %s stays closed: %s is not set", pool.name, variable)
        return False

    def room(self, home: Pool, now: float) -> bool:
        """Whether any fallback could take a small call now."""
        probe = Entry.probe(now)
        return any(
            self._admits(home, pool, probe, now)
            for fallback in home.settings.fallback
            if (pool := self._pool_of(fallback.pool)) is not home
        )

    def choose(self, home: Pool, ticket: Ticket, now: float) -> Pool | None:
        """Pick where a call goes now: where its conversation went last, else the first with room."""
        ready = [pool for pool in self.candidates(home, ticket) if self._admits(home, pool, ticket, now)]
        stuck = self.stuck_to(ticket.call.conversation)
        return next((pool for pool in ready if pool.name == stuck), ready[0] if ready else None)

    def _admits(self, home: Pool, pool: Pool, entry: Entry, now: float) -> bool:
        """Ramp a take-over up: one call at first, one more every quarter of a second."""
        if self._spent.get(pool.name, now) > now or len(pool.queue):
            return False
        if pool.never_holds(entry, now) or pool.when(entry, now) > now:
            return False
        away = self._away.get((home.name, pool.name))
        seconds = now - away.since if away is not None else 0.0
        return len(pool.live) < _FIRST_CALLS + seconds / _TAKE_OVER_SECONDS

    def excess(
        self, home: Pool, price: Callable[[Ticket, Pool], float], now: float
    ) -> Iterator[tuple[Ticket, Pool]]:
        """Walk the calls that should move now, and where to; whoever asks moves them as they come.

        `price` says what moving loses, as a wait.
        """
        wait = home.outlook.drain_wait(now)
        self.settle(home, wait(home.queue.waiting - 1), now)
        allowed = home.settings.wait_up_to_seconds / (2 if self.spilling(home) else 1)
        if not self.room(home, now):
            return
        for ahead, waiter in enumerate(home.queue.waiters(_SCAN)):
            ticket = cast("Ticket", waiter)
            whole = now - ticket.queued_at + wait(ahead)
            if whole <= allowed:
                continue
            pool = self.choose(home, ticket, now)
            if pool is not None:
                if whole > allowed + price(ticket, pool):
                    yield ticket, pool
            elif not self.room(home, now):
                return

    def moved(self, home: Pool, pool: Pool, now: float) -> None:
        """Note that a call went away: the take-over's ramp starts with the first."""
        self._away.setdefault((home.name, pool.name), _Away(now))

    def spent(self, pool: Pool, now: float) -> None:
        """Move nothing more to a fallback for a minute: its money or plan is gone, and it may name no end."""
        self._spent[pool.name] = now + _SPENT_SECONDS

    def settle(self, home: Pool, wait: float, now: float) -> None:
        """Let a spill end once the home pool has been calm for a while."""
        for (name, _), away in list(self._away.items()):
            if name != home.name:
                continue
            if wait > home.settings.wait_up_to_seconds / 2:
                away.calm_since = inf
            elif away.calm_since == inf:
                away.calm_since = now
        for key, away in list(self._away.items()):
            if key[0] == home.name and now - away.calm_since >= _RETURN_SECONDS:
                del self._away[key]

    def spilling(self, home: Pool) -> bool:
        """Whether calls of this pool are moving now: then half the wait is enough to move another."""
        return any(name == home.name for name, _ in self._away)

    def remember(self, conversation: str | None, pool: str) -> None:
        """Keep a conversation where its prompt cache is."""
        if conversation is None:
            return
        self._homes.pop(conversation, None)  # who spoke last is forgotten last
        if len(self._homes) >= _STICKY:
            self._homes.pop(next(iter(self._homes)))
        self._homes[conversation] = pool

    def stuck_to(self, conversation: str | None) -> str | None:
        """Say where a conversation lives."""
        return self._homes.get(conversation) if conversation is not None else None


def route_to(home: Pool, pool: Pool, reason: str) -> Route:
    """Describe the move so that the hook can rewrite the request."""
    settings = pool.settings
    return Route(
        pool=pool.name,
        provider=settings.provider or (pool.name.partition(":")[0] or None),
        model=settings.model or (pool.name.partition(":")[2].partition("@")[0] or None),
        base_url=settings.base_url,
        api_key=os.environ.get(settings.api_key_env) if settings.api_key_env else None,
        trust="fallback",
        reason=reason,
        tier=1 + next((n for n, f in enumerate(home.settings.fallback) if f.pool == pool.name), 0),
    )


def _fits(fallback: Fallback, target: PoolSettings, ticket: Ticket) -> bool:
    """Close to a call every pool that does not declare what the scope, or the call, demands."""
    call = ticket.call
    if target.wire is not None and call.wire and target.wire != call.wire:
        return False
    if fallback.regions and target.region not in fallback.regions:
        return False
    if fallback.min_context_tokens and (target.context_tokens or 0) < fallback.min_context_tokens:
        return False
    if not set(fallback.capabilities) <= set(target.capabilities):
        return False
    if target.capabilities and not ticket.needs <= set(target.capabilities):
        return False
    if target.context_tokens is not None:
        return call.input_tokens + (call.max_output_tokens or 0) <= target.context_tokens
    return True
