"""Single flight: of identical calls that are in the air at once, one is sent and all are answered."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum

from penstock.trust._answers import CachedAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What a leader brings its followers; `result` is the word its lookup is counted by."""

    answer: CachedAnswer
    trust: str
    result: str
    reason: str


class Turn(Enum):
    """What a follower is told whose leader came back empty-handed."""

    LEAD = "lead"
    ALONE = "alone"


Seat = Future[Landed | Turn]


class Flights:
    """Who leads and who follows, per key. Thread-safe; followers wait on futures of their own.

    A finalizer may end a leader's flight anywhere, also inside of the lock.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._followers: dict[str, list[Seat]] = {}

    def board(self, key: str) -> Seat | None:
        """Take a seat behind the call that is in the air; None makes the caller the leader."""
        seat: Seat = Future()
        with self._lock:
            if key in self._followers:
                self._followers[key].append(seat)
                return seat
            self._followers[key] = []
            return None

    def land(self, key: str, landed: Landed | Turn) -> None:
        """End the leader's flight.

        An answer goes to every follower. `ALONE` sends each on its own way: after an error, taking
        turns would make the last of many wait for all. `LEAD` makes the first one the leader.
        """
        with self._lock:
            followers = self._followers.pop(key, [])
            if landed is Turn.LEAD and followers:
                followers, self._followers[key] = followers[:1], followers[1:]
        for seat in followers:
            seat.set_result(landed)

    def leave(self, key: str, seat: Seat) -> None:
        """Give a seat up; whoever was told to lead and leaves passes that on."""
        with self._lock:
            followers = self._followers.get(key, [])
            if seat in followers:
                followers.remove(seat)
                return
        if seat.result() is Turn.LEAD:
            self.land(key, Turn.LEAD)
