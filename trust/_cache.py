"""The response cache: an interceptor before the limiter's, so that a hit costs no quota and no wait."""

import time
from collections.abc import Callable
from typing import Final

from penstock.errors import UsageError
from penstock.telemetry import guard
from penstock.telemetry.interceptor import Answer, Call, Interceptor, Next, Settlement, Ticket
from penstock.trust._cache_ticket import BYPASS, CacheTicket
from penstock.trust._flights import Flights
from penstock.trust._shelf import Shelf
from penstock.trust._stores import AnswerStore, MemoryStore
from penstock.trust._validity import Validity, asked_validity, request_key

MIN_SECRET: Final = 16


class ResponseCache:
    """Answers calls that `cached()` (or `default`) allows from what was answered before.

    `secret` keys the hashes in the store and seals its entries; processes that share a store share it.
    Only the primary's own answers are kept. Answers above `max_answer_bytes` pass by unkept.
    `on_lookup` is told hit, miss, stale, coalesced or bypass for each call that may be cached.

    Raises:
        UsageError: the secret is shorter than 16 bytes.
    """

    def __init__(
        self,
        inner: Interceptor,
        *,
        secret: bytes,
        store: AnswerStore | None = None,
        default: Validity | None = None,
        max_answer_bytes: int = 1024 * 1024,
        on_lookup: Callable[[str], None] = lambda result: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if len(secret) < MIN_SECRET:
            raise UsageError(f"the cache's secret has {len(secret)} bytes; give it {MIN_SECRET} or more")
        self.inner = inner
        self.shelf = Shelf(secret, store or MemoryStore())
        self.flights = Flights()
        self.max_answer_bytes = max_answer_bytes
        self.on_lookup = on_lookup
        self.clock = clock
        self._secret = secret
        self._default = default

    def admit(self, call: Call) -> Ticket:
        """Take a call; one that nobody asked to cache goes straight on."""
        validity = asked_validity() or self._default
        if validity is None:
            return self.inner.admit(call)
        try:
            key = request_key(self._secret, call, validity)
        except Exception as error:  # noqa: BLE001 - a fingerprint of the app's own that cannot be told now
            guard.failed("trust.cache.fingerprint", error)
            key = None
        if key is None:
            self.on_lookup(BYPASS)
            return self.inner.admit(call)
        return CacheTicket(self, call, key, validity)

    def answer(self, ticket: Ticket, answer: Answer) -> Next:
        """Learn from an answer; a stale one may take the place of an error."""
        if isinstance(ticket, CacheTicket):
            return ticket.answer(answer)
        return self.inner.answer(ticket, answer)

    def settle(self, ticket: Ticket, settlement: Settlement) -> None:
        """Close a call; a good answer is kept, and given to those who waited for it."""
        if isinstance(ticket, CacheTicket):
            ticket.settle(settlement)
        else:
            self.inner.settle(ticket, settlement)

    def after_fork(self) -> None:
        """Start over in a child: whoever leads a call in the parent will never land here."""
        self.flights = Flights()

    def close(self) -> None:
        """Finish what is being written."""
        self.shelf.close()
