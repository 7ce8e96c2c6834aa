"""Records as the hooks would write them, on a clock that the test moves."""

from dataclasses import dataclass, field

import pytest

from penstock.classifiers import ErrorClass, Fault, SideEffects, Verdict
from penstock.telemetry.metering import Metering
from penstock.telemetry.records import Attempt, Operation, Task
from penstock.telemetry.registry import Registry

SECOND = 1_000_000_000


@dataclass
class Clock:
    ns: int = 1_700_000_000 * SECOND

    def __call__(self):
        return self.ns

    def tick(self, seconds):
        self.ns += round(seconds * SECOND)
        return self.ns


@dataclass
class Stage:
    """A metering sink, and hands that play the hooks."""

    clock: Clock = field(default_factory=Clock)
    registry: Registry = field(default_factory=Registry)

    def __post_init__(self):
        self.metering = Metering(self.registry, version="1.2.3", clock_ns=self.clock)

    def task(self, **fields):
        defaults = {"id": "t1", "name": "t", "started_ns": self.clock(), "started_monotonic": 0.0}
        return Task(**{**defaults, **fields})

    def operation(self, **fields):
        defaults = {"provider": "openai", "operation": "chat", "model": "gpt-5", "pool": "openai:gpt-5"}
        return Operation(**{**defaults, "started_ns": self.clock(), **fields})

    def send(self, operation=None, number=1, **fields):
        operation = operation or self.operation()
        attempt = Attempt(
            operation=operation,
            number=number,
            provider=operation.provider,
            host="api.openai.com",
            port=443,
            pool=fields.pop("pool", operation.pool),
            model=operation.model,
            started_ns=self.clock(),
            **fields,
        )
        self.metering.attempt_started(attempt)
        return attempt

    def end(self, attempt, verdict=None, **fields):
        for name, value in fields.items():
            setattr(attempt, name, value)
        attempt.verdict, attempt.ended_ns = verdict, self.clock()
        self.metering.attempt_ended(attempt)


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def rate_limited():
    return Verdict(
        error_class=ErrorClass.RATE_LIMIT,
        reason="requests_per_minute",
        retryable=True,
        fault=Fault.CALLER_LIMIT,
        side_effects=SideEffects.NONE,
        retry_after=1.5,
    )
