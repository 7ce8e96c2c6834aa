"""One call's way through the cache: follow who asks the same, look it up, or lead it to the provider."""

import asyncio
import time
from collections.abc import Generator
from concurrent.futures import wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from penstock.telemetry.interceptor import (
    Admission,
    Answer,
    Call,
    Granted,
    Interrupted,
    Next,
    Refused,
    Route,
    Served,
    Settlement,
    Ticket,
)
from penstock.trust._answers import KEPT_HEADERS, CachedAnswer, is_whole
from penstock.trust._course import Course, Step, run, run_async
from penstock.trust._flights import Landed, Seat, Turn
from penstock.trust._levels import Level
from penstock.trust._validity import Validity

if TYPE_CHECKING:
    from penstock.trust._cache import ResponseCache

HIT: Final = "hit"
MISS: Final = "miss"
STALE: Final = "stale"
COALESCED: Final = "coalesced"
BYPASS: Final = "bypass"


class CacheTicket:
    """A ticket that asks the cache first. The call reaches the inner interceptor only on a miss."""

    def __init__(self, cache: "ResponseCache", call: Call, key: str, validity: Validity) -> None:
        self._cache = cache
        self._call = call
        self._key = key
        self._validity = validity
        self._inner: Ticket | None = None
        self._seat: Seat | None = None
        self._leading = False
        self._stale: CachedAnswer | None = None
        self._failed = False
        self._result: str | None = None
        self._route: Route | None = None
        self._head: Answer | None = None
        self._chunks: list[bytes] | None = None
        self._size = 0

    def wait(self) -> Admission:
        """Block until there is an answer or a permit."""
        admission: Admission = run(self._course())
        return admission

    async def wait_async(self) -> Admission:
        """Suspend until there is an answer or a permit."""
        admission: Admission = await run_async(self._course())
        return admission

    def answer(self, answer: Answer) -> Next:
        """Pass an answer on; an error for which a stale answer was asked is not shown to the app."""
        assert self._inner is not None
        if self._cache.inner.answer(self._inner, answer) is Next.RETRY:
            return Next.RETRY
        if answer.verdict is None:
            self._head = answer
        elif self._stale is not None and answer.verdict.retryable:
            self._failed = True
            self._settle_inner(Settlement(at=answer.at, end="closed", verdict=answer.verdict))
            return Next.RETRY
        return Next.PASS

    def settle(self, settlement: Settlement) -> None:
        """Close the call, keep what is worth it, tell the followers."""
        self._settle_inner(settlement)
        seat, self._seat = self._seat, None
        if seat is not None:
            self._cache.flights.leave(self._key, seat)
        if self._leading:
            self._leading = False
            self._land(settlement)
        result, self._result = self._result, None
        if result is not None:
            self._cache.on_lookup(result)

    def _course(self) -> Course:
        if self._failed:
            return self._serve_stale()
        if self._inner is None:
            landed = yield from self._from_cache()
            if landed is not None:
                self._result = landed.result
                return served(landed)
            self._result = MISS
            self._inner = self._cache.inner.admit(self._call)
        inner = self._inner
        admission: Admission = yield Step(inner.wait, wait=inner.wait_async)
        if isinstance(admission, Refused) and self._stale is not None:
            return self._serve_stale()
        if isinstance(admission, Granted) and self._leading:
            self._route = admission.route
            self._chunks, self._size = [], 0
            return replace(admission, tap=self._tap)
        return admission

    def _from_cache(self) -> Generator[Step, Any, Landed | None]:
        """Follow or look up; None sends the call on its way, as the leader or alone."""
        seat = self._seat = self._cache.flights.board(self._key)
        if seat is not None:
            seconds = self._patience()
            told = yield Step(lambda: _follow(seat, seconds), wait=lambda: _follow_async(seat, seconds))
            if told is None:
                self._cache.flights.leave(self._key, seat)
            self._seat = None
            if told is not Turn.LEAD:
                return told if isinstance(told, Landed) else None
        self._leading = True
        kept = yield Step(lambda: self._cache.shelf.find(self._key), blocking=self._cache.shelf.remote)
        if kept is None:
            return None
        age = max(0.0, self._cache.clock() - kept.at)
        if age < self._validity.ttl_seconds:
            landed = _landed(kept, Level.CACHE_FRESH, HIT, age)
            self._leading = False
            self._cache.flights.land(self._key, landed)
            return landed
        if age < self._validity.ttl_seconds + self._validity.stale_seconds:
            self._stale = kept
        return None

    def _patience(self) -> float | None:
        """How long to follow: the client's own timeout and the task's deadline hold while following too."""
        limits = [self._call.timeout_seconds]
        if self._call.deadline is not None:
            limits.append(self._call.deadline - time.monotonic())
        known = [limit for limit in limits if limit is not None]
        return max(0.0, min(known)) if known else None

    def _serve_stale(self) -> Served:
        assert self._stale is not None
        self._result = STALE
        age = self._cache.clock() - self._stale.at
        return served(_landed(self._stale, Level.CACHE_STALE, STALE, age))

    def _tap(self, piece: bytes) -> None:
        if self._chunks is None or not piece:
            return
        self._size += len(piece)
        if self._size > self._cache.max_answer_bytes:
            self._chunks = None
        else:
            self._chunks.append(piece)

    def _land(self, settlement: Settlement) -> None:
        flights, key = self._cache.flights, self._key
        answer = self._whole_answer(settlement)
        if answer is None:
            lost = settlement.verdict is None and settlement.end != "eof"
            flights.land(key, Turn.LEAD if lost else Turn.ALONE)
        elif self._route is not None:
            # A fallback's answer is shared with those who waited for it, under its own name, and not kept.
            landed = Landed(
                answer=replace(answer, pool=self._route.pool),
                trust=self._route.trust,
                result=COALESCED,
                reason=self._route.reason,
            )
            flights.land(key, landed)
        else:
            keep_seconds = self._validity.ttl_seconds + self._validity.stale_seconds
            landed = _landed(answer, Level.CACHE_FRESH, COALESCED, 0.0)
            self._cache.shelf.keep(key, answer, keep_seconds, then=lambda: flights.land(key, landed))

    def _whole_answer(self, settlement: Settlement) -> CachedAnswer | None:
        head, chunks = self._head, self._chunks
        if head is None or chunks is None or head.status != 200:
            return None
        if settlement.verdict is not None or settlement.end != "eof" or self._failed:
            return None
        if not is_whole(head.headers.get("content-type", ""), tuple(chunks)):
            return None
        return CachedAnswer(
            at=self._cache.clock(),
            status=head.status,
            headers={name: value for name, value in head.headers.items() if name in KEPT_HEADERS},
            chunks=tuple(chunks),
            pool=self._call.pool,
            model=self._call.model,
        )

    def _settle_inner(self, settlement: Settlement) -> None:
        if self._inner is not None:
            self._cache.inner.settle(self._inner, settlement)


def served(landed: Landed) -> Served:
    """Hand a kept answer to the app; its headers say what it is."""
    answer = landed.answer
    return Served(
        status=answer.status,
        headers={**answer.headers, "x-penstock-trust": landed.trust},
        chunks=answer.chunks,
        trust=landed.trust,
        pool=answer.pool,
        reason=landed.reason,
    )


def _landed(answer: CachedAnswer, level: Level, result: str, age_seconds: float) -> Landed:
    reason = "an identical call's answer" if result == COALESCED else f"kept {age_seconds:.0f} s ago"
    return Landed(answer=answer, trust=level, result=result, reason=reason)


def _follow(seat: Seat, seconds: float | None) -> Landed | Turn | None:
    try:
        wait((seat,), timeout=seconds)
    except Exception as error:  # noqa: BLE001 - a handler of a signal raised: it is the app's
        raise Interrupted(error) from None
    return seat.result() if seat.done() else None


async def _follow_async(seat: Seat, seconds: float | None) -> Landed | Turn | None:
    # `wait` neither cancels the seat when it gives up nor when it is cancelled itself.
    await asyncio.wait((asyncio.wrap_future(seat),), timeout=seconds)
    return seat.result() if seat.done() else None
