"""The queue's own answers: who is where, and what asking costs however many wait."""

import gc
import random
import weakref

import pytest

from penstock.limiter._entry import Entry
from penstock.limiter._queue import Queue


class Watched(Entry):
    """Counts how often the queue looks at any waiter."""

    __slots__ = ("_queued",)
    looks = 0

    @property
    def queued(self) -> bool:
        Watched.looks += 1
        return self._queued

    @queued.setter
    def queued(self, value: bool) -> None:
        self._queued = value


class Weak(Entry):
    """Can be watched while it goes."""

    __slots__ = ("__weakref__",)


@pytest.fixture
def fill():
    """Queue `count` calls of random age, all normal, spread over tenants."""

    def make(count, tenants=1, kind=Entry, seed=3):
        rng, queue = random.Random(seed), Queue()
        entries = [
            kind(number, 0.0, tenant=f"t{number % tenants}", age=rng.random()) for number in range(count)
        ]
        for entry in entries:
            queue.add(entry, 0.0)
        return queue, entries

    return make


def test_a_place_in_a_short_queue_is_exact(fill):
    queue, entries = fill(200, tenants=3)
    for place, entry in enumerate(sorted(entries, key=lambda e: e.age)):
        assert queue.ahead_of(entry) == place


@pytest.mark.parametrize("tenants", [1, 7, 900])
def test_a_place_in_a_long_queue_is_right_within_a_tenth_of_it(fill, tenants):
    queue, entries = fill(9000, tenants)
    for place, entry in list(enumerate(sorted(entries, key=lambda e: e.age)))[::500]:
        assert abs(queue.ahead_of(entry) - place) <= 900


def test_who_has_less_priority_is_not_ahead(fill):
    queue, _ = fill(5000)
    urgent = Entry(-5, 1.0, priority="interactive", age=1.0)
    batch = Entry(-6, 1.0, priority="batch", age=0.0)
    queue.add(urgent, 1.0)
    queue.add(batch, 1.0)
    assert queue.ahead_of(urgent) == 0
    assert queue.ahead_of(batch) >= 4500


@pytest.mark.parametrize("ask", ["ahead_of", "waiters"])
def test_asking_costs_no_more_when_more_wait(fill, ask):
    looks = []
    for count in (2000, 16_000):
        queue, entries = fill(count, kind=Watched)
        Watched.looks = 0
        queue.ahead_of(entries[5]) if ask == "ahead_of" else queue.waiters(64)
        looks.append(Watched.looks)
    assert looks[1] <= 2 * looks[0]


def test_the_oldest_are_listed_in_order_once_each(fill):
    queue, entries = fill(3000, tenants=5)
    gone = sorted(entries, key=lambda e: e.age)[10]
    queue.remove(gone, served=False)
    queue.add(gone, 0.0)
    for entry in entries[::2]:
        queue.remove(entry, served=False)
    left = sorted((e for e in entries if e.queued), key=lambda e: e.age)
    assert queue.waiters(64) == left[:64]


def test_who_was_served_is_let_go_when_nobody_waits():
    queue, kept = Queue(), []
    for number in range(50):
        entry = Weak(number, 0.0, tenant=f"t{number % 7}", give_up_at=60.0)
        queue.add(entry, 0.0)
        kept.append(weakref.ref(entry))
    while (entry := queue.head(0.0)) is not None:
        queue.remove(entry, served=True)
    gc.collect()
    assert {one() for one in kept} == {None}


def test_tenants_who_left_are_forgotten_beyond_a_thousand(fill):
    queue, _ = fill(1)
    for number in range(1, 5000):
        entry = Entry(number, 0.0, tenant=f"t{number}")
        queue.add(entry, 0.0)
        queue.remove(entry, served=number % 2 == 0)
    assert max(len(members._tenants) for members in queue._classes) <= 1024
