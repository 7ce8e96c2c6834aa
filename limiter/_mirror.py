"""The mirror: all dimensions of a pool's quota that headers have told, and what a call costs in each."""

from collections.abc import Sequence
from typing import Final, Protocol

from penstock.limiter._meter import Mark, Meter
from penstock.providers import Quota, Usage, Window

_MEMORY: Final = 0.95
_KEEP_MODEL: Final = 0.7
_LONGEST_SECONDS: Final = 3600.0
"""A quota per day says nothing of the rate that is allowed now; when it ends, a refusal says so."""


class Charged(Protocol):
    """What the mirror needs of a call: its estimates, and room for its marks."""

    order: int
    input_tokens: int
    max_output: int | None
    marks: "Marks | None"


class Marks:
    """What one live call was charged, per dimension, so that its answer and its end can correct it."""

    __slots__ = ("input", "input_cost", "metered", "output_cost", "produced", "requests", "reserved", "total")

    def __init__(self) -> None:
        self.requests: Mark | None = None
        self.reserved: Mark | None = None
        self.metered: Mark | None = None
        self.input: Mark | None = None
        self.produced: tuple[Mark | None, Mark | None] = (None, None)
        self.input_cost = 0.0
        self.output_cost = 0.0
        self.total = 0.0


class Estimator:
    """Turns what a request declares into what it will cost: learnt from the usage of answers."""

    __slots__ = ("_fed", "_input_ratio", "_output", "_said")

    def __init__(self) -> None:
        self._input_ratio = 1.0
        self._output = 0.0
        self._fed = self._said = 0

    def input(self, declared: int) -> float:
        """Estimate input tokens from a character count."""
        return declared * self._input_ratio

    def output(self, declared: int | None) -> float:
        """Estimate the tokens that will be produced."""
        if not self._said:
            return float(declared or 0)
        return min(self._output, declared) if declared else self._output

    def learn(self, declared_input: int, usage: Usage) -> None:
        """Calibrate by one answer, as far as it tells."""
        if usage.input and declared_input > 0:
            self._fed += 1
            ratio = min(10.0, max(0.1, usage.input / declared_input))
            self._input_ratio += max(1 - _MEMORY, 1 / self._fed) * (ratio - self._input_ratio)
        if usage.output is not None:
            self._said += 1
            self._output += max(1 - _MEMORY, 1 / self._said) * (usage.output - self._output)


class _Pair:
    """Two shadows of one dimension: the declared maximum reserved at the start, or metered as produced.

    Providers differ and don't say; the shadow whose predictions fit better is the one that is asked.
    """

    __slots__ = ("metered", "reserving", "use_reserved")

    def __init__(self, window: Window, remaining: float, limit: float, now: float) -> None:
        self.reserving = Meter(limit, window.period_seconds, remaining, now)
        self.metered = Meter(limit, window.period_seconds, remaining, now)
        self.use_reserved = True

    @property
    def active(self) -> Meter:
        return self.reserving if self.use_reserved else self.metered

    def judge(self) -> None:
        mine, other = self.active, self.metered if self.use_reserved else self.reserving
        if other.fit < _KEEP_MODEL * mine.fit:
            self.use_reserved = not self.use_reserved


class Mirror:
    """Says when a call fits into every dimension that headers have told."""

    __slots__ = (
        "counts_tokens",
        "estimator",
        "input",
        "known",
        "mean_cost",
        "output",
        "producing",
        "requests",
        "tokens",
    )

    def __init__(self) -> None:
        self.requests: Meter | None = None
        self.tokens: _Pair | None = None
        self.input: Meter | None = None
        self.output: _Pair | None = None
        self.estimator = Estimator()
        self.mean_cost = 1.0
        self.producing = 0.0
        """Output that live calls are expected to produce yet."""
        self.known = False
        """Whether any header was seen."""
        self.counts_tokens = False
        """Whether any token dimension is known."""

    def cost(self, call: Charged) -> float:
        """Estimate the call's tokens, for fairness and for spilling."""
        return self.estimator.input(call.input_tokens) + self.estimator.output(call.max_output)

    def when(self, call: Charged, now: float) -> float:
        """Say when every dimension has room: `now` or later."""
        at = self.when_request(now)
        if self.counts_tokens:
            for meter, need in self._needs(call):
                # Where output is metered as it comes, room is kept for what live calls will produce: else all
                # who wait would go at once, and then the debt would hold everyone, the oldest task too.
                metered = self.output is not None and meter is self.output.metered
                at = max(at, meter.when(need + self.producing if metered else need, now))
        return at

    def when_request(self, now: float) -> float:
        """Say when there is room for one request, whatever its tokens."""
        return self.requests.when(1.0, now) if self.requests is not None and not self.crowded else now

    @property
    def crowded(self) -> bool:
        """Whether others take so much that only refusals tell what we may take."""
        return self.requests is not None and self.requests.crowded

    def windows(self, call: Charged) -> float:
        """Say how many whole token windows a call needs: what is above 1 can never fit."""
        return max((need / meter.limit for meter, need in self._needs(call) if meter.limit > 0), default=0.0)

    def costs(self, call: Charged) -> dict[str, float]:
        """Estimate what a call costs in each dimension that is known."""
        costs = {"requests": 1.0} if self.requests is not None else {}
        if not self.counts_tokens:
            return costs
        tokens_in, expected = self.estimator.input(call.input_tokens), self.estimator.output(call.max_output)
        declared = float(call.max_output if call.max_output is not None else expected)
        if self.tokens is not None:
            costs["tokens"] = tokens_in + (declared if self.tokens.use_reserved else expected)
        if self.input is not None:
            costs["input_tokens"] = tokens_in
        if self.output is not None:
            costs["output_tokens"] = declared if self.output.use_reserved else expected
        return costs

    def sent_elsewhere(self, dimension: str, amount: float, held: float) -> None:
        """Count what other processes of the fleet drew from one dimension, of which so much is left."""
        shadows: dict[str, list[Meter | None]] = {
            "requests": [self.requests],
            "tokens": [self.tokens.reserving, self.tokens.metered] if self.tokens else [],
            "input_tokens": [self.input],
            "output_tokens": [self.output.reserving, self.output.metered] if self.output else [],
        }
        for meter in shadows.get(dimension, ()):
            if meter is not None:
                meter.drawn_elsewhere(amount, held)

    def charge(self, call: Charged, now: float) -> None:
        """Count a send, once anything is known."""
        marks = Marks()
        call.marks = marks
        if self.requests is not None:
            marks.requests = self.requests.charge(1.0, now)
        est = self.estimator
        marks.input_cost = tokens_in = est.input(call.input_tokens)
        expected = est.output(call.max_output)
        marks.output_cost = expected
        marks.total = declared = float(call.max_output if call.max_output is not None else expected)
        if self.tokens is not None:
            marks.reserved = self.tokens.reserving.charge(tokens_in + declared, now)
            marks.metered = self.tokens.metered.charge(tokens_in, now)
        if self.input is not None:
            marks.input = self.input.charge(tokens_in, now)
        if self.output is not None:
            marks.produced = (
                self.output.reserving.charge(declared, now),
                self.output.metered.charge(0.0, now),
            )
            self.producing += expected

    def unmark(self, call: Charged) -> None:
        """Let go of a call that was refused or has ended; nothing more will come of it."""
        if call.marks is not None and call.marks.produced[0] is not None:
            self.producing -= call.marks.output_cost
        call.marks = None

    def forget_calls(self) -> None:
        """Expect nothing of any call."""
        self.producing = 0.0

    def refused(self, call: Charged) -> None:
        """Give back what a refused call was charged."""
        marks = call.marks
        if marks is None:
            return
        if self.requests is not None and marks.requests is not None:
            self.requests.refused(marks.requests)
        if self.tokens is not None and marks.reserved is not None and marks.metered is not None:
            self.tokens.reserving.refused(marks.reserved)
            self.tokens.metered.refused(marks.metered)
        if self.input is not None and marks.input is not None:
            self.input.refused(marks.input)
        if self.output is not None and marks.produced[0] is not None:
            self.output.reserving.refused(marks.produced[0])

    def observe(
        self, call: Charged, quota: Quota, now: float, *, refused: bool, live: "Sequence[Charged]"
    ) -> None:
        """Learn from an answer's headers. `live`: calls sent and not settled, for seeding a new meter."""
        marks = call.marks or Marks()
        self.known = True
        if quota.requests is not None:
            if self.requests is None:
                self.requests = _seed(quota.requests, sum(1.0 for c in live if c.order > call.order), now)
            else:
                self.requests.observe(marks.requests, quota.requests, now, refused=refused)
        if quota.tokens is not None and quota.input_tokens is None and quota.output_tokens is None:
            # Beside the other two, Anthropic's `tokens` only repeats the most restrictive of them.
            self._observe_tokens(marks, quota.tokens, now, refused=refused)
        if quota.input_tokens is not None:
            if self.input is None:
                sent = sum(self.estimator.input(c.input_tokens) for c in live if c.order > call.order)
                self.input = _seed(quota.input_tokens, sent, now)
            else:
                self.input.observe(marks.input, quota.input_tokens, now, refused=refused)
        if quota.output_tokens is not None:
            self._observe_output(marks, quota.output_tokens, now, refused=refused)
        self.counts_tokens = self.tokens is not None or self.input is not None or self.output is not None

    def exhausted(self, call: Charged, dimension: str | None, now: float) -> None:
        """Learn from a refusal without headers which dimension lacked what the call needs."""
        marks = call.marks
        if marks is None:
            return
        named = dimension or ""
        if self.tokens is not None and named.startswith("tokens") and marks.reserved and marks.metered:
            self.tokens.reserving.exhausted(marks.reserved, now)
            self.tokens.metered.exhausted(marks.metered, now)
        elif self.input is not None and named.startswith("input") and marks.input:
            self.input.exhausted(marks.input, now)
        elif self.requests is not None and marks.requests is not None:
            self.requests.exhausted(marks.requests, now)

    def settle(self, call: Charged, usage: Usage) -> None:
        """Replace a call's estimates by what it used."""
        self.estimator.learn(call.input_tokens, usage)
        marks = call.marks
        if marks is None or not self.counts_tokens:
            return
        used_in = float(usage.input) if usage.input is not None else marks.input_cost
        used_out = float(usage.output) if usage.output is not None else marks.output_cost
        self.mean_cost += 0.05 * (used_in + used_out - self.mean_cost)
        if self.tokens is not None and marks.reserved is not None and marks.metered is not None:
            self.tokens.reserving.adjust(marks.input_cost + marks.total - used_in - used_out, marks.reserved)
            self.tokens.metered.adjust(marks.input_cost - used_in - used_out, marks.metered)
        if self.input is not None and marks.input is not None:
            self.input.adjust(marks.input_cost - used_in, marks.input)
        reserved, metered = marks.produced
        if self.output is not None and reserved is not None and metered is not None:
            self.output.reserving.adjust(marks.total - used_out, reserved)
            self.output.metered.adjust(-used_out, metered)

    def meters(self) -> "list[tuple[str, Meter]]":
        """List the active meters by dimension."""
        found = [("requests", self.requests), ("input_tokens", self.input)]
        found += [("tokens", self.tokens.active if self.tokens else None)]
        found += [("output_tokens", self.output.active if self.output else None)]
        return [(name, meter) for name, meter in found if meter is not None]

    def _needs(self, call: Charged) -> list[tuple[Meter, float]]:
        """List what must be free for a call to start, per token dimension."""
        tokens_in = self.estimator.input(call.input_tokens)
        declared = float(
            call.max_output if call.max_output is not None else self.estimator.output(call.max_output)
        )
        needs: list[tuple[Meter, float]] = []
        if self.tokens is not None:
            reserved = self.tokens.use_reserved
            needs.append((self.tokens.active, tokens_in + (declared if reserved else 1.0)))
        if self.input is not None:
            needs.append((self.input, tokens_in))
        if self.output is not None:
            expected = self.estimator.output(call.max_output)
            needs.append((self.output.active, declared if self.output.use_reserved else expected))
        return needs

    def _observe_tokens(self, marks: Marks, window: Window, now: float, *, refused: bool) -> None:
        pair = self.tokens
        if pair is None:
            self.tokens = _seed_pair(window, now)
            return
        pair.reserving.observe(marks.reserved, window, now, refused=refused)
        pair.metered.observe(marks.metered, window, now, refused=refused)
        pair.judge()

    def _observe_output(self, marks: Marks, window: Window, now: float, *, refused: bool) -> None:
        pair = self.output
        if pair is None:
            self.output = _seed_pair(window, now)
            return
        reserved, metered = marks.produced
        pair.reserving.observe(reserved, window, now, refused=refused)
        pair.metered.observe(metered, window, now, refused=refused)
        pair.judge()


def _seed(window: Window, sent_since: float, now: float) -> Meter | None:
    if window.limit is None or window.remaining is None or window.period_seconds > _LONGEST_SECONDS:
        return None
    meter = Meter(window.limit, window.period_seconds, window.remaining, now)
    meter.level -= sent_since
    return meter


def _seed_pair(window: Window, now: float) -> _Pair | None:
    if window.limit is None or window.remaining is None:
        return None
    return _Pair(window, window.remaining, window.limit, now)
