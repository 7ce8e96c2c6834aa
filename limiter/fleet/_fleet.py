"""A process's membership in a fleet: one thread that exchanges reports for shares; no app waits for it."""

import logging
import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from penstock.limiter._lock import Lock
from penstock.limiter.fleet._share import PATIENCE_SECONDS, Share, Standing
from penstock.limiter.fleet._store import Store, StoreError

if TYPE_CHECKING:
    from penstock.limiter._pool import Pool

_log: Final = logging.getLogger("penstock")
_REJOIN_SECONDS: Final = (0.3, 2.2)
"""Two tries fit into five seconds; the first few come sooner."""
_PATIENT: Final = 4
"""From this try on, the pauses are whole; each before is half of the next."""
_PAUSE_SECONDS: Final = 1.0
_QUICK: Final = 0.8


class Host(Protocol):
    """The limiter, as far as its fleet needs it."""

    lock: Lock
    clock: Callable[[], float]

    def exchanged(self, pool: str) -> None:
        """Send whoever may go."""
        ...


class Fleet:
    """All pools' shares of this process, and the thread that keeps them.

    `connect` makes the store: anew in a forked child, which is a member of its own.
    """

    def __init__(self, connect: Callable[[], Store]) -> None:
        self._connect = connect
        self._store = connect()
        self._shares: dict[str, Share] = {}
        self._host: Host | None = None
        self._start_over()

    def _start_over(self) -> None:
        self._member = uuid.uuid4().hex[:16]
        self._rng = random.Random(self._member)  # forked children must not come back all at once
        self._thread: threading.Thread | None = None
        self._woken = threading.Event()
        self._closed = False
        self._lost = False
        self._try_at = 0.0
        self._misses = 0
        self._shares = {}
        self.operations: Counter[str] = Counter()
        """Round trips to the store by result: `ok` or `failed`."""

    @property
    def up(self) -> bool:
        """Whether the store answers."""
        return not self._lost

    @property
    def shares(self) -> dict[str, Share]:
        """The shares of this process, by pool."""
        return dict(self._shares)

    # Under the limiter's lock

    def serve(self, host: Host) -> None:
        """Work for this limiter."""
        self._host = host

    def join(self, pool: "Pool", now: float) -> Share:
        """Make this process's share of a pool, and ask for its first loan."""
        share = self._shares[pool.name] = Share(pool, self._member, now, self._wake)
        if self._lost:
            share.lose(now)
        self._wake()
        return share

    def wanted(self, pool: "Pool", now: float) -> float:
        """Ask for more than is due, if somebody waits for nothing but the fleet. Says when to look again."""
        share = pool.share
        if share is None or pool.reason() != "fleet":
            return inf
        if share.poke(now):
            self._wake()
        return share.when(now)

    def after_fork(self) -> None:
        """Become a member of one's own in a forked child."""
        self._start_over()
        self._store = self._connect()

    # From anywhere

    def close(self) -> None:
        """Give everything back, and stop. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._woken.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(10 * PATIENCE_SECONDS)
        if not self._lost:
            self._leave()
        self._store.close()

    def _leave(self) -> None:
        """Give back what is lent. Who cannot, stopped by a signal inside the lock, is missed before long."""
        host = self._host
        if host is None or not host.lock.acquire(timeout=PATIENCE_SECONDS):
            return
        try:
            reports = {name: share.report(host.clock()) for name, share in self._shares.items()}
        finally:
            host.lock.release()
        try:
            for name, report in reports.items():
                self._store.exchange(name, {**report, "leave": True})
        except StoreError as error:
            _log.debug("penstock: could not leave the fleet: %s", error)

    def _wake(self) -> None:
        """Have a round of exchanges soon."""
        self._woken.set()
        if self._thread is None and not self._closed:
            thread = threading.Thread(target=self._run, name="penstock-fleet", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the interpreter ends, or no more threads may be
                _log.debug("penstock: alone, as the fleet's thread cannot start: %s", error)
            else:
                self._thread = thread

    # On the thread

    def _run(self) -> None:
        while not self._closed:
            try:
                pause = self._round()
            except Exception:  # noqa: BLE001 - the app comes first
                _log.exception("penstock: the fleet's thread failed, and goes on")
                pause = _PAUSE_SECONDS
            self._woken.wait(pause)
            self._woken.clear()

    def _round(self) -> float:
        """Exchange whatever is due. Returns the seconds until something is."""
        host = self._host
        assert host is not None
        with host.lock:
            now = host.clock()
            if self._lost and now < self._try_at:
                return self._try_at - now
            due = [share for share in self._shares.values() if share.due <= now or self._lost]
        for share in due:
            if not self._exchange(host, share):
                break
        with host.lock:
            now = host.clock()
            at = (
                self._try_at
                if self._lost
                else min((share.due for share in self._shares.values()), default=now + 1)
            )
        return max(0.0, at - now)

    def _exchange(self, host: Host, share: Share) -> bool:
        try:
            if self._lost:
                self._sound_out(host, share)
            if not self._told(host, share) and not self._told(host, share):
                raise StoreError("reports are too long under way")
        except (StoreError, KeyError, TypeError, ValueError) as error:
            self._lose(host, error)
            return False
        self.operations["ok"] += 1
        self._misses = 0
        if self._lost:
            self._lost = False
            _log.warning("penstock: the store is back; sharing the quota again")
        host.exchanged(share.pool.name)
        return True

    def _told(self, host: Host, share: Share) -> bool:
        with host.lock:
            report = share.report(host.clock())
        reply = self._store.exchange(share.pool.name, report)
        with host.lock:
            return share.take(reply, host.clock())

    def _sound_out(self, host: Host, share: Share) -> None:
        """Come back to a store that is quick, not to one at the edge of being lost again."""
        began = host.clock()
        self._store.exchange(share.pool.name, {"look": True})
        if host.clock() - began > _QUICK * PATIENCE_SECONDS:
            raise StoreError("it answers too slowly to come back to")

    def _lose(self, host: Host, error: Exception) -> None:
        self.operations["failed"] += 1
        if not self._lost:
            _log.warning(
                "penstock: the store is lost, going on with nine tenths of the last share: %s", error
            )
        with host.lock:
            self._lost = True
            now = host.clock()
            self._misses = min(self._misses + 1, _PATIENT)
            self._try_at = now + self._rng.uniform(*_REJOIN_SECONDS) * 2.0 ** (self._misses - _PATIENT)
            changed = [share for share in self._shares.values() if share.standing is not Standing.LOST]
            for share in changed:
                share.lose(now)
        for share in changed:
            host.exchanged(share.pool.name)
