"""Any order of events: permits are conserved, the cap is kept, nobody is forgotten."""

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from penstock.classifiers import CLASSES, ErrorClass, Verdict
from penstock.limiter import Fallback, Limiter, LimiterSettings, PoolSettings
from penstock.providers import Quota, Usage, Window
from penstock.telemetry.interceptor import Answer, Call, Granted, Next, Refused, Settlement


class _Clock:
    def __init__(self) -> None:
        self.now = 50.0
        self.due: list[tuple[float, int, object]] = []
        self.count = itertools.count()

    def __call__(self) -> float:
        return self.now

    def call_at(self, when, run) -> None:
        self.due.append((when, next(self.count), run))

    def pass_(self, seconds: float) -> None:
        end = self.now + seconds
        while self.due and min(self.due)[0] <= end:
            item = min(self.due, key=lambda entry: entry[:2])
            self.due.remove(item)
            self.now = max(self.now, item[0])
            item[2]()
        self.now = end


REASONS = [
    ("rate_limit", "requests_per_minute"), ("rate_limit", "concurrency"), ("rate_limit", "ramp"),
    ("rate_limit", "tokens_per_minute"), ("rate_limit", "requests_per_day"), ("overloaded", None),
    ("quota", "billing"), ("timeout", None), ("server_error", None), ("auth", None),
]  # fmt: skip


class LimiterMachine(RuleBasedStateMachine):
    waiting = Bundle("waiting")

    @initialize(cap=st.integers(1, 4), spill=st.booleans())
    def start(self, cap: int, spill: bool) -> None:
        self.clock = _Clock()
        self.cap = cap
        self.most_wait = 30.0
        fallback = (Fallback(pool="q"),) if spill else ()
        self.limiter = Limiter(
            LimiterSettings(
                pools={
                    "p": PoolSettings(
                        max_concurrency=cap, queue_limit=8, max_wait_seconds=self.most_wait,
                        fallback=fallback, wait_up_to_seconds=2.0,
                    ),
                    "q": PoolSettings(max_concurrency=2),
                }
            ),
            clock=self.clock, scheduler=self.clock, seed=1,
        )  # fmt: skip
        self.open: list[object] = []
        self.entered: dict[int, float] = {}

    @rule(
        target=waiting,
        priority=st.sampled_from(["interactive", "normal", "batch"]),
        tenant=st.sampled_from(["a", "b"]),
        age=st.floats(0, 50),
        tokens=st.integers(0, 5000),
        key=st.booleans(),
    )
    def ask(self, priority, tenant, age, tokens, key):
        call = Call(
            provider="o", host="h", pool="p", model="m", operation="chat", priority=priority,
            tenant=tenant, task_started=age, input_tokens=tokens, max_output_tokens=100,
            idempotency_key="k" if key else None,
        )  # fmt: skip
        ticket = self.limiter.admit(call)
        self.open.append(ticket)
        self.entered[id(ticket)] = self.clock.now
        return ticket

    @rule(ticket=waiting, remaining=st.none() | st.integers(-1, 600), reset=st.none() | st.floats(0, 60))
    def succeed(self, ticket, remaining, reset):
        if not isinstance(ticket.admission, Granted):
            return
        window = Window(limit=600.0, remaining=remaining, reset_seconds=reset)
        answer = Answer(
            sent_at=self.clock.now, at=self.clock.now, status=200,
            quota=Quota(requests=window, tokens=window) if remaining is not None else None,
        )  # fmt: skip
        assert self.limiter.answer(ticket, answer) is Next.PASS

    @rule(
        ticket=waiting, why=st.sampled_from(REASONS), after=st.none() | st.sampled_from([0.0, 0.5, 3.0, 5e6])
    )
    def fail(self, ticket, why, after):
        if not isinstance(ticket.admission, Granted):
            return
        kind = ErrorClass(why[0])
        facts = CLASSES[kind]
        verdict = Verdict(
            error_class=kind, reason="x", retryable=facts.retryable, fault=facts.fault,
            side_effects=facts.side_effects, retry_after=after, limit_dimension=why[1],
        )  # fmt: skip
        answer = Answer(sent_at=self.clock.now, at=self.clock.now, status=429, verdict=verdict)
        if self.limiter.answer(ticket, answer) is Next.RETRY:
            assert ticket.admission is None or not isinstance(ticket.admission, Refused)

    @rule(ticket=consumes(waiting), end=st.sampled_from(["eof", "cancelled", "broken"]), used=st.booleans())
    def end(self, ticket, end, used):
        usage = Usage(input=10, output=20) if used else None
        for _ in range(2):
            self.limiter.settle(ticket, Settlement(at=self.clock.now, end=end, usage=usage))
        if ticket in self.open:
            self.open.remove(ticket)

    @rule(seconds=st.floats(0.0, 40.0))
    def wait(self, seconds):
        self.clock.pass_(seconds)

    @invariant()
    def permits_are_conserved(self):
        if not hasattr(self, "limiter"):
            return
        snapshots = self.limiter.snapshot()
        if "p" not in snapshots:
            return
        assert 0 <= snapshots["p"].in_flight <= self.cap
        queued = [t for t in self.open if t.queued]
        assert snapshots["p"].queued == len(queued)
        live = sum(s.in_flight for s in snapshots.values())
        assert live <= len([t for t in self.open if isinstance(t.admission, Granted)])

    @invariant()
    def nobody_waits_longer_than_allowed(self):
        if not hasattr(self, "limiter"):
            return
        for ticket in self.open:
            if ticket.admission is None:
                assert self.clock.now <= self.entered[id(ticket)] + self.most_wait + 0.01


LimiterMachine.TestCase.settings = settings(
    max_examples=500, stateful_step_count=50, deadline=None, derandomize=True
)
TestLimiter = LimiterMachine.TestCase
