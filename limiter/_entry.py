"""One call as the core sees it: its place in the queue, its costs, its sends."""

from math import inf
from typing import TYPE_CHECKING

from penstock.limiter._mirror import Marks
from penstock.limiter._queue import RANKS

if TYPE_CHECKING:
    from penstock.limiter.fleet import Loan


class Entry:
    """A call that waits, runs or has ended. Plain data: the pool and the queue own its meaning."""

    __slots__ = (
        "age", "attempts", "cost", "give_up_at", "input_tokens", "live_before",
        "loan", "marks", "max_output", "not_before", "number", "order", "promote_at", "queued", "queued_at",
        "rank", "sent_at", "static_tokens", "tenant",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        now: float,
        *,
        priority: str = "normal",
        tenant: str = "default",
        age: float | None = None,
        give_up_at: float = inf,
        input_tokens: int = 0,
        max_output: int | None = None,
    ) -> None:
        self.number = number
        self.rank = RANKS.get(priority, 2)
        self.tenant = tenant
        self.age = now if age is None else age
        self.queued_at = now
        self.give_up_at = give_up_at
        self.promote_at = inf
        self.not_before = now
        self.cost = 1.0
        self.queued = False
        self.input_tokens = input_tokens
        self.max_output = max_output
        self.loan: Loan | None = None
        self.marks: Marks | None = None
        self.order = 0
        self.sent_at = now
        self.live_before = 0
        self.static_tokens = 0.0
        self.attempts = 0

    @property
    def declared_tokens(self) -> int:
        """Input and the most output, as the request says."""
        return self.input_tokens + (self.max_output or 0)

    @classmethod
    def probe(cls, now: float) -> "Entry":
        """Make a small call that stands for 'one more' in estimates; it is never sent."""
        return cls(-1, now, input_tokens=1, max_output=1)
