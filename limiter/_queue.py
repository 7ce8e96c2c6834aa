"""Who goes next: priority, then the tenant that had least, then the oldest task.

Serving the oldest *task* first instead of the oldest call finishes tasks instead of spreading the
quota over all of them: with 50 agents at twice the quota the slowest tasks take 0.8 of a FIFO's time.
It starves nobody: a call that has waited half of what it may wait, or a minute, moves up a class.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, Protocol

RANKS: Final = {"interactive": 1, "normal": 2, "batch": 3}
"""Rank 0 is for those who waited long enough to go before everyone."""
_CLASSES: Final = 4
_PROMOTE_SECONDS: Final = 60.0
_GOLDEN: Final = 0.618034
_TENANTS: Final = 1024
"""Of more, those are forgotten of whom nobody waits."""
_SAMPLE: Final = 256
"""So many waiters of a class are looked at to place a call; of more, every n-th."""


class Waiter(Protocol):
    """What the queue needs of a call. `age` is its task's start; `give_up_at` ends its wait."""

    rank: int
    tenant: str
    age: float
    number: int
    queued_at: float
    give_up_at: float
    promote_at: float
    not_before: float
    cost: float
    queued: bool


class _Tenant:
    __slots__ = ("heap", "served")

    def __init__(self, served: float) -> None:
        self.heap: list[tuple[float, int, Waiter]] = []
        self.served = served

    def first(self, rank: int) -> Waiter | None:
        """Find its next call, dropping those that left or moved up."""
        heap = self.heap
        while heap and not (heap[0][2].queued and heap[0][2].rank == rank):
            heappop(heap)
        return heap[0][2] if heap else None


class _Class:
    """One priority class: tenants share by what they were served (start-time fair queueing)."""

    __slots__ = ("_tenants", "_virtual")

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}
        self._virtual = 0.0

    def add(self, waiter: Waiter, age: float) -> None:
        tenant = self._tenants.get(waiter.tenant)
        if tenant is None:
            if len(self._tenants) >= _TENANTS:
                self._tenants = {name: one for name, one in self._tenants.items() if one.first(waiter.rank)}
            tenant = self._tenants[waiter.tenant] = _Tenant(self._virtual)
        elif not tenant.heap:
            tenant.served = max(tenant.served, self._virtual)
        heappush(tenant.heap, (age, waiter.number, waiter))

    def head(self, rank: int) -> Waiter | None:
        """Find the next call: of the tenant that was served least."""
        least, found = inf, None
        for tenant in self._tenants.values():
            first = tenant.first(rank)
            if first is not None and tenant.served < least:
                least, found = tenant.served, first
        return found

    def served(self, waiter: Waiter) -> None:
        tenant = self._tenants.get(waiter.tenant)
        if tenant is None:
            return
        self._virtual = max(self._virtual, tenant.served)
        tenant.served += max(1.0, waiter.cost)

    def clear(self) -> None:
        """Let go of those that left, when nobody waits. What tenants were served stays."""
        for tenant in self._tenants.values():
            tenant.heap.clear()

    def ahead_of(self, age: float, number: int, rank: int) -> int:
        """Count those that are older, from a sample if they are many."""
        heaps = [tenant.heap for tenant in self._tenants.values() if tenant.heap]
        step = max(1, sum(map(len, heaps)) // _SAMPLE)
        found = 0
        for index, heap in enumerate(heaps):
            # Where a heap's sample starts must not fall in step with the heaps' lengths.
            for at, other, waiter in heap[int(step * (index * _GOLDEN % 1)) :: step]:
                found += waiter.queued and waiter.rank == rank and (at, other) < (age, number)
        return found * step

    def oldest(self) -> Iterator[Waiter]:
        """Walk all tenants' heaps in order, as far as the caller goes; those that left are among them."""
        heaps = [tenant.heap for tenant in self._tenants.values() if tenant.heap]
        edge = [(heap[0][:2], at, 0) for at, heap in enumerate(heaps)]
        heapify(edge)
        while edge:
            _, at, place = heappop(edge)
            heap = heaps[at]
            yield heap[place][2]
            for child in range(2 * place + 1, min(2 * place + 3, len(heap))):
                heappush(edge, (heap[child][:2], at, child))


class Queue:
    """The calls that wait for one pool. Bounded by its owner, who asks how many are `waiting`."""

    __slots__ = ("_classes", "_delayed", "_expiry", "_head", "_promote", "waiting")

    def __init__(self) -> None:
        self._classes = [_Class() for _ in range(_CLASSES)]
        self._expiry: list[tuple[float, int, Waiter]] = []
        self._promote: list[tuple[float, int, Waiter]] = []
        self._delayed: list[tuple[float, int, Waiter]] = []
        self.waiting = 0
        self._head: Waiter | None = None
        """Whom `head` found last, until the queue changes."""

    def __len__(self) -> int:
        return self.waiting

    def add(self, waiter: Waiter, now: float) -> None:
        """Queue a call, or put it back where it was."""
        waiter.queued = True
        self.waiting += 1
        if waiter.give_up_at < inf:
            heappush(self._expiry, (waiter.give_up_at, waiter.number, waiter))
        if waiter.not_before > now:
            heappush(self._delayed, (waiter.not_before, waiter.number, waiter))
        else:
            self._place(waiter)

    def remove(self, waiter: Waiter, *, served: bool) -> None:
        """Take a call out; if it is `served` its tenant pays."""
        if waiter.queued:
            waiter.queued = False
            self.waiting -= 1
            self._head = None
            if served:
                self._classes[waiter.rank].served(waiter)
            if not self.waiting:
                self._clear()

    def head(self, now: float) -> Waiter | None:
        """Say who goes next."""
        if not self.waiting:
            return None
        self._ripen(now)
        if self._head is None:
            heads = (members.head(rank) for rank, members in enumerate(self._classes))
            self._head = next((waiter for waiter in heads if waiter is not None), None)
        return self._head

    def expired(self, now: float) -> list[Waiter]:
        """Take out those whose wait is over."""
        gone: list[Waiter] = []
        while self._expiry and (self._expiry[0][0] <= now or not self._expiry[0][2].queued):
            at, _, waiter = heappop(self._expiry)
            if waiter.queued and at == waiter.give_up_at:
                self.remove(waiter, served=False)
                gone.append(waiter)
        return gone

    def next_event(self) -> float:
        """Say when the queue itself changes next: an expiry, a ripening, a promotion."""
        return min(
            self._expiry[0][0] if self._expiry else inf,
            self._delayed[0][0] if self._delayed else inf,
        )

    def ahead_of(self, waiter: Waiter) -> int:
        """Count the calls that go before this one; about, where hundreds wait."""
        classes = enumerate(self._classes[: waiter.rank + 1])
        ahead = sum(
            members.ahead_of(inf if rank < waiter.rank else _seniority(waiter), waiter.number, rank)
            for rank, members in classes
        )
        return min(ahead, self.waiting)

    def waiters(self, most: int) -> list[Waiter]:
        """List up to `most` waiting calls in the order in which they would go within their tenants."""
        found: dict[int, Waiter] = {}
        for rank, members in enumerate(self._classes):
            for waiter in members.oldest():
                if len(found) == most:
                    return list(found.values())
                if waiter.queued and waiter.rank == rank:
                    found[waiter.number] = waiter
        return list(found.values())

    def drain(self) -> list[Waiter]:
        """Take out everyone."""
        everyone = self.waiters(self.waiting) + [w for _, _, w in self._delayed if w.queued]
        for waiter in everyone:
            self.remove(waiter, served=False)
        return everyone

    def _clear(self) -> None:
        """Let go of those that left: they hold requests of megabytes, and nobody looks for them now."""
        for heap in (self._expiry, self._promote, self._delayed):
            heap.clear()
        for members in self._classes:
            members.clear()

    def _place(self, waiter: Waiter) -> None:
        self._head = None
        self._classes[waiter.rank].add(waiter, _seniority(waiter))
        if waiter.rank:
            heappush(self._promote, (waiter.promote_at, waiter.number, waiter))

    def _ripen(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            _, _, waiter = heappop(self._delayed)
            if waiter.queued:
                self._place(waiter)
        while self._promote and (self._promote[0][0] <= now or not self._promote[0][2].queued):
            at, _, waiter = heappop(self._promote)
            if waiter.queued and waiter.rank and at == waiter.promote_at:
                waiter.rank -= 1
                waiter.promote_at = at + patience(waiter)
                self._place(waiter)


def _seniority(waiter: Waiter) -> float:
    """Say what a waiter is ordered by in its class: its task's start."""
    # Those in the first class have waited long enough; among them, first come first served.
    return waiter.age if waiter.rank else waiter.queued_at


def patience(waiter: Waiter) -> float:
    """Seconds that a call stays in its class: a minute, or half of what it may wait at all."""
    return min(_PROMOTE_SECONDS, 0.5 * (waiter.give_up_at - waiter.queued_at))
