"""The limiter: pools, a router and retries behind one short lock; threads and event loops wait on it."""

import itertools
import os
import random
import time
import weakref
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final, Literal, cast

from penstock.classifiers import Verdict, verdict_of_exception
from penstock.limiter._alarms import Alarms
from penstock.limiter._clock import Scheduler
from penstock.limiter._events import Event, Events, Would
from penstock.limiter._kinds import Kind
from penstock.limiter._later import take
from penstock.limiter._lock import Lock
from penstock.limiter._memory import recall, remember
from penstock.limiter._outlook import PoolSnapshot
from penstock.limiter._permit import Judge, PoolHandle
from penstock.limiter._pool import Pool
from penstock.limiter._prospects import eta, hopeless
from penstock.limiter._queue import patience
from penstock.limiter._retry import Retries
from penstock.limiter._router import Router, route_to
from penstock.limiter._settings import LimiterSettings, PoolSettings, parse_pool
from penstock.limiter._ticket import Stage, Ticket, give_up_at, why
from penstock.limiter.fleet import Fleet
from penstock.providers import Quota, Usage
from penstock.telemetry.interceptor import Answer, Call, Granted, Next, Refused, Settlement
from penstock.telemetry.interceptor import Ticket as AnyTicket

Mode = Literal["enforce", "observe"]
MoveCost = Callable[[Call, str, float], float]
"""(call, other pool, its tokens per second): the seconds of its quota that moving there would lose."""

_SPILL_SECONDS: Final = 0.25
"""How often calls that wait at home are looked at for a place elsewhere."""
_AT_ONCE: Final = Granted()
_SAMPLED: Final = 4
"""Every fourth call that waits tells how good estimates are."""


class Limiter:
    """Decides when every call goes, per pool; an `Interceptor` for the hooks.

    `clock` gives seconds that never go back; `scheduler` runs a function at a time of that clock;
    `wall` gives Unix time, for what is remembered across restarts. `on_event` is told of each change
    of a cap, rate or gate, outside the lock; what it raises is logged and swallowed.
    """

    def __init__(
        self,
        settings: LimiterSettings | None = None,
        *,
        mode: Mode = "enforce",
        clock: Callable[[], float] = time.monotonic,
        scheduler: Scheduler | None = None,
        wall: Callable[[], float] = time.time,
        on_event: Callable[[Event], None] | None = None,
        judge: Judge | None = None,
        fleet: Fleet | None = None,
        seed: int | None = None,
    ) -> None:
        self.settings = settings or LimiterSettings()
        self.mode: Mode = mode
        self.lock = Lock()
        self.clock = clock
        self._wall = wall
        self._events = Events(on_event)
        self._judge = judge or verdict_of_exception
        self._rng = random.Random(seed)
        self._retries = Retries(self._rng)
        self._numbers = itertools.count(1)
        self._pools: dict[str, Pool] = {}
        self._remembered: dict[str, object] = {}
        self._router = Router(self._pool)
        self.move_cost: MoveCost | None = None
        self._spilling: list[Pool] = []
        self._wakes: deque[Callable[[], None]] = deque()
        """Of those who were decided: made once the lock is free, also where our code raised meanwhile."""
        self._dropped: deque[tuple[Ticket, Settlement]] = deque()
        self._alarms = Alarms(clock, scheduler, self._tick)
        self.fleet = fleet if mode == "enforce" else None
        if self.fleet is not None:
            self.fleet.serve(self)
        _watch_forks(self)

    # The interceptor

    def admit(self, call: Call) -> Ticket:
        """Queue a call."""
        now = self.clock()
        try:
            with self.lock:
                pool = self._pools.get(call.pool) or self._pool(call.pool)
                ends = give_up_at(call, pool.settings, now)
                ticket = Ticket(next(self._numbers), now, call, pool, self, ends)
                if self.mode == "observe":
                    self._let_pass(ticket, now)
                else:
                    try:
                        self._enter(ticket, now)
                    except BaseException:  # it goes on without us, and must not stay in the queue
                        self._close(ticket, None, now, finished=False)
                        raise
            return ticket
        finally:
            self._finish()

    def answer(self, ticket: AnyTicket, answer: Answer) -> Next:
        """Learn from an answer; say whether the app may see it."""
        mine = cast("Ticket", ticket)
        now = self.clock()
        try:
            with self.lock:
                if mine.stage is not Stage.DECIDED or mine.number not in mine.pool.live:
                    return Next.PASS
                pool, verdict, again = mine.pool, answer.verdict, False
                kind = self._hear(mine, answer.quota, verdict, now)
                if kind is not None and verdict is not None and self.mode == "enforce":
                    movable = self._movable(mine, kind, now)
                    again = self._retries.again(mine, kind, verdict, now, movable=movable)
                    if again:
                        self._requeue(mine, kind, now)
                self._pump_after(pool, now)
            return Next.RETRY if again else Next.PASS
        finally:
            self._finish()

    def settle(self, ticket: AnyTicket, settlement: Settlement) -> None:
        """Close a call. Idempotent; a finalizer may do it anywhere."""
        mine = cast("Ticket", ticket)
        if self.lock.mine:
            self._dropped.append((mine, settlement))
        else:
            try:
                self._settled(mine, settlement)
            finally:
                self._finish()

    def end(
        self, ticket: Ticket, quota: Quota | None, verdict: Verdict | None, usage: Usage | None,
        *, finished: bool,
    ) -> None:  # fmt: skip
        """Learn from an answer that is its owner's to keep or repeat, and close its call."""
        now = self.clock()
        try:
            with self.lock:
                if ticket.stage is Stage.DECIDED and ticket.number in ticket.pool.live:
                    self._hear(ticket, quota, verdict, now)
                self._close(ticket, usage, now, finished=finished)
                self._pump_after(ticket.pool, now)
        finally:
            self._finish()

    def abandon(self, ticket: Ticket, usage: Usage | None = None) -> None:
        """Give back the place or the permit of a ticket that was cancelled while it waited or ran."""
        self.settle(ticket, Settlement(at=self.clock(), end="cancelled", usage=usage))

    # What others ask

    def snapshot(self) -> dict[str, PoolSnapshot]:
        """Describe every pool as it stands."""
        now = self.clock()
        with self.lock:
            told = {name: pool.outlook.snapshot(now) for name, pool in self._pools.items()}
        self._finish()  # metrics have no call to wait for
        return told

    def headroom(self, pool: str) -> int:
        """Say how many more calls could run now in a pool without waiting: how many agents to start."""
        now = self.clock()
        with self.lock:
            return self._pool(pool).outlook.headroom(now)

    def depth(self, pool: str) -> int:
        """Count the calls that wait in a pool."""
        with self.lock:
            return len(self._pool(pool).queue)

    def pool(self, name: str, **knobs: object) -> PoolHandle:
        """Give a pool to code: for calls that no hook sees, tools and MCP hosts included.

        Raises:
            UsageError: an unknown knob or a bad value.

        """
        if knobs:
            self.configure(name, parse_pool(name, knobs, self.settings.of(name)))
        return PoolHandle(self, name, self._judge)

    def configure(self, name: str, settings: PoolSettings) -> None:
        """Set a pool's knobs, from its next decision on; what was learnt stays."""
        now = self.clock()
        with self.lock:
            if name in self._pools and self._pools[name].settings == settings:
                return
            pools = {**self.settings.pools, name: settings}
            self.settings = LimiterSettings(defaults=self.settings.defaults, pools=pools)
            if name in self._pools:
                self._pools[name].reconfigure(settings, now)
            self._spilling = [pool for pool in self._pools.values() if pool.settings.fallback]

    def remember(self) -> dict[str, object]:
        """Give what was learnt, as plain JSON data, for `recall` after a restart."""
        now, wall = self.clock(), self._wall()
        with self.lock:
            return {name: remember(pool, now, wall) for name, pool in self._pools.items()}

    def recall(self, data: dict[str, object]) -> None:
        """Start warm from what `remember` gave; data that cannot be read is ignored."""
        with self.lock:
            self._remembered = dict(data)
            for name, pool in self._pools.items():
                recall(pool, data.get(name), self.clock(), self._wall())

    def exchanged(self, pool: str) -> None:
        """Send whoever may go, now that the fleet lent this pool more or the store is lost."""
        now = self.clock()
        try:
            with self.lock:
                self._pump(self._pools[pool], now)
        finally:
            self._wake()  # events are told by the next call of the app's, so that its span notes them
            self._end_dropped()

    def close(self) -> None:
        """Refuse everyone who still waits, and leave the fleet."""
        if self.fleet is not None:
            self.fleet.close()
        now = self.clock()
        with self.lock:
            for pool in self._pools.values():
                for waiter in pool.queue.drain():
                    self._refuse(cast("Ticket", waiter), "closed", 0.0, now)
        self._finish()

    # Under the lock

    def _hear(self, ticket: Ticket, quota: Quota | None, verdict: Verdict | None, now: float) -> Kind | None:
        kind = ticket.pool.heard(ticket, quota, verdict, now)
        if kind is None:
            self._retries.budget.earn()
        elif kind is Kind.EXHAUSTED and ticket.pool is not ticket.home:
            self._router.spent(ticket.pool, now)
        return kind

    def _close(self, ticket: Ticket, usage: Usage | None, now: float, *, finished: bool) -> bool:
        """Close a call; say whether somebody may go sooner for it."""
        waited = ticket.queued
        if waited:
            ticket.home.queue.remove(ticket, served=False)
        ticket.stage = Stage.OVER
        return ticket.pool.settle(ticket, usage, now, finished=finished) or waited or bool(self._spilling)

    def _pool(self, name: str) -> Pool:
        pool = self._pools.get(name)
        if pool is None:
            now = self.clock()
            pool = Pool(name, self.settings.of(name), now=now, rng=self._rng, emit=self._events.note)
            recall(pool, self._remembered.get(name), now, self._wall())
            if self.fleet is not None:
                pool.share = self.fleet.join(pool, now)
            self._pools[name] = pool
            if pool.settings.fallback:
                self._spilling.append(pool)
        return pool

    def _enter(self, ticket: Ticket, now: float) -> None:
        pool, settings = ticket.home, ticket.home.settings
        if pool.never_holds(ticket, now):
            self._rehouse(ticket, now)
            return
        if not pool.queue.waiting and pool.when(ticket, now) <= now:
            self._grant(ticket, pool, now)
            return
        if len(pool.queue) >= settings.queue_limit:
            self._refuse(ticket, "queue_full", eta(ticket, now), now)
            return
        if pool.mirror.counts_tokens:
            ticket.cost = pool.mirror.cost(ticket)
        ticket.promote_at = now + patience(ticket)
        pool.queue.add(ticket, now)
        if ticket.number % _SAMPLED == 0:
            ahead, queued = pool.queue.ahead_of(ticket), len(pool.queue)
            ticket.foretold = (ahead, queued, pool.outlook.expected_wait(ticket, ahead, now))
        if pool.queue.head(now) is ticket or settings.fallback or self.fleet is not None:
            self._pump(pool, now)
        else:  # whoever is before it keeps it, and is waited for already
            self._look_again(pool, min(self._alarms.of(pool.name), pool.queue.next_event()), now)
        if ticket.queued and hopeless(ticket, now):
            pool.queue.remove(ticket, served=False)
            self._refuse(ticket, why(ticket), eta(ticket, now), now)

    def _rehouse(self, ticket: Ticket, now: float) -> None:
        """Let a call that its home can never hold live with the first fallback that can; else refuse it."""
        home = self._router.roomier(ticket, now)
        if home is None:
            self._refuse(ticket, "too_large", 0.0, now)
            return
        ticket.home = home
        self._enter(ticket, now)

    def _movable(self, ticket: Ticket, kind: Kind, now: float) -> bool:
        """Whether another pool could serve what this one never will."""
        if kind is Kind.TOO_LARGE:
            return ticket.pool is not ticket.home or self._router.roomier(ticket, now) is not None
        return kind is Kind.EXHAUSTED and bool(ticket.home.settings.fallback) and not ticket.call.primary_only

    def _requeue(self, ticket: Ticket, kind: Kind, now: float) -> None:
        """Put a call back where it waited; one that is too large for its home finds another."""
        ticket.reopen()
        if kind is Kind.TOO_LARGE and ticket.pool is ticket.home:
            self._rehouse(ticket, now)
        else:
            ticket.home.queue.add(ticket, now)

    def _pump(self, pool: Pool, now: float) -> None:
        """Send everyone who may go, refuse whose wait is over, and set the next look."""
        queue = pool.queue
        for waiter in queue.expired(now):
            late = cast("Ticket", waiter)
            self._refuse(late, why(late), eta(late, now), now)
        at = inf
        while (head := queue.head(now)) is not None:
            ticket = cast("Ticket", head)
            if pool.outgrown(ticket, now):
                queue.remove(ticket, served=False)
                self._rehouse(ticket, now)
                continue
            at = pool.when(ticket, now)
            if at > now:
                break
            queue.remove(ticket, served=True)
            self._grant(ticket, pool, now)
        if queue.waiting and pool.settings.fallback:
            self._spill(pool, now)
        if queue.waiting:
            if self.fleet is not None:
                at = min(at, self.fleet.wanted(pool, now))
            self._look_again(pool, min(at, queue.next_event()), now)

    def _grant(self, ticket: Ticket, pool: Pool, now: float, reason: str = "") -> None:
        ticket.pool = pool
        ticket.attempts += 1
        if ticket.foretold is not None and ticket.attempts == 1:
            pool.overtaking.learn(*ticket.foretold, now - ticket.queued_at)
        pool.send(ticket, now)
        asked, waited = ticket.asked, now - ticket.queued_at
        route = None if pool is asked else route_to(asked, pool, reason or "too_large")
        if asked.settings.fallback:
            self._router.remember(ticket.call.conversation, pool.name)
        self._decide(ticket, Granted(queued_seconds=waited, route=route) if waited or route else _AT_ONCE)

    def _refuse(self, ticket: Ticket, reason: str, eta: float, now: float) -> None:
        waited = now - ticket.queued_at
        self._decide(ticket, Refused(eta_seconds=max(eta, 0.0), reason=reason, queued_seconds=waited))

    def _decide(self, ticket: Ticket, admission: Granted | Refused) -> None:
        wake = ticket.decide(admission)
        if wake is not None:
            self._wakes.append(wake)

    def _spill(self, home: Pool, now: float) -> None:
        """Move the excess: calls whose whole wait at home would be longer than the user allows."""
        for ticket, pool in self._router.excess(home, self._loss, now):
            home.queue.remove(ticket, served=True)
            self._router.moved(home, pool, now)
            self._grant(ticket, pool, now, home.reason())

    def _loss(self, ticket: Ticket, pool: Pool) -> float:
        """Price what moving loses in prompt cache, as a wait; at most as long as the user waits anyway."""
        per_minute = pool.settings.tokens_per_minute
        if self.move_cost is None or per_minute is None:
            return 0.0
        cost = self.move_cost(ticket.call, pool.name, per_minute / 60)
        return min(cost, ticket.home.settings.wait_up_to_seconds)

    def _let_pass(self, ticket: Ticket, now: float) -> None:
        """Observe: note what would have happened, then let the call go."""
        pool = ticket.home
        at = pool.when(ticket, now)
        if at > now:
            wait = pool.outlook.expected_wait(ticket, 0, now)
            action = "waited"
            if wait > ticket.give_up_at - now:
                action = "refused"
            if wait > pool.settings.wait_up_to_seconds and self._router.candidates(pool, ticket):
                action = "moved"
            self._events.note(Would(pool.name, action, wait, now))
            if pool.reason() == "pacer":
                pool.pacer.spare(at, now)
        pool.send(ticket, now)
        ticket.attempts = 1
        ticket.decide(Granted())

    def _pump_after(self, pool: Pool, now: float) -> None:
        """Look again at whoever the end of a call in `pool` can let go: its queue, and those that spill."""
        if pool.queue.waiting:
            self._pump(pool, now)
        for home in self._spilling:
            if home is not pool and len(home.queue):
                self._pump(home, now)

    def _look_again(self, pool: Pool, at: float, now: float) -> None:
        self._alarms.set(pool.name, min(at, now + _SPILL_SECONDS) if pool.settings.fallback else at)

    def _tick(self, generation: int, at: float) -> None:
        now = self.clock()
        try:
            with self.lock:
                for name in self._alarms.due(generation, at, now):
                    self._pump(self._pools[name], now)
        finally:
            self._wake()  # and nothing else, as in `exchanged`
            self._end_dropped()

    # Outside the lock

    def _settled(self, ticket: Ticket, settlement: Settlement) -> None:
        now = self.clock()
        with self.lock:
            if ticket.stage is Stage.OVER:
                return
            if settlement.verdict is not None and ticket.number in ticket.pool.live and ticket.attempts:
                ticket.pool.broke(ticket, settlement.verdict, now)
            room = self._close(ticket, settlement.usage, now, finished=settlement.end == "eof")
            if room:
                self._pump_after(ticket.pool, now)

    def _finish(self) -> None:
        if self._wakes:
            self._wake()
        if self._events.waiting:
            self._events.tell()
        if self._dropped:
            self._end_dropped()

    def _wake(self) -> None:
        """Tell those who were decided."""
        for wake in take(self._wakes):
            wake()

    def _end_dropped(self) -> None:
        """End the calls that a finalizer found while this thread or another was inside of the lock."""
        for ticket, settlement in take(self._dropped):
            self._settled(ticket, settlement)
            self._wake()

    def after_fork(self) -> None:
        """Start over in a child: the parent's waiters and live calls are not ours; what was learnt is."""
        self.lock = Lock()
        self._alarms.forget()
        self._events.waiting.clear()
        self._wakes.clear()
        self._dropped.clear()
        if self.fleet is not None:
            self.fleet.after_fork()
        for pool in self._pools.values():
            pool.forget_calls()
            if self.fleet is not None:
                pool.share = self.fleet.join(pool, self.clock())


_limiters: "weakref.WeakSet[Limiter]" = weakref.WeakSet()


def _watch_forks(limiter: Limiter) -> None:
    _limiters.add(limiter)


def _after_fork() -> None:
    for limiter in list(_limiters):
        limiter.after_fork()


os.register_at_fork(after_in_child=_after_fork)
