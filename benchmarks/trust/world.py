"""A bad day in virtual time: 429 storms, an outage, a fallback that errs, an old cache, a slow bank, crashes.

The provider, the bank and the crashes are made up and seeded; limiter, routing, lineage, cache, guard and
ledger are the production code. One `World` is one day; processes come and go in it.
"""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Final

from benchmarks.limiter_lab.clock import VirtualLoop
from penstock.classifiers import SpanKind, classify, evidence_of_response
from penstock.limiter import Limiter, LoopScheduler, parse_settings
from penstock.telemetry.interceptor import Answer, Call, Granted, Next, Served, Settlement
from penstock.trust import Lineage, MemoryLedger, MemoryStore, ResponseCache, cached

INVOICES: Final = 24
FALLBACK_ERRS: Final = 0.2
SECRET: Final = b"the benchmark's own secret"
POOLS: Final = {
    "pools": {
        "openai:big": {"fallback": ["openai:small"], "wait_up_to_seconds": 2, "max_wait_seconds": 600},
        "openai:small": {"model": "small"},
    }
}
RATE_LIMITED: Final = (
    429,
    {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}},
)
OVERLOADED: Final = (
    503,
    {"error": {"message": "overloaded", "type": "service_unavailable_error", "code": "server_is_overloaded"}},
)


class Killed(BaseException):
    """kill -9: the process ends here."""


class UnavailableError(Exception):
    """The app's own view of a call that failed for good."""


@dataclass
class Payment:
    """Money that left. `source` is where the amount came from: big, small or stale."""

    invoice: str
    cents: int
    source: str
    confirmed: bool


@dataclass
class World:
    """What outlives a process: the documents, the provider's day, the bank's statement, the disk."""

    seed: int
    loop: VirtualLoop
    payments: list[Payment] = field(default_factory=list)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)  # stands for the file: it outlives processes
    kills: int = 0

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        self.rng = random.Random(self.seed * 7919 + 1)
        self.start = self.loop.time()
        self.totals = {f"i{n}": rng.randrange(1_000, 900_000) for n in range(INVOICES)}
        # Yesterday's answers, past their TTL: three in ten invoices were corrected since.
        self.yesterday = {
            name: cents if rng.random() > 0.3 else cents + 5_000 for name, cents in self.totals.items()
        }
        outage = rng.uniform(1, 8)
        self.outage = (outage, outage + rng.uniform(30, 120))
        self.storms = [(s, s + rng.uniform(3, 15)) for s in (rng.uniform(0, 60) for _ in range(3))]
        self.store = MemoryStore()
        self.source: dict[str, str] = {}
        self.confirmed: set[tuple[str, int]] = set()
        self._executed: dict[str, str] = {}
        self._remember_yesterday()

    # The bank

    async def transfer(self, invoice_id: str, cents: int) -> str:
        """Send money. The request leaves at once; what happens to the sender afterwards changes nothing."""
        self._maybe_kill(0.01)
        confirmed = (invoice_id, cents) in self.confirmed
        payment = Payment(invoice_id, cents, self.source[invoice_id], confirmed)
        self.loop.call_later(0.3, self._execute, payment)
        self._maybe_kill(0.01)
        await asyncio.sleep(self.rng.uniform(0.4, 1.0))
        if self.rng.random() < 0.03:
            raise TimeoutError
        self._maybe_kill(0.02)
        return self._executed[invoice_id]

    async def find(self, invoice_id: str) -> str | None:
        """Look at the statement, once all that was sent has settled."""
        await asyncio.sleep(1.0)
        return self._executed.get(invoice_id)

    def _execute(self, payment: Payment) -> None:
        self.payments.append(payment)
        self._executed[payment.invoice] = f"receipt-{len(self.payments)}"

    def _maybe_kill(self, chance: float) -> None:
        if self.rng.random() < chance:
            self.kills += 1
            raise Killed

    # The provider

    def provide(self, model: str, prompt: str) -> tuple[int, dict[str, object]]:
        """Answer as the provider does at this moment."""
        at = self.loop.time() - self.start
        if model == "big":
            if self.outage[0] <= at < self.outage[1]:
                return OVERLOADED
            if any(begin <= at < end for begin, end in self.storms) and self.rng.random() < 0.7:
                return RATE_LIMITED
        kind, invoice, said = prompt.split()
        right = self.totals[invoice]
        wrong = model == "small" and self.rng.random() < FALLBACK_ERRS
        if kind == "read":
            return 200, {"model": model, "text": str(right * 10 if wrong else right)}
        if model == "big" and int(said) == right:
            self.confirmed.add((invoice, right))
        return 200, {"model": model, "text": "yes" if (int(said) == right) is not wrong else "no"}

    # One process

    def process(self) -> "Process":
        """Start a process: a fresh limiter, the shared cache."""
        return Process(self)

    def _remember_yesterday(self) -> None:
        for invoice, cents in self.yesterday.items():
            inner = _Yes()
            cache = ResponseCache(inner, secret=SECRET, store=self.store, clock=lambda: time.time() - 7_200)
            with cached(ttl_seconds=3_600, stale_seconds=86_400):
                ticket = cache.admit(call_of(f"read {invoice} ?"))
                admission = ticket.wait()
                assert isinstance(admission, Granted)
                assert admission.tap is not None
                cache.answer(
                    ticket,
                    Answer(sent_at=0, at=0, status=200, headers={"content-type": "application/json"}),
                )
                admission.tap(json.dumps({"model": "stale", "text": str(cents)}).encode())
                cache.settle(ticket, Settlement(at=0, end="eof"))


class Process:
    """What one process of the app has in memory."""

    def __init__(self, world: World) -> None:
        self.world = world
        loop = world.loop
        self.limiter = Limiter(
            parse_settings(POOLS),
            clock=loop.time,
            scheduler=LoopScheduler(loop),
            seed=world.rng.randrange(2**32),
        )
        self.transport = Lineage(
            ResponseCache(self.limiter, secret=SECRET, store=world.store, clock=time.time)
        )

    async def ask(self, prompt: str) -> str:
        """Call the model as a hook would."""
        call = call_of(prompt)
        with cached(ttl_seconds=3_600, stale_seconds=86_400):
            ticket = self.transport.admit(call)
        end = "cancelled"
        verdict = None
        try:
            while True:
                admission = await ticket.wait_async()
                if isinstance(admission, Served):
                    end = "eof"
                    return self._told(prompt, b"".join(admission.chunks))
                if not isinstance(admission, Granted):
                    raise UnavailableError(admission.reason)
                model = admission.route.model if admission.route else "big"
                sent_at = self.world.loop.time()
                await asyncio.sleep(self.world.rng.uniform(0.3, 1.5))
                status, body = self.world.provide(model or "big", prompt)
                raw = json.dumps(body).encode()
                headers = {"content-type": "application/json"}
                verdict = None
                if status != 200:
                    verdict = classify(
                        evidence_of_response(status, headers, raw, provider="openai", span_kind=SpanKind.LLM)
                    )
                answer = Answer(
                    sent_at=sent_at,
                    at=self.world.loop.time(),
                    status=status,
                    headers=headers,
                    verdict=verdict,
                )
                if self.transport.answer(ticket, answer) is Next.RETRY:
                    continue
                end = "eof"
                if verdict is not None:
                    raise UnavailableError(verdict.reason)
                if admission.tap is not None:
                    admission.tap(raw)
                return self._told(prompt, raw)
        finally:
            self.transport.settle(ticket, Settlement(at=self.world.loop.time(), end=end, verdict=verdict))

    def _told(self, prompt: str, raw: bytes) -> str:
        answer = json.loads(raw)
        kind, invoice, _ = prompt.split()
        if kind == "read":
            self.world.source[invoice] = answer["model"]
        return str(answer["text"])


class _Yes:
    """An interceptor that lets everything pass, to fill the cache with."""

    def admit(self, call: Call) -> "_Yes":
        return self

    def wait(self) -> Granted:
        return Granted()

    async def wait_async(self) -> Granted:
        return Granted()

    def answer(self, ticket: object, answer: Answer) -> Next:
        return Next.PASS

    def settle(self, ticket: object, settlement: Settlement) -> None:
        return None


def call_of(prompt: str) -> Call:
    """Describe a request to the interceptor."""
    body = json.dumps({"model": "big", "temperature": 0, "messages": [{"role": "user", "content": prompt}]})
    return Call(
        provider="openai",
        host="api.openai.com",
        pool="openai:big",
        model="big",
        operation="chat",
        input_tokens=200,
        max_output_tokens=20,
        body=body.encode(),
    )
