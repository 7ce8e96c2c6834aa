"""One process's share of a pool whose quota a fleet draws on. Sans-IO: reports out, replies in.

Calls are lent: a call may be sent while a lent one is left. Each exchange gives back what was not used and
borrows anew, for the calls that wait and for about a second of those to come. While the store is lost, the
share goes on by itself at 0.9 of the rate that was last its own, behind the pool's own controllers.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from math import ceil, inf
from typing import TYPE_CHECKING, Any, Final, cast

from penstock.limiter._cap import Probing
from penstock.limiter._entry import Entry
from penstock.limiter.fleet._alone import ALONE, Alone

if TYPE_CHECKING:
    from penstock.limiter._pool import Pool
    from penstock.providers import Quota, Usage

PATIENCE_SECONDS: Final = 0.045
"""A call waits so long, once, for a store that does not answer: with what waking takes, below 50 ms."""
_JOINING_SECONDS: Final = 1.0
"""Who has just come waits so long for his own thread, which hears sooner if there is no store."""
_FRESH_SECONDS: Final = 0.05
"""Headers tell of the fleet's bucket only for calls sent right after the bucket was seen."""
_IDLE_SECONDS: Final = 5.0
_LOOKED_AT: Final = 64
"""So many waiting calls stand for all, when it is told who waits."""
_RESTLESS: Final = 0.02


class Standing(IntEnum):
    """How a share stands with the store."""

    JOINING = 0
    HELD = 1
    LOST = 2


@dataclass(slots=True)
class Loan:
    """What one live call was lent, per dimension, and what the fleet's bucket, of this birth, held then."""

    costs: dict[str, float]
    born: str
    held: Mapping[str, float] | None
    corrected: Mapping[str, float]


class Share:
    """What this process may send of a pool's quota, and what it owes the fleet a report of.

    Counters run from when the process joined, so that a report whose reply was lost can be told again.
    """

    def __init__(self, pool: "Pool", member: str, now: float, wake: Callable[[], None]) -> None:
        self.pool = pool
        self.member = member
        self._wake = wake
        self._rng = random.Random(member)
        self.standing = Standing.JOINING
        self.members = 1
        self.due = now
        self.levels: tuple[list[float], float] | None = None
        """Seconds at each level and call-seconds of the whole fleet, if this member is to tell them."""
        self._answer_by = now + _JOINING_SECONDS
        self._heard = (0.0, now)
        """The store's own time at its last reply, and ours."""
        self._lent = 0
        self._slots = self._own_slots = inf
        self._elsewhere = 0
        self._held: Mapping[str, float] = {}
        self._corrected: Mapping[str, float] = {}
        self._errors: Mapping[str, float] = {}
        self._born = ""
        """Names the bucket that the store keeps: another one after it has forgotten everything."""
        self._taken_at = -inf
        self._tight = False
        self._asked = 0
        self._told_live: int | None = None
        """The live calls that a report told, while it is under way: so many slots it keeps for sure."""
        self._alone: Alone | None = None
        self._calls = self._refused = self._admitted = 0
        self._refused_sent_at = -inf
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._seen: dict[str, tuple[float, float, float]] = {}
        self._cap_epoch = 0
        self._gate_told = self._parked_told = -inf
        self._live_at, self._live_seconds, self._told_at = now, 0.0, now
        self._sent_at = -inf
        self._rate = 0.0
        self._next = pool.costs(Entry.probe(now))
        self.rate_per_second = inf
        """What this process may send on average, as long as the others want what they want now."""

    # The pool asks

    @property
    def alone(self) -> bool:
        """Whether the pool's own controllers decide."""
        return self.standing is Standing.LOST

    def when(self, now: float) -> float:
        """Say when the next call may go: `now`, later, or inf until the next exchange.

        Whoever waits for a store that does not answer waits no longer than `PATIENCE_SECONDS`.
        """
        if self._alone is not None:
            return self._alone.when(len(self.pool.live), now)
        if self._lent > 0 and len(self.pool.live) < self._slots:
            return now
        # An exchange that is overdue counts too: another pool's may hold the thread, or a name's resolution.
        overdue = self.due + PATIENCE_SECONDS if self.standing is Standing.HELD else inf
        patient_until = min(self._answer_by, overdue)
        if now < patient_until:
            return patient_until
        self.lose(now)
        return self.when(now)

    def live(self) -> int:
        """Count the fleet's live calls, as last told."""
        return self._elsewhere + len(self.pool.live)

    def sent(self, entry: Entry, now: float) -> None:
        """Charge a call that goes out, before it counts as live."""
        self._count_live(now)
        seconds = max(now - self._sent_at, 1e-6) if self._sent_at > -inf else 1.0
        self._rate += (1 - 0.8 ** min(seconds, 1.0)) * (1 / max(seconds, 0.01) - self._rate)
        self._sent_at = now
        costs = self._next = self.pool.costs(entry)
        self._calls += 1
        for name, cost in costs.items():
            self._spent[name] += cost
        fresh = now - self._taken_at <= _FRESH_SECONDS
        entry.loan = Loan(costs, self._born, self._held if fresh else None, self._corrected)
        if self._lent > 0:
            self._lent -= 1
        if self._alone is not None:
            self._alone.sent(now)

    def answered(self, entry: Entry, quota: "Quota | None", *, refused: bool) -> None:
        """Learn how a call's answer began."""
        loan = entry.loan
        if loan is None:
            return
        if quota is not None and loan.held is not None and loan.born == self._born:
            for name, window in _windows(quota):
                if name in loan.held and window.remaining is not None:
                    self._seen[name] = (window.remaining, loan.held[name], loan.corrected.get(name, 0.0))
        if not refused:
            self._admitted += 1
            return
        for name, cost in loan.costs.items():
            self._spent[name] -= cost
        entry.loan = None

    def rate_refused(self, entry: Entry) -> None:
        """Learn of a refusal for rate, which every member is to hear of."""
        self._refused += 1
        self._refused_sent_at = max(self._refused_sent_at, entry.sent_at)

    def ended(self, entry: Entry, usage: "Usage | None", now: float) -> None:
        """Settle a call before it stops being live: what was reserved and not used goes back."""
        self._count_live(now)
        if self._slots < inf and self._tight and now + _RESTLESS < self.due:
            self.due = now + _RESTLESS  # somebody else may want the slot
            self._wake()
        loan, entry.loan = entry.loan, None
        if loan is None or usage is None:
            return
        used = {"input_tokens": usage.input, "output_tokens": usage.output}
        if usage.input is not None and usage.output is not None:
            used["tokens"] = used["stated_tokens"] = usage.input + usage.output
        for name, amount in used.items():
            if amount is not None and name in loan.costs:
                self._spent[name] += amount - loan.costs[name]

    # The fleet asks

    def poke(self, now: float) -> bool:
        """Say whether somebody who now waits is reason to ask the store before it is due."""
        if self.standing is Standing.LOST or (self._tight and self._asked):
            return False
        if self.standing is Standing.HELD:
            self._answer_by = min(self._answer_by, now + PATIENCE_SECONDS)
        due = max(now, self._told_at + _RESTLESS)
        if due < self.due:
            self.due = due
            return True
        return False

    def report(self, now: float) -> dict[str, Any]:
        """Tell what happened since joining, give back what is unused, and ask anew."""
        self._count_live(now)
        pool = self.pool
        self._lent = 0
        demand = self._demand()
        self._asked = len(pool.queue)
        self._told_live = len(pool.live)
        idle = now - self._sent_at > _IDLE_SECONDS and not pool.live
        seen, self._seen = self._seen, {}
        told = {
            "id": self.member,
            "at": self._heard[0],
            "since": now - self._heard[1],
            "alone": self.alone,
            "of": self.members,
            "calls": self._calls,
            "refused": self._refused,
            "refused_age": now - self._refused_sent_at if self._refused else 0.0,
            "admitted": self._admitted,
            "spent": dict(self._spent),
            "facts": self._facts(now),
            "born": self._born,
            "seen": seen,
            "cost": self._next_costs(),
            "demand": demand,
            "queued": self._asked,
            "credit": self._alone.credit(now) if self._alone is not None else 1.0,
            "spare": 0 if idle else ceil(min(self._rate, 1000.0)),
            "live": len(pool.live),
            "mean_live": self._live_seconds / max(now - self._told_at, 1e-3),
            "cap": _finite(min(pool.cap.hard, pool.cap.learned)),
            "cap_epoch": self._cap_epoch,
            "probing": pool.cap.probing if pool.cap.learned < inf else [],
            "gate": max(0.0, pool.gate.until - now) if pool.gate.until > self._gate_told else 0.0,
            "parked": max(0.0, pool.parked_until - now) if pool.parked_until > self._parked_told else 0.0,
        }
        self._gate_told, self._parked_told = pool.gate.until, pool.parked_until
        self._live_seconds, self._told_at = 0.0, now
        if self.standing is not Standing.JOINING:
            self._answer_by = min(self._answer_by, now + PATIENCE_SECONDS)
        return told

    def take(self, reply: Mapping[str, Any], now: float) -> bool:
        """Take what the store lent, and what the others have learnt.

        False if the report came too late to count: there must be another, now.
        """
        self._heard = (float(reply["at"]), now)
        if "late" in reply:
            self._gate_told = self._parked_told = -inf
            return False
        pool = self.pool
        if self.standing is Standing.LOST:
            pool.rejoined(now)
        self.standing, self._alone, self._answer_by = Standing.HELD, None, inf
        self._told_live = None
        self._lent = int(reply["granted"])
        self._slots = reply["slots"] if reply["slots"] >= 0 else inf
        self._own_slots = reply["own_slots"] if reply["slots"] >= 0 else inf
        if reply["born"] != self._born:
            self._born = reply["born"]
            self._seen.clear()
        self._held, self._corrected = _map(reply["held"]), _map(reply["corrected"])
        self._errors = _map(reply["errors"])
        self._taken_at = now
        self._tight = bool(reply["tight"])
        self.members = int(reply["members"])
        self._elsewhere = max(0, int(reply["live"]) - len(pool.live))
        self.rate_per_second = float(reply["rate"])
        for name, amount in _map(reply["elsewhere"]).items():
            pool.mirror.sent_elsewhere(name, amount, self._held[name])
        self._obey(reply, now)
        self.levels = (reply["levels"], reply["call_seconds"]) if "levels" in reply else None
        busy = self._asked or pool.live or now - self._sent_at < _IDLE_SECONDS
        self.due = now + (min(1.0, float(reply["again"])) if busy else 1.0)
        return True

    def lose(self, now: float) -> None:
        """Go on alone: the last share, less a tenth, and the pool's own controllers."""
        if self.standing is Standing.LOST:
            return
        if self.standing is Standing.HELD:
            # Where others wait too they have the other slots for now, and the provider's bucket is as good as
            # empty: what is earned goes out as it comes, and not from all who are alone now at one moment.
            # What a report without an answer gave back may be lent to others by now: one call of it goes.
            sure = inf if self._told_live is None else self._told_live + 1
            held = min(self._slots, sure) if self._tight else inf
            self._alone = Alone(now, held=held, slots=self._own_slots)
            self._alone.bound(self.rate_per_second, self._rng.random() if self._tight else None, now)
        else:
            self._alone = Alone(now)
        self.standing = Standing.LOST
        self._gate_told = self._parked_told = -inf  # what was told last may not have been heard
        self.pool.went_alone(now)
        self._lent, self._slots, self._elsewhere = 0, inf, 0
        self.levels = None

    def _obey(self, reply: Mapping[str, Any], now: float) -> None:
        pool = self.pool
        if reply["gate"] > 0 and now + reply["gate"] > pool.gate.until + 0.05:
            pool.told_to_wait(float(reply["gate"]), now)
        if reply["parked"] > 0:
            pool.parked_until = max(pool.parked_until, now + float(reply["parked"]))
        self._gate_told, self._parked_told = pool.gate.until, pool.parked_until
        if reply["cap_epoch"] != self._cap_epoch:
            self._cap_epoch = int(reply["cap_epoch"])
            if reply["cap"] >= 0 and reply["cap"] != min(pool.cap.hard, pool.cap.learned):
                probing = Probing(*reply["probing"]) if reply["probing"] else None
                pool.cap.recall(float(reply["cap"]), now, probing)

    def _facts(self, now: float) -> dict[str, tuple[float, float, float, float, float, float]]:
        """Tell the dimensions; to a store that forgot them, what is left for sure and how wrong it was."""
        facts = self.pool.quota_facts(now)
        seconds = now - self._taken_at
        earning = 1 - ALONE if self.standing is Standing.LOST else 1.0
        for name in self._held.keys() & facts.keys():
            rate, depth, level, period, left = facts[name]
            if period and period - left < seconds:
                continue  # a new window has begun since
            earned = 0.0 if period else earning * rate * seconds
            facts[name] = (rate, depth, min(level, self._held[name] + earned), period, left)
        return {name: (*fact, self._errors.get(name, 0.0)) for name, fact in facts.items()}

    def _demand(self) -> list[tuple[int, str, int]]:
        waiting = len(self.pool.queue)
        looked_at = self.pool.queue.waiters(_LOOKED_AT)
        if not looked_at:
            return []
        found = Counter((waiter.rank, waiter.tenant) for waiter in looked_at)
        scale = waiting / len(looked_at)
        return [(rank, tenant, ceil(count * scale)) for (rank, tenant), count in found.items()]

    def _next_costs(self) -> dict[str, float]:
        head = self.pool.queue.waiters(1)
        return self.pool.costs(cast("Entry", head[0])) if head else self._next

    def _count_live(self, now: float) -> None:
        self._live_seconds += len(self.pool.live) * (now - self._live_at)
        self._live_at = now


def _windows(quota: "Quota") -> "list[tuple[str, Any]]":
    found = [
        ("requests", quota.requests),
        ("tokens", quota.tokens),
        ("input_tokens", quota.input_tokens),
        ("output_tokens", quota.output_tokens),
    ]
    return [(name, window) for name, window in found if window is not None]


def _finite(value: float) -> float:
    return value if value < inf else -1


def _map(value: Any) -> Mapping[str, float]:
    """Read a mapping: Lua tells an empty one as an empty list."""
    return value if isinstance(value, dict) else {}
